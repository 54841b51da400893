use crate::ai::dialect::{Encoder, StreamDialect};
use crate::base::sse::Event;
use crate::base::{Error, ErrorKind};
use crate::llm::ChatEvent;
use futures_core::Stream;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

/// What happens in an answer; a finish or an error is the last of it.
pub(super) type Events = Pin<Box<dyn Stream<Item = Result<ChatEvent, Error>> + Send>>;

/// A stream whose form is not settled before its response has met the request.
pub(super) struct Pending {
    pub(super) events: Option<Events>,
    pub(super) dialect: Option<StreamDialect>,
}

/// What is pending, between the body of a response and whoever settles its form.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Pending>>);

impl Shared {
    pub(super) fn new(events: Events, dialect: Option<StreamDialect>) -> Self {
        Self(Arc::new(Mutex::new(Pending { events: Some(events), dialect })))
    }

    pub(super) fn locked(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The frames of a stream.
pub(super) enum Framed {
    Pending(Shared),
    Running {
        events: Events,
        encoder: Encoder,
        frames: VecDeque<Event>,
    },
    /// The last frames; what made them is gone.
    Ended(VecDeque<Event>),
}

impl Stream for Framed {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            match this {
                Self::Pending(shared) => {
                    let (events, dialect) = {
                        let mut pending = shared.locked();
                        (pending.events.take(), pending.dialect.unwrap_or_default())
                    };
                    *this = match events {
                        Some(events) => {
                            let encoder = Encoder::new(dialect);
                            Self::Running { events, encoder, frames: VecDeque::new() }
                        }
                        None => Self::Ended(VecDeque::new()),
                    };
                }
                Self::Running { events, encoder, frames } => {
                    if let Some(frame) = frames.pop_front() {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    let event = ready!(events.as_mut().poll_next(context));
                    let ends = matches!(event, Some(Ok(ChatEvent::Finish(_))));
                    let outcome = match event {
                        Some(event) => event.and_then(|event| encoder.event(event, frames)),
                        None => Err(broken_off()),
                    };
                    if let Err(error) = outcome {
                        // What is ready belongs to an event that could not be told.
                        let failure = encoder.failure(&error);
                        *this = Self::Ended(VecDeque::new());
                        let Some(failure) = failure else { return Poll::Ready(Some(Err(error))) };
                        tracing::warn!(%error, "an event stream broke");
                        return Poll::Ready(Some(Ok(failure)));
                    }
                    if ends {
                        *this = Self::Ended(std::mem::take(frames));
                    }
                }
                Self::Ended(frames) => return Poll::Ready(frames.pop_front().map(Ok)),
            }
        }
    }
}

fn broken_off() -> Error {
    Error::new(ErrorKind::BadGateway, "The answer ended before it was complete.")
}
