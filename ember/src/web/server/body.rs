//! The two bodies at the edge: what comes from a socket, and what goes to it.

use super::activity::{InFlight, Reading};
use super::farewell::LastWord;
use super::limits::ServerLimits;
use super::progress::{Piece, Progress};
use crate::base::error::BoxError;
use crate::base::{Error, ErrorKind};
use crate::web::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// How long a body may be waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pause: Duration,
    rate: u32,
}

impl Patience {
    pub(super) fn of(limits: &ServerLimits) -> Self {
        Self { pause: limits.body_read, rate: limits.body_rate }
    }

    /// How long a body that has this many bytes so far, and was waited for so long, may pause now.
    fn left(self, received: u64, waited: Duration) -> Duration {
        let Some(earned) = received.checked_div(u64::from(self.rate)) else {
            return self.pause;
        };
        let total = self.pause.saturating_add(Duration::from_secs(earned));
        self.pause.min(total.saturating_sub(waited))
    }
}

/// The body of a request as hyper reads it, bounded in how long it may pause.
struct Patient {
    incoming: Incoming,
    reading: Reading,
    patience: Patience,
    received: u64,
    waited: Duration,
    /// Set while nothing arrives.
    timer: Option<Pin<Box<Sleep>>>,
    waiting_since: Option<Instant>,
}

/// Takes over a body from hyper.
#[inline]
pub(super) fn from_hyper(
    incoming: Incoming,
    patience: Patience,
    reading: impl FnOnce() -> Reading,
) -> Body {
    if http_body::Body::is_end_stream(&incoming) {
        return Body::empty();
    }
    Body::new(Patient {
        incoming,
        reading: reading(),
        patience,
        received: 0,
        waited: Duration::ZERO,
        timer: None,
        waiting_since: None,
    })
}

impl http_body::Body for Patient {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) {
            if let Some(since) = self.waiting_since.take() {
                self.waited += since.elapsed();
            }
            if let Some(Ok(frame)) = &frame {
                self.received += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            if frame.is_none() {
                self.reading.ended();
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| broken(error).into())));
        }
        let patience = self.patience.left(self.received, self.waited);
        let begins = self.waiting_since.is_none();
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(patience)));
        if begins {
            timer.as_mut().reset(since + patience);
        }
        match timer.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                let kind = ErrorKind::RequestTimeout;
                Poll::Ready(Some(Err(
                    Error::new(kind, "The request body did not arrive in time.").into()
                )))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        // Of a body whose length is known the last byte is the end, and nobody asks for another.
        if self.incoming.is_end_stream() {
            self.reading.ended();
        }
    }
}

/// A body that ends before it is complete, or breaks the rules of its framing.
fn broken(error: hyper::Error) -> Error {
    Error::bad_request("The request body is incomplete or malformed.").with_source(error)
}

/// The body of a response in HTTP/1 whose bytes are all at hand, as most are; the request counts as
/// under way until it is dropped.
pub(super) struct Whole {
    bytes: Bytes,
    _in_flight: Option<InFlight>,
}

impl Whole {
    #[inline]
    pub(super) fn new(bytes: Bytes, in_flight: Option<InFlight>) -> Self {
        Self { bytes, _in_flight: in_flight }
    }

    /// Takes the bytes; there are none when they were taken, or there never were any.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Piece> {
        let bytes = std::mem::take(&mut self.bytes);
        (!bytes.is_empty()).then(|| Piece::plain(bytes))
    }

    /// How many bytes are left.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

pin_project! {
    /// Any other body of a response; the request counts as under way until it is dropped.
    pub(super) struct Outgoing {
        #[pin]
        body: Body,
        in_flight: Option<InFlight>,
        last_word: Option<Box<LastWord>>,
        paced: Option<Paced>,
    }
}

/// How many bytes a stream of HTTP/2 is given at once; a frame has no more when nothing else was
/// agreed upon (RFC 9113 §6.5.2).
const PIECE: usize = 16 << 10;

/// A body that is given to HTTP/2 in pieces which tell when they are taken.
///
/// They are small, so that a task has most of its body still to give when the client takes no
/// more, and the stream can be ended with it.
struct Paced {
    stream: Arc<Progress>,
    rest: Bytes,
}

