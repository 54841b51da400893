use super::activity::Activity;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// What an HTTP/2 client sends first when it knows that the server speaks HTTP/2 (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A socket that tells [`Activity`] what passes through it.
#[derive(Debug)]
pub(super) struct Stream<S> {
    socket: S,
    activity: Arc<Activity>,
    /// Bytes that were read to tell the version of HTTP.
    first: [u8; PREFACE.len()],
    /// Which of them are still to be handed on.
    pending: std::ops::Range<usize>,
}

impl<S: AsyncRead + Unpin> Stream<S> {
    pub(super) fn new(socket: S, activity: Arc<Activity>) -> Self {
        Self { socket, activity, first: [0; PREFACE.len()], pending: 0..0 }
    }

    /// Reads far enough to tell whether the client speaks HTTP/2; what was read is not lost.
    pub(super) async fn speaks_http2(&mut self) -> io::Result<bool> {
        while self.pending.end < PREFACE.len() {
            let read = self.socket.read(&mut self.first[self.pending.end..]).await?;
            self.pending.end += read;
            if read == 0 || self.first[..self.pending.end] != PREFACE[..self.pending.end] {
                return Ok(false);
            }
        }
        Ok(true)
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
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.socket).poll_read(context, buffer))?;
        self.activity.received();
        Poll::Ready(Ok(()))
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
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
