//! Event streams that go on without hyper.
//!
//! With each connection hyper keeps a buffer for what it reads and one for what it writes, 8 KiB
//! each. An event stream can be open for hours, and most of the time needs neither. So when the head
//! of such an answer and all events that were ready are sent, the connection leaves hyper, which
//! gives both back. What follows is written here, as chunks (RFC 9112 §7.1), and hyper takes the
//! connection again when the stream is over.
//!
//! Only the plain case leaves: HTTP/1.1 on a connection that stays open, an answer of status 200 by
//! chunks, and requests that have arrived whole and were read to their ends, with nothing behind
//! them. What a client sends meanwhile waits for hyper.

use super::activity::Activity;
use super::body::{Outgoing, Whole};
use super::handover::EventBody;
use super::progress::Piece;
use super::stream::Stream;
use crate::base::error::BoxError;
use bytes::Buf as _;
use http::header::{CONNECTION, CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use std::future::poll_fn;
use std::io::{self, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite};

/// A body as hyper sends it.
pub(super) enum Sent {
    Whole(Whole),
    // On the heap, as most bodies are whole, and each move of a response is a copy.
    Own(Box<Outgoing>),
    Lent(Lent),
}

/// A body that can be taken from hyper: it stands in the [`Handover`](super::handover::Handover) of
/// its connection.
pub(super) struct Lent(Arc<Activity>);

impl Lent {
    pub(super) fn new(activity: Arc<Activity>, body: Box<Outgoing>) -> Self {
        activity.handover().put(Box::into_pin(body));
        // The head. What hyper holds back is not seen at the socket, so that it counts from here
        // until hyper has emptied its buffers.
        activity.buffered();
        Self(activity)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        drop(self.0.handover().take());
    }
}

/// Tells whether hyper sends a body of unknown length by nothing but chunks after this head.
pub(super) fn is_plain<B>(response: &Response<B>) -> bool {
    let special = [CONNECTION, CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING, UPGRADE];
    response.status() == StatusCode::OK
        && response.version() == Version::HTTP_11
        && !special.iter().any(|name| response.headers().contains_key(name))
}

impl Body for Sent {
    type Data = Piece;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, BoxError>>> {
        match self.get_mut() {
            Self::Whole(body) => Poll::Ready(body.take().map(|piece| Ok(Frame::data(piece)))),
            Self::Own(body) => Pin::new(body).poll_frame(context),
            Self::Lent(lent) => {
                let poll = lent.0.handover().poll_frame(context);
                if poll.is_ready() {
                    lent.0.buffered();
                }
                poll
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.len() == 0,
            Self::Own(body) => body.is_end_stream(),
            Self::Lent(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.len() as u64),
            Self::Own(body) => body.size_hint(),
            Self::Lent(_) => SizeHint::default(),
        }
    }
}

/// How many bytes of ready events are gathered before they are written.
const GATHERED: usize = 16 << 10;

/// Sends what is left of an event stream, to its end.
///
/// # Errors
/// When the client has gone, or the stream is broken; nothing more can be said on this connection.
pub(super) async fn finish<S>(stream: &mut Stream<S>, body: EventBody) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut body = Some(body);
    let mut unsent = Unsent::default();
    poll_fn(|context| {
        if let Poll::Ready(false) = stream.poll_ahead(context)? {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        loop {
            let waits = gather(&mut body, &mut unsent, context)?;
            ready!(unsent.poll_send(stream, context))?;
            if body.is_none() {
                return Poll::Ready(Ok(()));
            }
            if waits {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Chunks that are on their way to the socket.
#[derive(Default)]
struct Unsent {
    bytes: Vec<u8>,
    /// How many of them the socket has taken; they go with the last one, as to move the others up
    /// for each part would take time in the square of their number.
    taken: usize,
}

impl Unsent {
    /// One of no bytes would be the last.
    fn chunk(&mut self, data: &[u8]) -> io::Result<()> {
        if !data.is_empty() {
            // At most sixteen digits, and two line ends.
            self.bytes.reserve(data.len() + 20);
            write!(self.bytes, "{:X}\r\n", data.len())?;
            self.bytes.extend_from_slice(data);
            self.bytes.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    fn end(&mut self) {
        self.bytes.extend_from_slice(b"0\r\n\r\n");
    }

    /// Sends all, and gives the room for it back.
    fn poll_send<W: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut W,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.taken < self.bytes.len() {
            let rest = &self.bytes[self.taken..];
            match ready!(Pin::new(&mut *stream).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                some => self.taken += some,
            }
        }
        *self = Self::default();
        Pin::new(stream).poll_flush(context)
    }
}

/// Adds the events that are ready, and the end of the body after the last one. Tells whether the next
/// one is waited for.
fn gather(
    body: &mut Option<EventBody>,
    unsent: &mut Unsent,
    context: &mut Context<'_>,
) -> io::Result<bool> {
    while let Some(open) = body
        && unsent.bytes.len() < GATHERED
    {
        match open.as_mut().poll_frame(context) {
            Poll::Ready(Some(frame)) => {
                if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
                    unsent.chunk(data.chunk())?;
                }
            }
            Poll::Ready(None) => {
                *body = None;
                unsent.end();
            }
            Poll::Pending => return Ok(true),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::super::limits::ServerLimits;
    use super::super::ticks::Ticks;
    use super::*;
    use crate::web::Body as OwnBody;
    use futures_util::{StreamExt as _, stream};
    use std::task::Waker;

    /// Takes a byte each time, and tells where it was found.
    #[derive(Default)]
    struct Sip {
        found: Vec<usize>,
        taken: Vec<u8>,
        thirsty: bool,
    }

    impl AsyncWrite for Sip {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.thirsty = !self.thirsty;
            if !self.thirsty {
                return Poll::Pending;
            }
            self.found.push(bytes.as_ptr().addr());
            self.taken.push(bytes[0]);
            Poll::Ready(Ok(1))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn what_is_left_of_a_chunk_is_not_moved() {
        let mut context = Context::from_waker(Waker::noop());
        let mut unsent = Unsent::default();
        let mut socket = Sip::default();
        unsent.chunk(&[b'x'; 26]).unwrap();
        while unsent.poll_send(&mut socket, &mut context).is_pending() {}
        assert_eq!(socket.taken, b"1A\r\nxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n");
        assert!(socket.found.windows(2).all(|pair| pair[1] == pair[0] + 1), "{:?}", socket.found);
        assert_eq!(unsent.bytes.capacity(), 0, "the room for it is given back");
    }

    #[test]
    fn what_hyper_holds_back_is_not_sent() {
        let mut context = Context::from_waker(Waker::noop());
        let activity = Activity::new(Ticks::new(&ServerLimits::default()));
        activity.arrived(1);
        let (_in_flight, _) = activity.begin();
        let events = stream::iter([Ok::<_, io::Error>("a")]).chain(stream::pending());
        let body = Outgoing::new(OwnBody::stream(events), None, None, None);
        let mut sent = Sent::Lent(Lent::new(activity.clone(), Box::new(body)));
        let mut poll = || Pin::new(&mut sent).poll_frame(&mut context);
        assert!(poll().is_ready() && poll().is_pending());
        assert!(!activity.only_waits_for_events(), "the socket has seen neither head nor event");
        activity.sent();
        assert!(poll().is_pending() && activity.only_waits_for_events());
    }
}
