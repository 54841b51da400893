//! Whether the client of HTTP/2 takes what its streams have for it.
//!
//! A client says for each stream, and for all of them together, how many bytes it will take (flow
//! control, RFC 9113 §5.2). What is beyond waits in the server, while the socket is well and other
//! streams go on. So what HTTP/1 tells by its socket, HTTP/2 must tell by each piece of a body.

use super::ticks::Ticks;
use bytes::{Buf, Bytes};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tokio::task::AbortHandle;

/// One stream. It is open while a reference is held: by its task, or by a [`Piece`] of it.
#[derive(Debug)]
pub(super) struct Progress {
    ticks: Ticks,
    /// Pieces that are not yet on their way to the client.
    pieces: AtomicU32,
    /// When a piece was last given, or a part of one taken.
    since: AtomicU32,
    task: OnceLock<AbortHandle>,
}

impl Progress {
    fn renew(&self) {
        self.since.store(self.ticks.now(), Relaxed);
    }

    /// The task that answers, with which the stream ends.
    pub(super) fn runs_in(&self, task: AbortHandle) {
        let _ = self.task.set(task);
    }

    /// Ends the stream (RST_STREAM). Returns whether it could be: its task may be over.
    fn end(&self) -> bool {
        let running = self.task.get().filter(|task| !task.is_finished());
        running.map(AbortHandle::abort).is_some()
    }
}

/// The streams of one connection.
#[derive(Debug, Default)]
pub(super) struct Streams(Mutex<Vec<Weak<Progress>>>);

/// What a look at the streams of a connection has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    None,
    Some,
    /// A stream is stuck whose task is over, so that only the connection can be ended.
    Stuck,
}

impl Streams {
    /// Begins a stream.
    pub(super) fn begin(&self, ticks: &Ticks) -> Arc<Progress> {
        let since = AtomicU32::new(ticks.now());
        let ticks = ticks.clone();
        let pieces = AtomicU32::new(0);
        let progress = Arc::new(Progress { ticks, pieces, since, task: OnceLock::new() });
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if streams.len() == streams.capacity() {
            streams.retain(|stream| stream.strong_count() > 0);
        }
        streams.push(Arc::downgrade(&progress));
        progress
    }

    /// Ends streams of which the client has taken nothing for so long.
    ///
    /// While the socket itself is busy, each stream waits for the others and none is to blame.
    pub(super) fn sweep(&self, limit: Duration, socket_is_busy: bool) -> Open {
        let mut open = Open::None;
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        streams.retain(|stream| {
            let Some(stream) = stream.upgrade() else { return false };
            open = if open == Open::None { Open::Some } else { open };
            if socket_is_busy {
                stream.renew();
            } else if stream.pieces.load(Relaxed) > 0
                && stream.ticks.passed(stream.since.load(Relaxed), limit)
            {
                if !stream.end() {
                    open = Open::Stuck;
                }
                stream.renew();
            }
            true
        });
        open
    }
}

/// Bytes of a body on their way to the socket; in HTTP/2 they tell when they are taken.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Bytes,
    of: Option<Arc<Progress>>,
}

impl Piece {
    /// Bytes that nobody watches.
    pub(super) fn plain(bytes: Bytes) -> Self {
        Self { bytes, of: None }
    }

    /// Bytes of a stream.
    pub(super) fn of(stream: &Arc<Progress>, bytes: Bytes) -> Self {
        if stream.pieces.fetch_add(1, Relaxed) == 0 {
            stream.renew();
        }
        Self { bytes, of: Some(stream.clone()) }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(stream) = &self.of {
            stream.renew();
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(stream) = &self.of {
            stream.pieces.fetch_sub(1, Relaxed);
            stream.renew();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::ServerLimits;
    use super::*;

    const LIMIT: Duration = Duration::from_secs(4);

    fn wait(ticks: &Ticks, time: Duration) {
        for _ in 0..=time.as_millis() / ticks.length().as_millis() {
            ticks.advance();
        }
    }

    #[tokio::test]
    async fn a_stream_ends_when_nothing_of_it_is_taken() {
        let ticks = Ticks::new(&ServerLimits::default());
        let streams = Streams::default();
        assert_eq!(streams.sweep(LIMIT, false), Open::None);
        let stream = streams.begin(&ticks);
        let task = tokio::spawn(std::future::pending::<()>());
        stream.runs_in(task.abort_handle());
        wait(&ticks, LIMIT * 2);
        assert_eq!(streams.sweep(LIMIT, false), Open::Some, "it has nothing to take");
        let mut piece = Piece::of(&stream, Bytes::from_static(b"abc"));
        wait(&ticks, LIMIT / 2);
        piece.advance(1);
        wait(&ticks, LIMIT / 2);
        assert_eq!(streams.sweep(LIMIT, false), Open::Some);
        assert!(!task.is_finished(), "something was taken in between");
        wait(&ticks, LIMIT);
        assert_eq!(streams.sweep(LIMIT, true), Open::Some, "the socket is to blame");
        wait(&ticks, LIMIT / 2);
        streams.sweep(LIMIT, false);
        tokio::task::yield_now().await;
        assert!(!task.is_finished());
        wait(&ticks, LIMIT);
        assert_eq!(streams.sweep(LIMIT, false), Open::Some, "it ends alone");
        assert!(task.await.unwrap_err().is_cancelled());
        drop(stream);
        wait(&ticks, LIMIT);
        assert_eq!(streams.sweep(LIMIT, false), Open::Stuck, "it is over and the piece is not");
        drop(piece);
        assert_eq!(streams.sweep(LIMIT, false), Open::None);
    }

    #[test]
    fn streams_that_are_over_are_forgotten() {
        let ticks = Ticks::new(&ServerLimits::default());
        let streams = Streams::default();
        let open = streams.begin(&ticks);
        for _ in 0..10_000 {
            streams.begin(&ticks);
        }
        assert!(streams.0.lock().unwrap().capacity() < 16);
        drop(open);
    }
}
