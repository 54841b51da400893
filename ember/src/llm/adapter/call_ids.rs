use crate::llm::chat::ChatRequest;
use std::collections::BTreeSet;

/// Ids of calls, for those that a provider leaves without one.
///
/// An invented id is one that the conversation does not have yet: a result of one round must not
/// answer a call of another. It depends on nothing but the request and the answer, so that a
/// streamed answer has the same ids as the whole one.
///
/// ```
/// use ember::llm::adapter::CallIds;
///
/// let mut ids = CallIds::new(["call_0"]);
/// assert_eq!(ids.take("c7"), "c7");
/// assert_eq!(ids.take(""), "call_2");
/// assert_eq!(ids.take(""), "call_3");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallIds {
    known: BTreeSet<String>,
}

impl CallIds {
    /// Ids for a conversation that has these already.
    pub fn new<T: Into<String>>(known: impl IntoIterator<Item = T>) -> Self {
        Self { known: known.into_iter().map(Into::into).collect() }
    }

    /// Ids for the answer to a request.
    pub fn of(request: &ChatRequest) -> Self {
        let calls = request.messages.iter().flat_map(|message| message.tool_calls());
        Self::new(calls.map(|call| call.id.as_str()))
    }

    /// Takes note of a call's id; one that is empty is replaced by a new one.
    pub fn take(&mut self, id: &str) -> String {
        let id = match id {
            "" => self.invent(),
            id => id.to_owned(),
        };
        self.known.insert(id.clone());
        id
    }

    fn invent(&self) -> String {
        // Among one more number than there are ids, one is free.
        let mut numbers = (self.known.len()..).map(|number| format!("call_{number}"));
        numbers.find(|id| !self.known.contains(id)).unwrap_or_default()
    }
}
