use super::accumulator::Accumulator;
use super::event::ChatEvent;
use super::watch::Watch;
use crate::llm::chat::ChatResponse;
use crate::llm::error::Error;

/// Somebody who may keep the answer of a stream. It is told once how that has ended.
pub(in crate::llm) trait Keeper: Send {
    /// How large an answer may be to be kept, in bytes.
    fn max_answer(&self) -> usize;

    /// How much of what would be kept arrives with an event, in bytes.
    fn size_of(&self, event: &ChatEvent) -> usize;

    /// The answer is there.
    fn answered(self, answer: &ChatResponse);

    /// There is none.
    fn failed(self, error: &Error);

    /// It is too large to be kept, or is not whole.
    fn gave_up(self);
}

/// Takes the answer of a stream down for a [`Keeper`].
pub(in crate::llm) struct Taken<K>(Option<Taking<K>>);

/// Until the end, or until the answer is too large.
struct Taking<K> {
    keeper: K,
    accumulator: Accumulator,
    /// How large the answer is so far, in bytes.
    size: usize,
}

impl<K> Taken<K> {
    pub(in crate::llm) fn new(keeper: K) -> Self {
        Self(Some(Taking { keeper, accumulator: Accumulator::new(), size: 0 }))
    }
}

impl<K: Keeper> Watch for Taken<K> {
    fn look(&mut self, item: &Result<ChatEvent, Error>) {
        let Some(Taking { keeper, accumulator, size }) = &mut self.0 else { return };
        if let Ok(event) = item {
            *size = size.saturating_add(keeper.size_of(event));
            if *size <= keeper.max_answer() {
                accumulator.push(event);
                if !accumulator.is_finished() {
                    return;
                }
            }
        }
        if let Some(taking) = self.0.take() {
            taking.end(item);
        }
    }
}

impl<K: Keeper> Taking<K> {
    /// The stream has ended with this, or the answer is too large.
    fn end(self, item: &Result<ChatEvent, Error>) {
        match (item, self.accumulator.finish()) {
            (Err(error), _) => self.keeper.failed(error),
            (Ok(_), Ok(answer)) => self.keeper.answered(&answer),
            // Whoever waits for it asks by itself, and all of them at once.
            (Ok(_), Err(_)) => self.keeper.gave_up(),
        }
    }
}
