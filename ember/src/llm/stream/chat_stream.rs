use super::accumulator::{Accumulator, truncated};
use super::event::ChatEvent;
use super::watch::Watch;
use crate::llm::chat::ChatResponse;
use crate::llm::error::Error;
use futures_core::Stream;
use futures_util::{StreamExt, stream};
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// An answer that arrives bit by bit.
///
/// It ends in exactly one way: with [`ChatEvent::Finish`], or with an error. A provider that
/// stops without either has been cut off, and that is an error as well
/// ([`ErrorKind::Truncated`](crate::llm::ErrorKind::Truncated)). Dropping the stream closes the
/// connection to the provider.
///
/// ```
/// # use ember::llm::{ChatEvent, Client, FakeProvider};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ember::llm::Error> {
/// let client = Client::new(FakeProvider::new().text("Hello there"));
/// let mut stream = client.stream("Hi").await?;
/// let mut text = String::new();
/// while let Some(event) = stream.next().await {
///     if let ChatEvent::Text(piece) = event? {
///         text += &piece;
///     }
/// }
/// assert_eq!(text, "Hello there");
/// # Ok(()) }
/// ```
pub struct ChatStream {
    state: State,
    /// Events that come before the others.
    held: VecDeque<ChatEvent>,
    /// Until the end, and dropped behind the events.
    watches: Vec<Box<dyn Watch>>,
}

enum State {
    /// Which stream this is, is not decided yet.
    Opening(Pin<Box<dyn Future<Output = Result<Opened, Error>> + Send>>),
    Open(Events),
    Ended,
}

type Events = Pin<Box<dyn Stream<Item = Result<ChatEvent, Error>> + Send>>;

/// A stream, and the events that were read of it already.
type Opened = (VecDeque<ChatEvent>, ChatStream);

impl ChatStream {
    /// Wraps a stream of events, and sees to it that it ends in exactly one way.
    pub fn new(events: impl Stream<Item = Result<ChatEvent, Error>> + Send + 'static) -> Self {
        Self::of(State::Open(Box::pin(events)))
    }

    /// A stream that is decided upon as soon as somebody reads it: what was read already, and then the other,
    /// in whose place it stands from then on.
    pub(in crate::llm) fn opening(
        opening: impl Future<Output = Result<Opened, Error>> + Send + 'static,
    ) -> Self {
        Self::of(State::Opening(Box::pin(opening)))
    }

    fn of(state: State) -> Self {
        Self { state, held: VecDeque::new(), watches: Vec::new() }
    }

    /// Lets somebody look at all that passes from here on, behind those who do already. It is dropped at
    /// the end, or with the stream.
    pub(in crate::llm) fn watched(mut self, watch: impl Watch + 'static) -> Self {
        // One that was read to its end already is cut off for whoever expects an answer.
        if let State::Ended = self.state {
            self.state = State::Open(Box::pin(stream::empty()));
        }
        self.watches.push(Box::new(watch));
        self
    }

    /// Waits for the next event; `None` after the end.
    ///
    /// # Cancel safety
    /// No event is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Result<ChatEvent, Error>> {
        StreamExt::next(self).await
    }

    /// Waits for the end, and puts the answer together.
    ///
    /// # Errors
    /// When the stream ends in one.
    pub async fn collect(mut self) -> Result<ChatResponse, Error> {
        let mut accumulator = Accumulator::new();
        while let Some(event) = self.next().await {
            accumulator.push(&event?);
        }
        accumulator.finish()
    }

    fn opened(&mut self, outcome: Result<Opened, Error>) {
        self.state = match outcome {
            Ok((held, stream)) => {
                self.held = held;
                match stream {
                    Self { state: State::Open(events), held, watches }
                        if held.is_empty() && watches.is_empty() =>
                    {
                        State::Open(events)
                    }
                    stream => State::Open(Box::pin(stream)),
                }
            }
            Err(error) => State::Open(Box::pin(stream::iter([Err(error)]))),
        };
    }

    pub(super) fn close(&mut self) {
        self.state = State::Ended;
        self.held.clear();
        self.watches.clear();
    }
}

impl Stream for ChatStream {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let State::Opening(opening) = &mut this.state {
            let outcome = ready!(opening.as_mut().poll(context));
            this.opened(outcome);
        }
        // An item has some hundred bytes; it lies where it is returned from here on.
        let mut polled = match &mut this.state {
            State::Open(events) => match this.held.pop_front() {
                Some(event) => Poll::Ready(Some(Ok(event))),
                None => events.as_mut().poll_next(context),
            },
            State::Opening(_) | State::Ended => Poll::Ready(None),
        };
        if matches!((&polled, &this.state), (Poll::Ready(None), State::Open(_))) {
            polled = Poll::Ready(Some(Err(truncated())));
        }
        if let Poll::Ready(Some(item)) = &polled {
            this.watches.iter_mut().for_each(|watch| watch.look(item));
            if let Ok(ChatEvent::Finish(_)) | Err(_) = item {
                // Nothing follows, and nothing keeps the connection.
                this.close();
            }
        }
        polled
    }
}

impl fmt::Debug for ChatStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatStream").field("ended", &matches!(self.state, State::Ended)).finish()
    }
}
