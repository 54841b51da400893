use super::{IntoResponse, Response};
use crate::base::Error;
use crate::base::error::BoxError;
use crate::base::sse::{Event, SseWriter};
use crate::web::body::Body;
use crate::web::operation::{Content, Operation, Outcome, Status};
use bytes::Bytes;
use futures_core::Stream;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http_body::Frame;
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// A response that streams events.
///
/// Events that are ready at once leave in one write; a lone one leaves immediately. Those that
/// follow it without a pause, such as the tokens that a model sends in one piece, are gathered. While
/// nothing is ready, a comment is sent from time to time, so that proxies keep the connection
/// open. An `Err` becomes an event named `error` with the public half of the error, and ends
/// the stream.
///
/// ```
/// use ember::prelude::*;
/// use ember::futures_util::{StreamExt as _, stream};
///
/// #[get("/count")]
/// async fn count() -> Sse {
///     Sse::new(stream::iter(0..3).map(|n| Event::data(n.to_string())))
/// }
/// ```
#[doc(alias = "SSEResponse")]
pub struct Sse {
    body: Pin<Box<dyn SetKeepAlive>>,
    ending: Option<Event>,
}

/// What a stream ends with when the server stops, in the extensions of its response.
#[derive(Debug, Clone)]
pub(crate) struct Ending(
    #[cfg_attr(not(feature = "server"), expect(dead_code, reason = "only a server stops"))]
    pub(crate) Event,
);

/// How long nothing may be sent before a comment is, unless [`Sse::keep_alive`] says otherwise.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How many bytes of ready events are gathered before they are written.
const COALESCE: usize = 16 * 1024;

/// How often the events of a burst wait until everybody else who is ready has had a turn.
const TURNS: u8 = 16;

/// How close upon each other the events come.
enum Pace {
    /// Nothing has come lately: the next event leaves at once.
    Calm,
    /// Events have just left.
    Sent,
    /// Others are having a turn. If it brings an event, that one may wait for so many more turns.
    Turn(u8),
}

impl Sse {
    /// A response that sends the events of a stream.
    pub fn new<S>(events: S) -> Self
    where
        S: Stream<Item: IntoEvent> + Send + 'static,
    {
        Self {
            body: Box::pin(SseBody {
                events,
                writer: SseWriter::new(),
                keep_alive: Some(KEEP_ALIVE),
                timer: None,
                pace: Pace::Calm,
                sent: false,
                ended: false,
            }),
            ending: None,
        }
    }

    /// Sets how long nothing may be sent before a comment is.
    #[must_use]
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.body.as_mut().set_keep_alive(Some(interval));
        self
    }

    /// Sets what the stream ends with when the server stops, in place of an event `error` with a
    /// problem document: for readers who know another word for it.
    #[must_use]
    pub fn ending(mut self, event: Event) -> Self {
        self.ending = Some(event);
        self
    }

    /// Sends no comments.
    #[must_use]
    pub fn without_keep_alive(mut self) -> Self {
        self.body.as_mut().set_keep_alive(None);
        self
    }
}

impl fmt::Debug for Sse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sse")
    }
}

impl IntoResponse for Sse {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::new(self.body));
        if let Some(event) = self.ending {
            response.extensions_mut().insert(Ending(event));
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        // nginx buffers a response unless it is told not to.
        headers
            .insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        response
    }

    fn describe(operation: &mut Operation) {
        let events = Content::events();
        let meaning = "Events as they happen. One that is named `error` ends the stream with a problem document.";
        operation.outcome(Outcome::new(Status::OK).description(meaning).content(events));
    }
}

/// What a stream of events may consist of: events, or results of events.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no event",
    note = "a stream of events yields `Event` or `Result<Event, ember::Error>`; `Event::data(text)` makes one"
)]
pub trait IntoEvent: Send {
    /// Makes the event, or says why the stream is broken.
    ///
    /// # Errors
    /// Whatever the stream itself reports.
    fn into_event(self) -> Result<Event, Error>;
}

