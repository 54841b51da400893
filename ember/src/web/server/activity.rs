//! What a connection is doing, for the reaper.
//!
//! One sweep over all connections replaces a timer for each: a request costs a few relaxed
//! stores instead of a timer's registration.

use super::handover::Handover;
use super::limits::ServerLimits;
use super::progress::{Open, Progress, Streams};
use super::ticks::Ticks;
#[cfg(feature = "websocket")]
use crate::web::takeover::Takeover;
use futures_util::task::AtomicWaker;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};

/// What one connection is doing.
#[derive(Debug)]
pub(super) struct Activity {
    ticks: Ticks,
    /// A [`Protocol`].
    protocol: AtomicU8,
    /// How many requests have begun.
    requests: AtomicU32,
    /// Requests whose answers are not yet written.
    in_flight: AtomicU32,
    /// Those among them that are answered by a stream of events.
    event_streams: AtomicU32,
    /// The streams of HTTP/2 that are open, or whose last bytes are not yet on their way.
    streams: Streams,
    /// A header section has begun to arrive.
    reading_head: AtomicBool,
    /// A part of a header section is there.
    within_head: AtomicBool,
    /// Requests that have arrived whole, or [`MORE`].
    arrived: AtomicU32,
    /// Bodies of requests that somebody may still read, or that were dropped before their end.
    reading: AtomicU32,
    handover: Handover,
    /// When the connection became idle, or the header section began.
    since: AtomicU32,
    /// Bytes were written and are not all sent.
    unsent: AtomicBool,
    /// The client does not take what is sent to it.
    stalled: AtomicBool,
    stalled_since: AtomicU32,
    /// Below a layer of encryption it is watched what the client takes.
    below: AtomicBool,
    closing: AtomicBool,
    closing_since: AtomicU32,
    waker: AtomicWaker,
    /// What follows HTTP on this connection, once a request asks for something else.
    #[cfg(feature = "websocket")]
    takeover: std::sync::OnceLock<Takeover>,
}

/// More has arrived than whole requests, or the connection is not to stay open after the last one.
pub(super) const MORE: u32 = u32::MAX;

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1 = 0,
    Http2 = 1,
    /// What both sides have agreed to speak instead of HTTP; idleness is theirs to judge.
    Upgraded = 2,
    /// The handshake of TLS, which has a limit of its own.
    #[cfg(feature = "tls")]
    Handshake = 3,
}

/// What is to become of a connection that has used up one of its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// It is told to close.
    Close,
    /// It is cut.
    Cut,
}

impl Activity {
    pub(super) fn new(ticks: Ticks) -> Arc<Self> {
        let since = AtomicU32::new(ticks.now());
        Arc::new(Self {
            ticks,
            protocol: AtomicU8::new(Protocol::Http1 as u8),
            requests: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
            event_streams: AtomicU32::new(0),
            streams: Streams::default(),
            // A new connection owes its first request within the time of a header section.
            reading_head: AtomicBool::new(true),
            within_head: AtomicBool::new(false),
            arrived: AtomicU32::new(0),
            reading: AtomicU32::new(0),
            handover: Handover::default(),
            since,
            unsent: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            stalled_since: AtomicU32::new(0),
            below: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            closing_since: AtomicU32::new(0),
            waker: AtomicWaker::new(),
            #[cfg(feature = "websocket")]
            takeover: std::sync::OnceLock::new(),
        })
    }

    /// Another protocol is spoken from now on.
    pub(super) fn speaks(&self, protocol: Protocol) {
        self.protocol.store(protocol as u8, Relaxed);
        if protocol == Protocol::Http2 {
            // Its client has shown that it is one, and may keep the connection for later.
            self.reading_head.store(false, Relaxed);
        }
        self.renew();
    }

    pub(super) fn is(&self, protocol: Protocol) -> bool {
        self.protocol.load(Relaxed) == protocol as u8
    }

    fn speaks_http(&self) -> bool {
        self.is(Protocol::Http1) || self.is(Protocol::Http2)
    }

    fn renew(&self) {
        self.since.store(self.ticks.now(), Relaxed);
    }

    /// Bytes have arrived.
    pub(super) fn received(&self) {
        // In HTTP/2 they may be anything, such as an answer to a ping.
        if self.in_flight.load(Relaxed) == 0
            && self.is(Protocol::Http1)
            && !self.reading_head.swap(true, Relaxed)
        {
            self.renew();
        }
    }

    /// A header section has begun and is not complete, or the other way round.
    pub(super) fn within_head(&self, within: bool) {
        self.within_head.store(within, Relaxed);
    }

    /// So many requests have arrived whole, or [`MORE`].
    pub(super) fn arrived(&self, requests: u32) {
        self.arrived.store(requests, Relaxed);
    }

