use crate::llm::{Media, MediaSource, ToolCall, ToolResult};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

/// The calls of the present turn, put together from their pieces.
#[derive(Default)]
pub(super) struct Calls(Vec<Open>);

struct Open {
    index: usize,
    call: ToolCall,
    /// The reader knows that it is complete.
    told: bool,
}

impl Calls {
    /// A call begins. Returns the one that was under its index, which is void now.
    pub(super) fn start(&mut self, index: usize, id: &str, name: &str) -> Option<ToolCall> {
        let void = self.0.iter().position(|open| open.index == index);
        let void = void.map(|place| self.0.remove(place).call);
        self.0.push(Open { index, call: ToolCall::new(id, name, ""), told: false });
        void.filter(|void| void.id != id)
    }

    /// Adds a piece of the arguments; returns the id of the call, if it has begun.
    pub(super) fn grow(&mut self, index: usize, piece: &str) -> Option<&str> {
        let open = self.0.iter_mut().find(|open| open.index == index)?;
        open.call.arguments.push_str(piece);
        Some(&open.call.id)
    }

    /// A call is complete. Tells whether that is news.
    pub(super) fn complete(&mut self, id: &str) -> bool {
        match self.0.iter_mut().find(|open| open.call.id == id) {
            Some(open) => !std::mem::replace(&mut open.told, true),
            None => true,
        }
    }

    /// The call of an id, if the reader does not know that it is complete.
    pub(super) fn untold(&mut self, id: &str) -> Option<ToolCall> {
        let open = self.0.iter_mut().find(|open| open.call.id == id && !open.told)?;
        open.told = true;
        Some(open.call.clone())
    }

    /// The turn is over: forgets its calls, and returns those that the reader has seen only the beginning of.
    pub(super) fn end(&mut self) -> Vec<ToolCall> {
        let all = std::mem::take(&mut self.0);
        all.into_iter().filter(|open| !open.told).map(|open| open.call).collect()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// What a tool has answered: the JSON that it is, or else the text.
pub(super) fn output(result: &ToolResult) -> Value {
    serde_json::from_str(&result.content).unwrap_or_else(|_| result.content.clone().into())
}

/// What a reader is told of a tool that has failed. Why it did is between the tool and the model: it may
/// name what no client is to see.
pub(super) const FAILED: &str = "The tool failed.";

/// The arguments of a call, or the text that is none.
pub(super) fn input(call: &ToolCall) -> Result<Value, String> {
    call.parse().map_err(|_| call.arguments.clone())
}

/// Where a reader finds a medium: its address, or its bytes as a `data:` URL (RFC 2397).
pub(super) fn url_of(media: &Media) -> String {
    match &media.source {
        MediaSource::Url(url) => url.clone(),
        MediaSource::Bytes(bytes) => {
            format!("data:{};base64,{}", media.media_type, BASE64_STANDARD.encode(bytes))
        }
    }
}