impl IntoEvent for Event {
    fn into_event(self) -> Result<Event, Error> {
        Ok(self)
    }
}

impl<E: Into<Error> + Send> IntoEvent for Result<Event, E> {
    fn into_event(self) -> Result<Event, Error> {
        self.map_err(Into::into)
    }
}

/// The event that tells a client that its stream is broken.
fn error_event(error: &Error) -> Event {
    tracing::warn!(%error, "an event stream broke");
    let problem = serde_json::to_string(&error.problem()).unwrap_or_default();
    Event::data(problem).event("error")
}

trait SetKeepAlive: http_body::Body<Data = Bytes, Error = BoxError> + Send {
    fn set_keep_alive(self: Pin<&mut Self>, interval: Option<Duration>);
}

pin_project! {
    struct SseBody<S> {
        #[pin]
        events: S,
        writer: SseWriter,
        keep_alive: Option<Duration>,
        timer: Option<Pin<Box<Sleep>>>,
        pace: Pace,
        // Whether anything was sent since the timer was set.
        sent: bool,
        ended: bool,
    }
}

impl<S: Stream<Item: IntoEvent> + Send> SetKeepAlive for SseBody<S> {
    fn set_keep_alive(self: Pin<&mut Self>, interval: Option<Duration>) {
        *self.project().keep_alive = interval;
    }
}

impl<S: Stream<Item: IntoEvent>> http_body::Body for SseBody<S> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        let mut came = false;
        while !*this.ended && this.writer.len() < COALESCE {
            match this.events.as_mut().poll_next(context) {
                Poll::Ready(Some(item)) => {
                    came = true;
                    match item.into_event() {
                        Ok(event) => this.writer.event(&event),
                        Err(error) => {
                            this.writer.event(&error_event(&error));
                            *this.ended = true;
                        }
                    }
                }
                Poll::Ready(None) => *this.ended = true,
                Poll::Pending if this.pace.waits(came) => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => break,
            }
        }
        if this.writer.is_empty() && !*this.ended {
            poll_keep_alive(this.timer, *this.keep_alive, this.sent, this.writer, context);
        }
        if !this.writer.is_empty() {
            *this.sent = true;
            *this.pace = Pace::Sent;
            return Poll::Ready(Some(Ok(Frame::data(this.writer.take()))));
        }
        if *this.ended {
            return Poll::Ready(None);
        }
        // It may be long until the next event.
        this.writer.rest();
        Poll::Pending
    }
}

impl Pace {
    /// Tells whether to look again for an event when others have had a turn; none is ready now.
    ///
    /// Who makes the events is often another task, which hands over one in each turn, as hyper's
    /// client does with what it has read at once. A turn costs less than a write. Only a burst is
    /// waited for: its first event has left, and so a lone one is never late.
    ///
    /// hyper's HTTP/1 asks a body twice in each turn of its task. A stream that stays there, as that
    /// of a client that asks to close, finds nothing the second time and gathers nothing.
    fn waits(&mut self, came: bool) -> bool {
        let next = match self {
            Self::Sent => Self::Turn(TURNS),
            Self::Turn(left @ 1..) if came => Self::Turn(*left - 1),
            _ => Self::Calm,
        };
        *self = next;
        !matches!(self, Self::Calm)
    }
}

