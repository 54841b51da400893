//! How an answer is written for its reader: one file for each dialect.
//!
//! A dialect gets the events of an answer one by one and makes frames of them. It knows nothing
//! of requests and conversations; which one is spoken is decided in [`accept`] and by the route.

pub(super) mod accept;
mod calls;
mod tokens;
mod events;
mod ui;
mod document;

pub(super) use document::{document, document_schema};
pub(super) use ui::HEADER as UI_HEADER;

use crate::base::sse::Event;
use crate::base::{Error, ErrorKind};
use crate::llm::{ChatEvent, Part};
use std::collections::VecDeque;

/// In which form an answer is streamed.
///
/// The first of these that says anything decides: [`TokenStream::dialect`](super::TokenStream::dialect)
/// in the handler, `stream = …` of the [route](macro@crate::ai_route), the `Accept` header of the
/// request (`text/event-stream; dialect=events`), a body of [`UiMessages`](super::UiMessages).
///
/// ```
/// use ember::ai::StreamDialect;
/// use ember::prelude::*;
///
/// #[ai_route("/api/chat", stream = StreamDialect::Events)]
/// async fn chat(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
///     conversation.stream(message).await
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamDialect {
    /// `tokens`: a `data:` frame for each token of the text, then `data: [DONE]`.
    ///
    /// A stream that breaks ends in an event named `error` with a problem document.
    #[default]
    Tokens,
    /// `events`: events with a name, whose data is an object with that name as its `type`.
    ///
    /// | event | data |
    /// |---|---|
    /// | `start` | `id`, `model`: the provider's, where it tells them |
    /// | `text`, `reasoning`, `refusal` | `text`: a piece |
    /// | `tool_call_start` | `id`, `name` |
    /// | `tool_call_delta` | `id`, `arguments`: a piece of JSON |
    /// | `tool_call` | `id`, `name`, `input`: the call is complete; `arguments` in place of `input` where they are no JSON |
    /// | `tool_result` | `id`, `name`, `output`, or `error` in its place |
    /// | `file` | `media_type`, `url`: an address, or the bytes as a `data:` URL |
    /// | `step_end` | the results are told, and the model goes on |
    /// | `reset` | what was told since the last `step_end` is void |
    /// | `usage` | tokens so far: a snapshot with the members of [`Usage`](crate::llm::Usage) |
    /// | `finish` | `reason`: the answer is complete, and nothing follows |
    /// | `error` | a problem document (RFC 9457): the answer is not complete, and nothing follows |
    Events,
    /// `ui-messages`: the UI message stream of the AI SDK, version 1, which `useChat` of its versions 5, 6 and 7 reads.
    ///
    /// Each round of the tool loop is a step. `finish` carries `{model, usage}` as the metadata of
    /// the message. A stream that breaks ends in a part `error` (`abort`, where it was called
    /// off), without `finish` and without `[DONE]`; and so does an answer that its provider begins anew
    /// when some of it was told, as 5 and 6 know no part that takes back. Reasoning is shown.
    UiMessages,
}

impl StreamDialect {
    /// All, with the names by which requests ask for them.
    const NAMES: &'static [(&'static str, Self)] =
        &[("tokens", Self::Tokens), ("events", Self::Events), ("ui-messages", Self::UiMessages)];

    /// The name by which a request asks for the dialect.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Events => "events",
            Self::UiMessages => "ui-messages",
        }
    }

    /// The dialect of a name; letters of either case.
    pub fn of_name(name: &str) -> Option<Self> {
        let known = Self::NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        known.map(|(_, dialect)| *dialect)
    }

    /// Tells whether a reader gets to see anything of an event.
    pub(super) fn shows(self, event: &ChatEvent) -> bool {
        match event {
            ChatEvent::Text(_) | ChatEvent::Refusal(_) | ChatEvent::Finish(_) => true,
            ChatEvent::Part(Part::Text(_) | Part::Refusal(_)) => true,
            ChatEvent::Reasoning(_) | ChatEvent::ToolCallStart { .. } | ChatEvent::Part(_) => {
                self != Self::Tokens
            }
            _ => false,
        }
    }
}

/// What is told of an answer that is begun anew when its reader has seen some of it.
fn begun_anew() -> Error {
    let message = "The model began its answer anew in the middle of it.";
    Error::new(ErrorKind::BadGateway, message)
}

/// What writes a dialect.
trait Encode: Send {
    /// Adds the frames of an event; the last one is a finish.
    ///
    /// # Errors
    /// When the reader can no longer be told the truth.
    fn event(&mut self, event: ChatEvent, frames: &mut VecDeque<Event>) -> Result<(), Error>;

    /// The frame that tells of a failure; `None` for the one that every stream of events has.
    fn failure(&mut self, error: &Error) -> Option<Event> {
        let _ = error;
        None
    }
}

/// A writer of one of the dialects.
pub(super) struct Encoder(Box<dyn Encode>);

impl Encoder {
    /// A writer that has written nothing.
    pub(super) fn new(dialect: StreamDialect) -> Self {
        Self(match dialect {
            StreamDialect::Tokens => Box::<tokens::Tokens>::default(),
            StreamDialect::Events => Box::<events::Events>::default(),
            StreamDialect::UiMessages => Box::<ui::UiStream>::default(),
        })
    }

    /// Adds the frames of an event.
    pub(super) fn event(
        &mut self,
        event: ChatEvent,
        frames: &mut VecDeque<Event>,
    ) -> Result<(), Error> {
        self.0.event(event, frames)
    }

    /// The frame that tells of a failure, where the dialect has one of its own.
    pub(super) fn failure(&mut self, error: &Error) -> Option<Event> {
        self.0.failure(error)
    }
}

/// The frame that tells a client that the answer is complete.
const DONE: Event = Event {
    data: Some(std::borrow::Cow::Borrowed("[DONE]")),
    event: None,
    id: None,
    retry: None,
    comment: None,
};