impl Paced {
    fn next(&mut self) -> Piece {
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        Piece::of(&self.stream, piece)
    }
}

impl Outgoing {
    /// A body, and in HTTP/2 the stream that it is for.
    pub(super) fn new(
        body: Body,
        in_flight: Option<InFlight>,
        last_word: Option<Box<LastWord>>,
        stream: Option<Arc<Progress>>,
    ) -> Self {
        let paced = stream.map(|stream| Paced { stream, rest: Bytes::new() });
        Self { body, in_flight, last_word, paced }
    }

    /// The next frame of the body, or the last word in its place.
    fn poll_whole(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        let Some(last_word) = this.last_word else {
            return this.body.poll_frame(context);
        };
        if last_word.is_over() {
            return Poll::Ready(None);
        }
        let gathered = last_word.glean(|context| this.body.as_mut().poll_frame(context));
        let poll = match gathered {
            Some(frame) => Poll::Ready(frame),
            None => match last_word.now() {
                Some(word) => return Poll::Ready(Some(Ok(Frame::data(word)))),
                None => this.body.poll_frame(context),
            },
        };
        match poll {
            Poll::Ready(frame) => {
                if let Some(Ok(frame)) = &frame
                    && let Some(data) = frame.data_ref()
                {
                    last_word.sent(data);
                }
                Poll::Ready(frame)
            }
            Poll::Pending => last_word.poll(context).map(|word| Some(Ok(Frame::data(word)))),
        }
    }
}

impl http_body::Body for Outgoing {
    type Data = Piece;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, BoxError>>> {
        if let Some(paced) = self.as_mut().project().paced
            && !paced.rest.is_empty()
        {
            return Poll::Ready(Some(Ok(Frame::data(paced.next()))));
        }
        let frame = ready!(self.as_mut().poll_whole(context));
        let piece = |bytes| match self.project().paced {
            Some(paced) => {
                paced.rest = bytes;
                paced.next()
            }
            None => Piece::plain(bytes),
        };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.paced.as_ref().is_none_or(|paced| paced.rest.is_empty())
            && (self.last_word.as_ref().is_some_and(|word| word.is_over())
                || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::super::farewell::Farewell;
    use super::*;
    use crate::base::sse::Event;
    use crate::web::response::{IntoResponse as _, Sse};
    use bytes::Buf as _;
    use std::task::Waker;

    #[tokio::test]
    async fn what_a_stream_has_gathered_comes_before_the_last_word() {
        let farewell = Farewell::default();
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<Event>(4);
        let events = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
        let response = Sse::new(events).ending(Event::data("over")).into_response();
        let last_word = farewell.watch(&response);
        assert!(last_word.is_some());
        let mut body = Outgoing::new(response.into_body(), None, last_word, None);
        let mut context = Context::from_waker(Waker::noop());
        let mut next = || match Pin::new(&mut body).poll_frame(&mut context) {
            Poll::Pending => None,
            Poll::Ready(Some(frame)) => {
                let data = frame.unwrap().into_data().unwrap();
                Some(String::from_utf8(data.chunk().to_vec()).unwrap())
            }
            Poll::Ready(None) => Some(String::new()),
        };
        sender.send(Event::data("a")).await.unwrap();
        assert_eq!(next().unwrap(), "data: a\n\n");
        sender.send(Event::data("b")).await.unwrap();
        assert_eq!(next(), None, "it waits for what may follow");
        farewell.say();
        assert_eq!(next().unwrap(), "data: b\n\n");
        sender.send(Event::data("late")).await.unwrap();
        assert_eq!(next().unwrap(), "data: over\n\n");
        assert_eq!(next().unwrap(), "");
    }

    #[test]
    fn patience_grows_with_what_arrives() {
        let second = Duration::from_secs;
        let patience = Patience { pause: second(30), rate: 100 };
        assert_eq!(patience.left(0, second(0)), second(30));
        assert_eq!(patience.left(10, second(20)), second(10), "a byte now and then does not help");
        assert_eq!(patience.left(10, second(31)), second(0));
        assert_eq!(patience.left(2000, second(20)), second(30), "never longer than one pause");
        assert_eq!(patience.left(2000, second(40)), second(10));
        let unbounded = Patience { rate: 0, ..patience };
        assert_eq!(unbounded.left(1, second(9999)), second(30));
    }
}
