//! What happens in a client, told to whoever wants to know.
//!
//! Each moment has a type of its own, so that a subscriber gets the fields of that moment
//! and the compiler knows them. Subscribers are called in the order of their registration; an
//! async one is awaited. None can break a request: a panic, an error, or an async subscriber that
//! takes too long is logged, and the next one is called. Where nobody listens to a moment, nothing
//! is made of it.

mod bus;

pub use bus::{EventBus, LifecycleEvent, Outcome, Subscription};

use self::bus::{List, Sealed};
use super::chat::{ChatRequest, ChatResponse};
use super::error::Error;
use super::message::{ToolCall, ToolResult};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident, $field:ident, $label:literal { $($(#[$field_doc:meta])* $member:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone)]
            #[non_exhaustive]
            pub struct $name {
                $($(#[$field_doc])* pub $member: $type,)*
            }

            impl LifecycleEvent for $name {
                const NAME: &'static str = $label;
            }

            impl Sealed for $name {
                fn list(lists: &Lists) -> &List {
                    &lists.$field
                }
            }
        )*

        /// Who listens to what.
        #[doc(hidden)]
        #[derive(Debug, Default)]
        pub struct Lists {
            next: AtomicU64,
            $($field: List,)*
        }

        impl Lists {
            pub(super) fn next_id(&self) -> u64 {
                self.next.fetch_add(1, Ordering::Relaxed)
            }

            pub(super) fn remove(&self, id: u64) -> bool {
                $(self.$field.remove(id) ||)* false
            }

            pub(super) fn len(&self) -> usize {
                0 $(+ self.$field.len())*
            }
        }
    };
}

events! {
    /// A model is about to be asked for a whole answer. With tools, this happens in each round.
    RequestStart, request_start, "request.start" {
        /// What it is asked.
        request: Arc<ChatRequest>,
    }
    /// A model has answered.
    RequestComplete, request_complete, "request.complete" {
        /// What it was asked.
        request: Arc<ChatRequest>,
        /// What it answered.
        response: Arc<ChatResponse>,
        /// How long it took.
        duration: Duration,
    }
    /// A model has not answered, and will not be asked again for this.
    RequestError, request_error, "request.error" {
        /// What it was asked.
        request: Arc<ChatRequest>,
        /// Why it did not.
        error: Arc<Error>,
        /// How long it took.
        duration: Duration,
    }
    /// One of several models has failed where others can take its place. Where one does, the request
    /// goes on and ends in another of these moments; what failed so is no answer, and none is billed.
    ModelFailed, model_failed, "model.error" {
        /// What was asked.
        request: Arc<ChatRequest>,
        /// The model that has failed, by the name that the router has for it.
        model: String,
        /// The model that is asked next, if there is one.
        next: Option<String>,
        /// Why it failed.
        error: Arc<Error>,
        /// How long it took.
        duration: Duration,
    }
    /// A streamed answer is about to be asked for. This happens once, however often tools run.
    StreamStart, stream_start, "stream.start" {
        /// What the model is asked.
        request: Arc<ChatRequest>,
    }
    /// A piece of text, reasoning or refusal has arrived. Calls of tools are no pieces.
    StreamChunk, stream_chunk, "stream.chunk" {
        /// What the model was asked.
        request: Arc<ChatRequest>,
        /// The piece.
        text: String,
        /// Which piece it is, counted from 0.
        index: usize,
    }
    /// A streamed answer is complete.
    StreamComplete, stream_complete, "stream.complete" {
        /// What the model was asked.
        request: Arc<ChatRequest>,
        /// The answer, put together.
        response: Arc<ChatResponse>,
        /// How many pieces there were.
        chunks: usize,
        /// How long it took.
        duration: Duration,
    }
    /// A streamed answer has failed, before it began or on the way.
    StreamError, stream_error, "stream.error" {
        /// What the model was asked.
        request: Arc<ChatRequest>,
        /// Why it failed.
        error: Arc<Error>,
        /// How many pieces there were.
        chunks: usize,
        /// How long it took.
        duration: Duration,
    }
    /// An earlier answer is given in place of a model's, whole or streamed. Nothing else is told of this
    /// request: no model is asked.
    CacheHit, cache_hit, "cache.hit" {
        /// What was asked.
        request: Arc<ChatRequest>,
        /// What is answered. [`ChatResponse::cached`] says how near the earlier question was.
        response: Arc<ChatResponse>,
    }
    /// A tool is about to run.
    ToolStart, tool_start, "tool.start" {
        /// The call, as the model made it.
        call: Arc<ToolCall>,
    }
    /// A tool has answered.
    ToolComplete, tool_complete, "tool.complete" {
        /// The call, as the model made it.
        call: Arc<ToolCall>,
        /// What the model is told.
        result: Arc<ToolResult>,
        /// How long it took.
        duration: Duration,
    }
    /// A tool has failed, or does not exist. The model is told so, and goes on.
    ToolFailed, tool_failed, "tool.error" {
        /// The call, as the model made it.
        call: Arc<ToolCall>,
        /// What the model is told.
        result: Arc<ToolResult>,
        /// How long it took.
        duration: Duration,
    }
}
