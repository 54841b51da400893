//! Server-Sent Events as a codec: events to bytes, bytes to events.
//!
//! The format is the one of the WHATWG standard, "Server-sent events" §9.2.5 and
//! §9.2.6. This module moves no bytes itself: the web wing streams what
//! [`SseWriter`] encodes, and the model wing feeds [`Decoder`] with whatever
//! arrives, cut anywhere.

mod event;
mod encode;
mod decode;

pub use decode::{DecodeError, Decoder, Frame};
pub use encode::SseWriter;
pub use event::Event;