/// Writes a comment if nothing was sent for about the interval.
///
/// The timer is not reset for every event, which would cost more than the event: it looks
/// twice in each interval whether anything was sent since it last looked.
fn poll_keep_alive(
    timer: &mut Option<Pin<Box<Sleep>>>,
    interval: Option<Duration>,
    sent: &mut bool,
    writer: &mut SseWriter,
    context: &mut Context<'_>,
) {
    let Some(interval) = interval else { return };
    let timer = timer.get_or_insert_with(|| Box::pin(sleep(interval / 2)));
    while timer.as_mut().poll(context).is_ready() {
        timer.as_mut().reset(Instant::now() + interval / 2);
        if !std::mem::take(sent) {
            writer.comment("keep-alive");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body::Body as _;
    use http_body_util::BodyExt as _;

    async fn frames(sse: Sse) -> Vec<String> {
        let mut body = sse.into_response().into_body();
        let mut frames = Vec::new();
        while let Some(data) = body.data().await.unwrap() {
            frames.push(String::from_utf8(data.to_vec()).unwrap());
        }
        frames
    }

    #[tokio::test]
    async fn ready_events_leave_together() {
        let sse = Sse::new(stream::iter(["a", "b"].map(Event::data)));
        assert_eq!(frames(sse).await, ["data: a\n\ndata: b\n\n"]);
    }

    #[tokio::test]
    async fn a_lone_event_leaves_at_once() {
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<Event>(1);
        let events = stream::poll_fn(move |context| receiver.poll_recv(context));
        let mut body = Sse::new(events).into_response().into_body();
        for text in ["a", "b"] {
            sender.send(Event::data(text)).await.unwrap();
            assert_eq!(body.data().await.unwrap().unwrap(), format!("data: {text}\n\n"));
        }
        drop(sender);
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_burst_leaves_together_behind_its_first_event() {
        // Another task hands over one event in each turn.
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<Event>(1);
        tokio::spawn(async move {
            for number in 0..3 * usize::from(TURNS) {
                sender.send(Event::data(number.to_string())).await.unwrap();
            }
        });
        let frames =
            frames(Sse::new(stream::poll_fn(move |context| receiver.poll_recv(context)))).await;
        assert!(frames[0] == "data: 0\n\n" && frames.len() < 6, "{frames:?}");
        let whole: String = (0..3 * TURNS).map(|number| format!("data: {number}\n\n")).collect();
        assert_eq!(frames.concat(), whole);
    }

    #[test]
    fn an_event_after_a_pause_is_not_waited_with() {
        let mut pace = Pace::Sent;
        assert!(pace.waits(false), "perhaps more comes");
        assert!(!pace.waits(false), "no");
        assert!(!pace.waits(true), "a lone one");
        pace = Pace::Sent;
        assert!(pace.waits(false) && pace.waits(true));
        assert!(!pace.waits(false), "the burst is over");
        pace = Pace::Sent;
        assert!(pace.waits(false));
        let turns = std::iter::repeat_with(|| pace.waits(true)).take_while(|waits| *waits);
        assert_eq!(turns.count(), usize::from(TURNS), "not for ever");
    }

    #[tokio::test]
    async fn no_room_is_kept_for_the_largest_burst() {
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<Event>(1);
        let events = stream::poll_fn(move |context| receiver.poll_recv(context));
        let mut body = Sse::new(events).into_response().into_body();
        sender.send(Event::data("x".repeat(COALESCE))).await.unwrap();
        let large = body.data().await.unwrap().unwrap();
        let mut context = Context::from_waker(std::task::Waker::noop());
        // One turn for what may follow, and then it is quiet.
        for _ in 0..2 {
            assert!(Pin::new(&mut body).poll_frame(&mut context).is_pending());
        }
        assert!(large.is_unique(), "the writer keeps it");
        sender.send(Event::data("a")).await.unwrap();
        assert_eq!(body.data().await.unwrap().unwrap(), "data: a\n\n");
    }

    #[tokio::test]
    async fn an_error_is_told_and_ends_the_stream() {
        let events =
            [Ok(Event::data("a")), Err(Error::unavailable("Gone.")), Ok(Event::data("never"))];
        let text = frames(Sse::new(stream::iter(events))).await.concat();
        assert!(text.starts_with("data: a\n\nevent: error\ndata: {"), "{text}");
        assert!(text.contains("Gone.") && !text.contains("never"), "{text}");
    }

    #[tokio::test]
    async fn silence_is_filled_with_comments() {
        let sse = Sse::new(stream::pending::<Event>()).keep_alive(Duration::from_millis(2));
        let mut body = sse.into_response().into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), ": keep-alive\n\n");
    }
}