    /// Somebody may read the body of a request until what is returned is dropped.
    pub(super) fn reading(self: &Arc<Self>) -> Reading {
        self.reading.fetch_add(1, Relaxed);
        Reading { activity: self.clone(), ended: false }
    }

    /// Where the body of an event stream stands.
    pub(super) fn handover(&self) -> &Handover {
        &self.handover
    }

    /// Tells whether an event stream waits for its next event, and there is nothing else to do: all
    /// that was received is dealt with, and all that was said is sent.
    pub(super) fn only_waits_for_events(&self) -> bool {
        self.handover.waits()
            && self.arrived.load(Relaxed) == self.requests.load(Relaxed)
            && self.reading.load(Relaxed) == 0
            && !self.unsent.load(Relaxed)
            && !self.closing.load(Relaxed)
    }

    /// Tells whether nothing is lost when the connection closes now.
    pub(super) fn may_close(&self) -> bool {
        !self.within_head.load(Relaxed)
    }

    /// Bytes were sent, or could not be; there may be more.
    pub(super) fn wrote(&self, stalled: bool) {
        self.unsent.store(true, Relaxed);
        if !self.below.load(Relaxed) {
            self.stalls(stalled);
        }
    }

    /// What the client takes is told by [`wrote_below`](Self::wrote_below) from now on.
    #[cfg(feature = "tls")]
    pub(super) fn watch_below(&self) {
        self.below.store(true, Relaxed);
    }

    /// Encrypted bytes were sent, or could not be.
    #[cfg(feature = "tls")]
    pub(super) fn wrote_below(&self, stalled: bool) {
        self.stalls(stalled);
    }

    fn stalls(&self, stalled: bool) {
        if self.stalled.load(Relaxed) != stalled {
            self.stalled_since.store(self.ticks.now(), Relaxed);
            self.stalled.store(stalled, Relaxed);
        }
    }

    /// There are bytes on their way to the socket.
    pub(super) fn buffered(&self) {
        self.unsent.store(true, Relaxed);
    }

    /// Nothing is left to send.
    pub(super) fn sent(&self) {
        self.unsent.store(false, Relaxed);
        self.stalled.store(false, Relaxed);
    }

    /// A stream of HTTP/2 begins.
    pub(super) fn begin_stream(&self) -> Arc<Progress> {
        self.streams.begin(&self.ticks)
    }

