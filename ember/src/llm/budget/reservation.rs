use super::spent::Spent;
use crate::llm::error::Error;
use std::ops::ControlFlow;

/// What is set aside for a request. Dropping it settles what was used in truth.
pub trait Reservation: Send {
    /// So much was used so far. The last word counts.
    ///
    /// It is called when a round is sent, at each piece of an answer, and at its end. `Break` ends the
    /// request with that error: a stream where it stands, a whole answer in place of it. What was used
    /// until then is billed all the same, and settled. It does not wait: what is to be told to others, such as
    /// a store, is told by a task.
    fn used(&mut self, spent: &Spent) -> ControlFlow<Error>;

    /// The answer is asked for no longer than so many tokens, when all budgets have set something aside: what
    /// was set aside for a longer one may be given back. Unless it is implemented it is held to the end.
    fn bounded(&mut self, tokens: u64) {
        let _ = tokens;
    }
}
