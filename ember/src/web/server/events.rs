//! Event streams that go on without hyper.
//!
//! With each connection hyper keeps a buffer for what it reads and one for what it writes, 8 KiB
//! each. An event stream can be open for hours, and most of the time needs neither. So when the head
//! of such an answer and all events that were ready are sent, the connection leaves hyper, which
//! gives both back. What follows is written here, as chunks (RFC 9112 §7.1), and hyper takes the
//! connection again when the stream is over.
//!
//! Only the plain case leaves: HTTP/1.1 on a connection that stays open, an answer of status 200 by
//! chunks, and a request that has arrived whole, with nothing behind it. What a client sends
//! meanwhile waits for hyper.

use super::activity::Activity;
use super::body::Outgoing;
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
    Own(Outgoing),
    Lent(Lent),
}

/// A body that can be taken from hyper: it stands in the [`Handover`](super::handover::Handover) of
/// its connection.
pub(super) struct Lent(Arc<Activity>);

impl Lent {
    pub(super) fn new(activity: Arc<Activity>, body: Outgoing) -> Self {
        activity.handover().put(Box::pin(body));
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
            Self::Own(body) => Pin::new(body).poll_frame(context),
            Self::Lent(lent) => lent.0.handover().poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_end_stream(),
            Self::Lent(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
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
    let mut unsent = Vec::new();
    poll_fn(|context| {
        if let Poll::Ready(false) = stream.poll_ahead(context)? {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        loop {
            let waits = gather(&mut body, &mut unsent, context)?;
            ready!(poll_send(stream, &mut unsent, context))?;
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

/// Adds the events that are ready, and the end of the body after the last one. Tells whether the next
/// one is waited for.
fn gather(
    body: &mut Option<EventBody>,
    unsent: &mut Vec<u8>,
    context: &mut Context<'_>,
) -> io::Result<bool> {
    while let Some(open) = body
        && unsent.len() < GATHERED
    {
        match open.as_mut().poll_frame(context) {
            Poll::Ready(Some(frame)) => {
                if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
                    chunk(unsent, data.chunk())?;
                }
            }
            Poll::Ready(None) => {
                *body = None;
                unsent.extend_from_slice(b"0\r\n\r\n");
            }
            Poll::Pending => return Ok(true),
        }
    }
    Ok(false)
}

/// One of no bytes would be the last.
fn chunk(unsent: &mut Vec<u8>, data: &[u8]) -> io::Result<()> {
    if !data.is_empty() {
        // At most sixteen digits, and two line ends.
        unsent.reserve(data.len() + 20);
        write!(unsent, "{:X}\r\n", data.len())?;
        unsent.extend_from_slice(data);
        unsent.extend_from_slice(b"\r\n");
    }
    Ok(())
}

/// Sends all, and gives the room for it back.
fn poll_send<S: AsyncWrite + Unpin>(
    stream: &mut Stream<S>,
    unsent: &mut Vec<u8>,
    context: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while !unsent.is_empty() {
        match ready!(Pin::new(&mut *stream).poll_write(context, unsent))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            all if all == unsent.len() => *unsent = Vec::new(),
            some => drop(unsent.drain(..some)),
        }
    }
    Pin::new(stream).poll_flush(context)
}
