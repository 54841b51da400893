//! Answers that arrive bit by bit.

mod event;
mod watch;
mod accumulator;
mod chat_stream;
mod text_stream;
mod taken;
mod whole;
#[cfg(test)]
mod tests;

pub use accumulator::Accumulator;
pub use chat_stream::ChatStream;
pub use event::ChatEvent;
pub(in crate::llm) use taken::{Keeper, Taken};
pub use text_stream::TextStream;
pub(in crate::llm) use watch::Watch;
