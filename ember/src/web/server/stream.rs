use super::activity::{Activity, MORE, Protocol};
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
        while !self.is_ahead() {
            let mut buffer = ReadBuf::new(&mut self.first);
            ready!(Pin::new(&mut self.socket).poll_read(context, &mut buffer))?;
            let end = buffer.filled().len();
            if end == 0 {
                return Poll::Ready(Ok(false));
            }
            let before = self.framing.arrived();
            let first = self.first;
            let fine = self.follow(&first[..end]);
            // Empty lines before a request are skipped (RFC 9112 §2.2), and announce none.
            let only_empty_lines = before != MORE && before == self.framing.arrived();
            if !only_empty_lines || self.refused.is_some() {
                self.pending = 0..fine;
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Tells whether anything was [read ahead](Self::poll_ahead) and is still to be dealt with.
    pub(super) fn is_ahead(&self) -> bool {
        !self.pending.is_empty() || self.refused.is_some()
    }

    /// Keeps no more than it must while nothing comes.
    pub(super) fn rest(&mut self) {
        self.framing.rest();
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
        // hyper is to say so behind the answers before, whoever sends the last of them.
        self.activity.arrived(MORE);
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

/// How many times bytes of no use are read before a connection is closed.
const LAST_READS: usize = 16;

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    /// Closes the connection: all is said.
    ///
    /// # Errors
    /// When the client has gone.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        poll_fn(|context| Pin::new(&mut self.socket).poll_shutdown(context)).await?;
        // A socket that is closed with bytes unread is reset, which may take from the client what it
        // has not read yet.
        let mut bytes = vec![0; 4096];
        poll_fn(|context| {
            for _ in 0..LAST_READS {
                let mut buffer = ReadBuf::new(&mut bytes);
                let read = Pin::new(&mut self.socket).poll_read(context, &mut buffer)?;
                if read.is_pending() || buffer.filled().is_empty() {
                    break;
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
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
            // A header section that has begun early takes its time from here on.
            self.activity.received();
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

#[cfg(test)]
mod tests {
    use super::super::activity::Overdue;
    use super::super::limits::ServerLimits;
    use super::super::ticks::Ticks;
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::Waker;
    use std::time::Duration;

    fn limits() -> ServerLimits {
        let second = Duration::from_secs;
        ServerLimits::default().header_read(second(4)).keep_alive(second(60)).write_stall(second(4))
    }

    fn wait(ticks: &Ticks, time: Duration) {
        for _ in 0..=time.as_millis() / ticks.length().as_millis() {
            ticks.advance();
        }
    }

    /// Says what it is told to, and takes so many bytes.
    #[derive(Debug, Default)]
    struct Fake {
        says: Vec<u8>,
        room: Arc<AtomicUsize>,
    }

    impl AsyncRead for Fake {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let count = self.says.len().min(buffer.remaining());
            buffer.put_slice(&self.says[..count]);
            self.says.drain(..count);
            if count == 0 { Poll::Pending } else { Poll::Ready(Ok(())) }
        }
    }

    impl AsyncWrite for Fake {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let count = bytes.len().min(self.room.load(Relaxed));
            self.room.fetch_sub(count, Relaxed);
            if count == 0 { Poll::Pending } else { Poll::Ready(Ok(count)) }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    /// A connection on which a request has been read that is under way.
    fn after_a_request(ticks: &Ticks) -> (Stream<Fake>, Arc<Activity>) {
        let activity = Activity::new(ticks.clone());
        let mut stream = Stream::new(Fake::default(), activity.clone(), 1024);
        assert_eq!(read(&mut stream, GET), GET);
        (stream, activity)
    }

    /// Lets the client say something, and reads all there is.
    fn read(stream: &mut Stream<Fake>, says: &[u8]) -> Vec<u8> {
        stream.socket.says.extend_from_slice(says);
        let mut bytes = [0; 1024];
        let mut buffer = ReadBuf::new(&mut bytes);
        let mut context = Context::from_waker(Waker::noop());
        while Pin::new(&mut *stream).poll_read(&mut context, &mut buffer).is_ready()
            && stream.refused.is_none()
        {}
        buffer.filled().to_vec()
    }

    fn ahead(stream: &mut Stream<Fake>, says: &[u8]) -> bool {
        stream.socket.says.extend_from_slice(says);
        let mut context = Context::from_waker(Waker::noop());
        let ready = stream.poll_ahead(&mut context).is_ready();
        assert_eq!(ready, stream.is_ahead());
        ready
    }

    #[test]
    fn a_header_section_that_begins_early_has_its_time() {
        let limits = limits();
        let ticks = Ticks::new(&limits);
        let (mut stream, activity) = after_a_request(&ticks);
        let request = activity.begin();
        assert!(ahead(&mut stream, b"GET /he"));
        wait(&ticks, limits.header_read);
        drop(request);
        assert_eq!(activity.overdue(&limits), None, "its time begins with its turn");
        assert_eq!(read(&mut stream, b""), b"GET /he");
        wait(&ticks, limits.header_read);
        assert_eq!(activity.overdue(&limits), Some(Overdue::Cut));
    }

    #[test]
    fn empty_lines_announce_nothing() {
        let ticks = Ticks::new(&limits());
        let (mut stream, activity) = after_a_request(&ticks);
        assert!(!ahead(&mut stream, b""));
        assert!(!ahead(&mut stream, &b"\r\n".repeat(50)));
        assert!(activity.may_close());
        assert!(ahead(&mut stream, b"\r\nGET / "));
        assert_eq!(read(&mut stream, b"HTTP/1.1\r\n\r\n"), b"\r\nGET / HTTP/1.1\r\n\r\n");
    }

    #[test]
    fn what_is_refused_ahead_is_told_later() {
        let ticks = Ticks::new(&limits());
        for refused in [&b"\n"[..], b"\r\n\n", b"GET / HTTP/1.1\n"] {
            let (mut stream, _) = after_a_request(&ticks);
            assert!(ahead(&mut stream, refused), "{refused:?}");
            let first = read(&mut stream, b"");
            let told = [first, read(&mut stream, b"")].concat();
            assert_eq!(told, [&refused[..refused.len() - 1], REFUSED].concat());
        }
    }

    /// Takes everything, as rustls does for a while.
    #[cfg(feature = "tls")]
    struct Layer {
        below: super::super::wire::Wire<Fake>,
        held: Vec<u8>,
    }

    #[cfg(feature = "tls")]
    impl AsyncWrite for Layer {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.held.extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            let this = self.get_mut();
            while !this.held.is_empty() {
                let count = ready!(Pin::new(&mut this.below).poll_write(context, &this.held))?;
                this.held.drain(..count);
            }
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn what_a_layer_holds_is_not_taken_by_the_client() {
        let limits = limits();
        let ticks = Ticks::new(&limits);
        let activity = Activity::new(ticks.clone());
        let _request = activity.begin();
        let fake = Fake::default();
        let room = fake.room.clone();
        let below = super::super::wire::Wire::new(fake, activity.clone());
        let layer = Layer { below, held: Vec::new() };
        let mut stream = Stream {
            socket: layer,
            activity: activity.clone(),
            framing: Framing::new(limits.max_header_size),
            refused: None,
            told: false,
            first: [0; PREFACE.len()],
            pending: 0..0,
        };
        let mut context = Context::from_waker(Waker::noop());
        let mut send = |more: usize| {
            room.fetch_add(more, Relaxed);
            let mut stream = Pin::new(&mut stream);
            assert!(stream.as_mut().poll_write(&mut context, b"abc").is_ready());
            let flushed = stream.poll_flush(&mut context).is_ready();
            wait(&ticks, limits.write_stall / 2);
            (flushed, activity.overdue(&limits))
        };
        assert_eq!(send(3), (true, None));
        for _ in 0..4 {
            assert_eq!(send(1), (false, None), "a slow client takes something now and then");
        }
        assert_eq!(send(0), (false, Some(Overdue::Cut)), "the layer has taken it, and nobody else");
    }
}