    /// A request is complete enough to be answered. Returns which one of the connection it is.
    pub(super) fn begin(self: &Arc<Self>) -> (InFlight, u32) {
        self.reading_head.store(false, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        let number = self.requests.fetch_add(1, Relaxed).saturating_add(1);
        (InFlight { activity: self.clone(), stream: false }, number)
    }

    /// Asks the connection to close as soon as nothing is under way.
    pub(super) fn close(&self) {
        if !self.closing.swap(true, Relaxed) {
            self.closing_since.store(self.ticks.now(), Relaxed);
            self.waker.wake();
        }
        #[cfg(feature = "websocket")]
        if let Some(takeover) = self.takeover.get() {
            takeover.close();
        }
    }

    /// Lets a request take the connection over.
    #[cfg(feature = "websocket")]
    pub(super) fn takeover(&self) -> &Takeover {
        let takeover = self.takeover.get_or_init(Takeover::default);
        if self.closing.load(Relaxed) {
            takeover.close();
        }
        takeover
    }

    /// What has taken the connection over, now that it has left HTTP.
    #[cfg(feature = "websocket")]
    pub(super) fn taken_over(&self) -> Option<crate::web::takeover::Work> {
        self.takeover.get()?.take()
    }

    /// Tells the connection whether it was asked to close; it is woken when it is.
    pub(super) fn poll_closing(&self, waker: &std::task::Waker) -> bool {
        self.waker.register(waker);
        self.closing.load(Relaxed)
    }

    /// Tells whether the connection was asked to close.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// Tells whether an event stream is open, which can be ended well.
    pub(super) fn streams_events(&self) -> bool {
        self.event_streams.load(Relaxed) > 0
    }

    /// Tells whether the connection has used up one of its times.
    pub(super) fn overdue(&self, limits: &ServerLimits) -> Option<Overdue> {
        if self.stalled.load(Relaxed)
            && self.ticks.passed(self.stalled_since.load(Relaxed), limits.write_stall)
        {
            return Some(Overdue::Cut);
        }
        let unsent = self.unsent.load(Relaxed);
        let streams = match self.is(Protocol::Http2) {
            true => self.streams.sweep(limits.write_stall, unsent),
            false => Open::None,
        };
        if streams == Open::Stuck {
            return Some(Overdue::Cut);
        }
        if !self.speaks_http() || self.in_flight.load(Relaxed) > 0 {
            return None;
        }
        // Seen here, and not when the last byte is sent, which is as often that of an answer to a
        // ping, and no sign of use.
        if unsent || streams == Open::Some {
            self.renew();
            return None;
        }
        if self.closing.load(Relaxed)
            && self.ticks.passed(self.closing_since.load(Relaxed), limits.header_read)
        {
            return Some(Overdue::Cut);
        }
        let since = self.since.load(Relaxed);
        // What has come of it while an answer was made has its time from the end of that.
        if self.reading_head.load(Relaxed) || self.within_head.load(Relaxed) {
            self.ticks.passed(since, limits.header_read).then_some(Overdue::Cut)
        } else {
            self.ticks.passed(since, limits.keep_alive).then_some(Overdue::Close)
        }
    }
}

/// A request whose answer is not yet written; it is when this is dropped.
#[derive(Debug)]
pub(super) struct InFlight {
    activity: Arc<Activity>,
    stream: bool,
}

impl InFlight {
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// The answer is a stream of events.
    pub(super) fn streams_events(&mut self) {
        if !std::mem::replace(&mut self.stream, true) {
            self.activity.event_streams.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.activity.renew();
        self.activity.in_flight.fetch_sub(1, Relaxed);
        if self.stream {
            self.activity.event_streams.fetch_sub(1, Relaxed);
        }
    }
}

/// The body of a request that somebody may read.
///
/// It counts for the rest of the connection when it is dropped before its end was seen. hyper may
/// have resolved then to close the connection after this answer, which it tells nobody but the
/// client.
#[derive(Debug)]
pub(super) struct Reading {
    activity: Arc<Activity>,
    ended: bool,
}

impl Reading {
    /// The end of the body was seen.
    pub(super) fn ended(&mut self) {
        self.ended = true;
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if self.ended {
            self.activity.reading.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::progress::Piece;
    use super::*;
    use crate::base::error::BoxError;
    use http_body::Frame;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    fn limits() -> ServerLimits {
        let second = Duration::from_secs;
        ServerLimits::default().header_read(second(1)).keep_alive(second(2)).write_stall(second(3))
    }

    fn wait(ticks: &Ticks, time: Duration) {
        for _ in 0..=time.as_millis() / ticks.length().as_millis() {
            ticks.advance();
        }
    }

    #[test]
    fn a_connection_is_overdue_by_what_it_is_doing() {
        let limits = limits();
        let ticks = Ticks::new(&limits);
        let activity = Activity::new(ticks.clone());
        wait(&ticks, limits.header_read / 2);
        assert_eq!(activity.overdue(&limits), None, "the first request may still come");
        let request = activity.begin();
        wait(&ticks, limits.keep_alive * 5);
        assert_eq!(activity.overdue(&limits), None, "an answer may take as long as it takes");
        drop(request);
        wait(&ticks, limits.header_read);
        assert_eq!(activity.overdue(&limits), None, "idle is not the same as slow");
        wait(&ticks, limits.keep_alive);
        assert_eq!(activity.overdue(&limits), Some(Overdue::Close), "idle for too long");
    }

    #[test]
    fn what_is_not_sent_is_under_way() {
        let limits = limits();
        let ticks = Ticks::new(&limits);
        let activity = Activity::new(ticks.clone());
        drop(activity.begin());
        for _ in 0..5 {
            activity.wrote(false);
            activity.wrote(true);
            wait(&ticks, limits.keep_alive);
            assert_eq!(activity.overdue(&limits), None, "it goes on, slowly");
        }
        activity.wrote(false);
        activity.sent();
        assert_eq!(activity.overdue(&limits), None, "it is idle from now on");
        wait(&ticks, limits.keep_alive);
        assert_eq!(activity.overdue(&limits), Some(Overdue::Close));
    }

    #[test]
    fn a_header_section_counts_from_its_first_byte() {
        let limits = limits();
        let ticks = Ticks::new(&limits);
        let activity = Activity::new(ticks.clone());
        drop(activity.begin());
        wait(&ticks, limits.header_read);
        activity.received();
        assert_eq!(activity.overdue(&limits), None);
        wait(&ticks, limits.header_read / 2);
        activity.received();
        wait(&ticks, limits.header_read / 2);
        assert_eq!(
            activity.overdue(&limits),
            Some(Overdue::Cut),
            "a byte now and then does not help"
        );
    }

    #[test]
    fn a_client_that_takes_nothing_is_overdue() {
        let limits = limits();
        let ticks = Ticks::new(&limits);
        let activity = Activity::new(ticks.clone());
        let _request = activity.begin();
        activity.wrote(true);
        wait(&ticks, limits.write_stall / 2);
        activity.wrote(false);
        activity.wrote(true);
        wait(&ticks, limits.write_stall / 2);
        assert_eq!(activity.overdue(&limits), None, "it took something in between");
        wait(&ticks, limits.write_stall);
        assert_eq!(activity.overdue(&limits), Some(Overdue::Cut));
    }

    #[test]
    fn bytes_between_the_requests_of_http2_are_no_slow_header() {
        let limits = limits();
        let ticks = Ticks::new(&limits);
        let activity = Activity::new(ticks.clone());
        activity.speaks(Protocol::Http2);
        drop(activity.begin());
        activity.received();
        wait(&ticks, limits.header_read);
        assert_eq!(activity.overdue(&limits), None);
        // An answer to a ping.
        activity.wrote(false);
        activity.sent();
        wait(&ticks, limits.keep_alive);
        assert_eq!(activity.overdue(&limits), Some(Overdue::Close));
        activity.close();
        wait(&ticks, limits.header_read);
        assert_eq!(activity.overdue(&limits), Some(Overdue::Cut), "it was asked to close");
    }

    /// Says an event, and then nothing.
    struct Quiet(bool);

    impl http_body::Body for Quiet {
        type Data = Piece;
        type Error = BoxError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Piece>, BoxError>>> {
            match std::mem::replace(&mut self.0, true) {
                false => Poll::Ready(Some(Ok(Frame::data(Piece::plain("a".into()))))),
                true => Poll::Pending,
            }
        }
    }

    #[test]
    fn an_event_stream_waits_when_nothing_else_is_to_be_done() {
        let activity = Activity::new(Ticks::new(&limits()));
        let mut context = Context::from_waker(Waker::noop());
        activity.arrived(1);
        let mut reading = activity.reading();
        let (_in_flight, _) = activity.begin();
        assert!(!activity.only_waits_for_events(), "there is no stream");
        activity.handover().put(Box::pin(Quiet(false)));
        assert!(activity.handover().poll_frame(&mut context).is_ready());
        activity.wrote(false);
        assert!(!activity.only_waits_for_events(), "there was an event");
        assert!(activity.handover().poll_frame(&mut context).is_pending());
        assert!(!activity.only_waits_for_events(), "it is not sent");
        activity.sent();
        assert!(!activity.only_waits_for_events(), "the body of the request is still read");
        reading.ended();
        drop(reading);
        assert!(activity.only_waits_for_events());
        activity.arrived(MORE);
        assert!(!activity.only_waits_for_events(), "a part of a request is there");
        activity.arrived(2);
        assert!(!activity.only_waits_for_events(), "a request is there");
        activity.arrived(1);
        assert!(activity.only_waits_for_events());
        activity.buffered();
        assert!(!activity.only_waits_for_events(), "something is on its way to the socket");
        activity.sent();
        assert!(activity.only_waits_for_events());
        assert!(activity.handover().take().is_some());
        assert!(!activity.only_waits_for_events(), "the stream is with somebody else");
    }

    #[test]
    fn a_body_that_was_given_up_is_not_forgotten() {
        let activity = Activity::new(Ticks::new(&limits()));
        let mut context = Context::from_waker(Waker::noop());
        activity.arrived(1);
        let (_in_flight, _) = activity.begin();
        activity.handover().put(Box::pin(Quiet(true)));
        assert!(activity.handover().poll_frame(&mut context).is_pending());
        assert!(activity.only_waits_for_events());
        drop(activity.reading());
        assert!(!activity.only_waits_for_events());
    }

    #[test]
    fn half_a_header_section_that_came_early_is_not_idle() {
        let limits = limits();
        let ticks = Ticks::new(&limits);
        let activity = Activity::new(ticks.clone());
        let request = activity.begin();
        activity.within_head(true);
        wait(&ticks, limits.keep_alive);
        drop(request);
        assert_eq!(activity.overdue(&limits), None);
        wait(&ticks, limits.header_read);
        assert_eq!(activity.overdue(&limits), Some(Overdue::Cut));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn a_handshake_has_a_limit_of_its_own() {
        let limits = limits();
        let ticks = Ticks::new(&limits);
        let activity = Activity::new(ticks.clone());
        activity.speaks(Protocol::Handshake);
        wait(&ticks, limits.keep_alive * 5);
        assert_eq!(activity.overdue(&limits), None);
        activity.speaks(Protocol::Http1);
        assert_eq!(activity.overdue(&limits), None, "the first request may still come");
        wait(&ticks, limits.header_read);
        assert_eq!(activity.overdue(&limits), Some(Overdue::Cut));
    }

    #[test]
    fn another_protocol_may_be_silent() {
        let limits = limits();
        let ticks = Ticks::new(&limits);
        let activity = Activity::new(ticks.clone());
        drop(activity.begin());
        activity.speaks(Protocol::Upgraded);
        wait(&ticks, limits.keep_alive * 5);
        assert_eq!(activity.overdue(&limits), None);
    }
}
