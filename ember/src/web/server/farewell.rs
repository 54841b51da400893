//! The last word of event streams that a stopping server cannot let finish.

use crate::base::Error;
use crate::base::sse::{Event, SseWriter};
use crate::web::response::Ending;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, Response};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// Tells the event streams of a worker that their time is over.
#[derive(Debug, Clone, Default)]
pub(super) struct Farewell(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    said: AtomicBool,
    notify: Arc<Notify>,
}

impl Farewell {
    /// Ends the streams.
    pub(super) fn say(&self) {
        self.0.said.store(true, Relaxed);
        self.0.notify.notify_waiters();
    }

    /// Tells whether the streams are to end.
    pub(super) fn is_said(&self) -> bool {
        self.0.said.load(Relaxed)
    }

    /// Watches over a response if it is a stream of events that can be read as it stands.
    pub(super) fn watch<B>(&self, response: &Response<B>) -> Option<Box<LastWord>> {
        let headers = response.headers();
        const MEDIA_TYPE: &[u8] = b"text/event-stream";
        let is_events = |value: &HeaderValue| {
            let start = value.as_bytes().get(..MEDIA_TYPE.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(MEDIA_TYPE))
        };
        let watched = headers.get(CONTENT_TYPE).is_some_and(is_events)
            && !headers.contains_key(CONTENT_ENCODING);
        watched.then(|| {
            Box::new(LastWord {
                farewell: self.clone(),
                word: response.extensions().get().map(|Ending(event)| event.clone()),
                waiting: None,
                tail: [b'\n'; 2],
                gleaned: false,
                over: false,
            })
        })
    }
}

/// What a stream of events ends with when the server stops: its own [`Ending`], or else an event
/// named `error` with a problem document of status 503, and then the end of the body as of one that
/// is complete.
///
/// That is how a stream ends whose own events fail, so clients need not know a second way. It is
/// said only between two events; a stream that was cut within one cannot be ended well.
#[derive(Debug)]
pub(super) struct LastWord {
    farewell: Farewell,
    word: Option<Event>,
    waiting: Option<Pin<Box<OwnedNotified>>>,
    /// The last two bytes that were sent.
    tail: [u8; 2],
    /// The stream was asked for what it has gathered.
    gleaned: bool,
    over: bool,
}

/// How often a stream is asked for what it has gathered.
const ASKED: usize = 32;

/// Remembers that it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

impl LastWord {
    /// Bytes of the stream were sent.
    pub(super) fn sent(&mut self, data: &[u8]) {
        match data {
            [.., before, last] => self.tail = [*before, *last],
            [last] => self.tail = [self.tail[1], *last],
            [] => {}
        }
    }

    /// Tells whether nothing is to follow.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// The last word, when it is time for it. To be asked before each piece of the stream.
    pub(super) fn now(&mut self) -> Option<Bytes> {
        let said = self.farewell.is_said() && !self.over;
        if !said || !matches!(&self.tail, b"\n\n" | b"\r\r") {
            return None;
        }
        self.over = true;
        let word = self.word.take().unwrap_or_else(|| {
            let error = Error::unavailable("The server is stopping.");
            let problem = serde_json::to_string(&error.problem()).unwrap_or_default();
            Event::data(problem).event("error")
        });
        let mut writer = SseWriter::new();
        writer.event(&word);
        Some(writer.take())
    }

    /// Asks the stream once for what it has taken from its source and not yet given, when it is time
    /// for the last word.
    ///
    /// A stream that waits for others to have a turn wakes itself first, and has its next turn here.
    pub(super) fn glean<T>(
        &mut self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Option<T> {
        if !self.farewell.is_said() || std::mem::replace(&mut self.gleaned, true) {
            return None;
        }
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut context = Context::from_waker(&waker);
        for _ in 0..ASKED {
            if let Poll::Ready(gathered) = poll(&mut context) {
                return Some(gathered);
            }
            if !woken.0.swap(false, Relaxed) {
                break;
            }
        }
        None
    }

    /// Waits for the time of the last word, while the stream itself has nothing to send.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Bytes> {
        let notify = &self.farewell.0.notify;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(notify.clone().notified_owned()));
        if waiting.as_mut().poll(context).is_ready() {
            self.waiting = None;
        }
        // Asked after the wait has begun, so that nothing is missed in between.
        self.now().map_or(Poll::Pending, Poll::Ready)
    }
}
