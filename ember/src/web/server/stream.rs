use super::activity::{Activity, Protocol};
use super::framing::{Framing, Refusal};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What an HTTP/2 client sends first when it knows that the server speaks HTTP/2 (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What hyper is given instead of a header section that is refused: it answers with 400, after
/// the requests before. NUL is allowed nowhere in a header section.
const REFUSED: &[u8] = b"\0\r\n\r\n";

/// A socket that tells [`Activity`] what passes through it, and refuses what [`Framing`] refuses.
#[derive(Debug)]
pub(super) struct Stream<S> {
    socket: S,
    activity: Arc<Activity>,
    framing: Framing,
    refused: Option<Refusal>,
    /// hyper was told of the refusal, and reads nothing more.
    told: bool,
    /// Bytes that were read to tell the version of HTTP, or that stand for refused ones.
    first: [u8; PREFACE.len()],
    /// Which of them are still to be handed on.
    pending: std::ops::Range<usize>,
}

impl<S: AsyncRead + Unpin> Stream<S> {
    /// A socket whose client may send header sections of this size.
    pub(super) fn new(socket: S, activity: Arc<Activity>, max_header_size: usize) -> Self {
        Self {
            socket,
            activity,
            framing: Framing::new(max_header_size),
            refused: None,
            told: false,
            first: [0; PREFACE.len()],
            pending: 0..0,
        }
    }

    /// Reads far enough to tell whether the client speaks HTTP/2; what was read is not lost.
    ///
    /// # Errors
    /// When the socket fails, or the connection is asked to close before anything has arrived.
    pub(super) async fn speaks_http2(&mut self) -> io::Result<bool> {
        let mut end = 0;
        while end < PREFACE.len() {
            let read = poll_fn(|context| self.poll_first(context, end)).await?;
            end += read;
            if read == 0 || self.first[..end] != PREFACE[..end] {
                let first = self.first;
                self.pending = 0..self.follow(&first[..end]);
                return Ok(false);
            }
        }
        self.pending = 0..end;
        self.activity.speaks(Protocol::Http2);
        self.framing.ignore();
        Ok(true)
    }

    /// Reads into what was read first, of which there are `end` bytes.
    fn poll_first(&mut self, context: &mut Context<'_>, end: usize) -> Poll<io::Result<usize>> {
        let closing = self.activity.poll_closing(context.waker());
        let mut buffer = ReadBuf::new(&mut self.first[end..]);
        // What has arrived before the wish to close is still answered.
        if Pin::new(&mut self.socket).poll_read(context, &mut buffer)?.is_ready() {
            return Poll::Ready(Ok(buffer.filled().len()));
        }
        match closing && end == 0 {
            true => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            false => Poll::Pending,
        }
    }

    /// Reads a little of what comes while nobody wants it yet; it is not lost. Tells whether there is
    /// anything, or the client has gone.
    pub(super) fn poll_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if !self.pending.is_empty() || self.refused.is_some() {
            return Poll::Ready(Ok(true));
        }
        let mut buffer = ReadBuf::new(&mut self.first);
        ready!(Pin::new(&mut self.socket).poll_read(context, &mut buffer))?;
        let end = buffer.filled().len();
        let first = self.first;
        self.pending = 0..self.follow(&first[..end]);
        Poll::Ready(Ok(end > 0))
    }

    /// Follows bytes that have been read, and returns how many of them may be passed on.
    fn follow(&mut self, bytes: &[u8]) -> usize {
        if self.activity.is(Protocol::Upgraded) {
            self.framing.ignore();
        }
        let followed = self.framing.follow(bytes);
        self.activity.within_head(self.framing.within_head());
        self.activity.arrived(self.framing.arrived());
        let Err((fine, refusal)) = followed else { return bytes.len() };
        tracing::debug!(?refusal, "a request was refused for its framing");
        self.refused = Some(refusal);
        fine
    }

    /// Reads from the socket what may be passed on.
    fn poll_socket(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(context, buffer))?;
        self.activity.received();
        let fine = self.follow(&buffer.filled()[before..]);
        buffer.set_filled(before + fine);
        Poll::Ready(Ok(()))
    }

    /// What hyper reads once something was refused.
    fn refusal(&mut self, refusal: Refusal, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        match refusal {
            Refusal::Body => Err(io::ErrorKind::InvalidData.into()),
            Refusal::Head => {
                if !std::mem::replace(&mut self.told, true) {
                    buffer.put_slice(&REFUSED[..REFUSED.len().min(buffer.remaining())]);
                }
                Ok(())
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.pending.is_empty() {
            let count = self.pending.len().min(buffer.remaining());
            let end = self.pending.start + count;
            buffer.put_slice(&self.first[self.pending.start..end]);
            self.pending.start = end;
            // With what follows them, so that hyper need not grow its buffer for the rest. What is
            // wrong with the socket is told by the next read.
            if self.refused.is_none() && buffer.remaining() > 0 {
                let _ = self.poll_socket(context, buffer);
            }
            return Poll::Ready(Ok(()));
        }
        if let Some(refusal) = self.refused {
            return Poll::Ready(self.refusal(refusal, buffer));
        }
        let before = buffer.filled().len();
        ready!(self.poll_socket(context, buffer))?;
        match self.refused {
            // Nothing at all would be the end.
            Some(refusal) if buffer.filled().len() == before => {
                Poll::Ready(self.refusal(refusal, buffer))
            }
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncWrite + Unpin> Stream<S> {
    fn noted<T>(&self, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.activity.wrote(poll.is_pending());
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.noted(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.noted(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.socket).poll_flush(context);
        match &poll {
            Poll::Ready(_) => self.activity.sent(),
            // What a layer of encryption has taken may still wait for the client.
            Poll::Pending => self.activity.wrote(true),
        }
        poll
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
