use super::event::ChatEvent;
use crate::llm::chat::{Cached, ChatResponse, Dropped, Finish, mark_truncated};
use crate::llm::error::{Error, ErrorKind};
use crate::llm::message::{Message, Part, Reasoning, Role, ToolCall, ToolResult};
use crate::llm::usage::Usage;

/// Puts an answer together from its events: folding a stream gives what the unary call gives.
#[derive(Debug, Default)]
pub struct Accumulator {
    id: Option<String>,
    model: Option<String>,
    content: Vec<Part>,
    /// Whether the last part may still grow.
    open: bool,
    /// Where the calls of this turn stand in the content.
    calls: Vec<(usize, usize)>,
    results: Vec<ToolResult>,
    steps: Vec<Message>,
    usage: Option<Usage>,
    dropped: Vec<Dropped>,
    cached: Option<Cached>,
    /// Whether a model was asked for a turn before this one.
    asked: bool,
    finish: Option<Finish>,
}

impl Accumulator {
    /// An accumulator that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next event.
    pub fn push(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::Start { id, model } => {
                self.id = id.clone().or(self.id.take());
                self.model = model.clone().or(self.model.take());
            }
            ChatEvent::Text(piece) => match self.open_part() {
                Some(Part::Text(text)) => text.text.push_str(piece),
                _ => self.grow(Part::text(piece.as_str())),
            },
            ChatEvent::Reasoning(piece) => match self.open_part() {
                Some(Part::Reasoning(reasoning)) => reasoning.text.push_str(piece),
                _ => self.grow(Part::Reasoning(Reasoning::new(piece.as_str()))),
            },
            ChatEvent::Refusal(piece) => match self.open_part() {
                Some(Part::Refusal(text)) => text.push_str(piece),
                _ => self.grow(Part::Refusal(piece.clone())),
            },
            ChatEvent::Citation(citation) => {
                if let Some(Part::Text(text)) = self.open_part() {
                    text.citations.push(citation.clone());
                }
            }
            ChatEvent::PartEnd { signature } => {
                match self.open_part() {
                    Some(Part::Text(text)) => {
                        text.signature = signature.clone().or(text.signature.take())
                    }
                    Some(Part::Reasoning(reasoning)) => {
                        reasoning.signature = signature.clone().or(reasoning.signature.take());
                    }
                    _ => {}
                }
                self.open = false;
            }
            ChatEvent::ToolCallStart { index, id, name, signature } => {
                let mut call = ToolCall::new(id.as_str(), name.as_str(), "");
                call.signature.clone_from(signature);
                let call = Part::ToolCall(call);
                match self.calls.iter().find(|(known, _)| known == index) {
                    Some((_, place)) => self.content[*place] = call,
                    None => {
                        self.calls.push((*index, self.content.len()));
                        self.whole(call);
                    }
                }
            }
            ChatEvent::Reset => {
                self.content.clear();
                self.calls.clear();
                self.open = false;
            }
            ChatEvent::ToolCallDelta { index, arguments } => {
                let place = self
                    .calls
                    .iter()
                    .rev()
                    .find(|(known, _)| known == index)
                    .map(|(_, place)| *place);
                if let Some(Part::ToolCall(call)) =
                    place.and_then(|place| self.content.get_mut(place))
                {
                    call.arguments.push_str(arguments);
                }
            }
            ChatEvent::Part(part) => self.whole(part.clone()),
            ChatEvent::Usage(snapshot) => self.usage.get_or_insert_default().update(snapshot),
            ChatEvent::Dropped(dropped) => self.dropped.push(dropped.clone()),
            // The call is known by its pieces.
            ChatEvent::ToolRun(_) => {}
            ChatEvent::ToolResult(result) => self.results.push(result.clone()),
            ChatEvent::StepEnd => self.end_step(),
            ChatEvent::Cached(cached) => self.cached = Some(*cached),
            ChatEvent::Finish(finish) => self.finish = Some(finish.clone()),
        }
    }

    /// The answer, once its stream has ended.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] when no [`ChatEvent::Finish`] was among the events.
    pub fn finish(mut self) -> Result<ChatResponse, Error> {
        let finish = self.finish.take().ok_or_else(truncated)?;
        mark_truncated(&mut self.content, &finish.reason);
        Ok(ChatResponse {
            id: self.id,
            model: self.model,
            message: Message::new(Role::Assistant, self.content),
            finish,
            usage: self.usage,
            steps: self.steps,
            dropped: self.dropped,
            // A part of the answer is none.
            cached: self.cached.filter(|_| !self.asked),
        })
    }

    /// What the present turn of the model has said so far.
    pub fn content(&self) -> &[Part] {
        &self.content
    }

    /// Tells whether the answer has ended.
    pub fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// What the usage is so far.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn open_part(&mut self) -> Option<&mut Part> {
        if self.open { self.content.last_mut() } else { None }
    }

    fn grow(&mut self, part: Part) {
        self.content.push(part);
        self.open = true;
    }

    fn whole(&mut self, part: Part) {
        self.content.push(part);
        self.open = false;
    }

    fn end_step(&mut self) {
        self.steps.push(Message::new(Role::Assistant, std::mem::take(&mut self.content)));
        self.steps.push(Message::tool_results(std::mem::take(&mut self.results)));
        self.calls.clear();
        self.open = false;
        self.asked |= self.cached.take().is_none();
    }
}

/// What an answer is that ended without its end.
pub(super) fn truncated() -> Error {
    Error::new(ErrorKind::Truncated, "the answer ended before it was complete")
}
