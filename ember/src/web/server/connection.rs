use super::activity::{Activity, InFlight, Protocol};
use super::body::{Outgoing, Patience, Whole, from_hyper};
use super::events::{self, Lent, Sent};
use super::farewell::Farewell;
use super::handover::EventBody;
use super::limits::ServerLimits;
use super::refuse;
use super::socket::AnySocket;
use super::stream::Stream;
use super::tasks::{self, Tasks};
use crate::base::error::BoxError;
use crate::web::body::Body;
use crate::web::site::{Answer, Site};
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

/// How many fields hyper allows in a head when nothing is said.
const HYPERS_MAX_HEADERS: usize = 100;

/// How every connection of a worker is served.
#[derive(Debug, Clone)]
pub(super) struct Protocols {
    http1: http1::Builder,
    limits: Arc<ServerLimits>,
}

impl Protocols {
    pub(super) fn new(limits: &ServerLimits) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .max_header_size(limits.max_header_size)
            // The reaper watches over the time that a header section takes.
            .header_read_timeout(None);
        // hyper keeps the fields of a head on the stack only where it was not told their number.
        if limits.max_headers != HYPERS_MAX_HEADERS {
            http1.max_headers(limits.max_headers);
        }
        Self { http1, limits: Arc::new(limits.clone()) }
    }

    fn http2(&self, tasks: Tasks) -> http2::Builder<Tasks> {
        let limits = &self.limits;
        let mut http2 = http2::Builder::new(tasks);
        http2
            .timer(TokioTimer::new())
            .keep_alive_interval(limits.keep_alive)
            .keep_alive_timeout(limits.ping_timeout)
            .max_header_list_size(u32::try_from(limits.max_header_size).unwrap_or(u32::MAX))
            .max_concurrent_streams(limits.max_concurrent_streams)
            .max_pending_accept_reset_streams(limits.max_pending_resets)
            .max_local_error_reset_streams(limits.max_stream_errors);
        http2
    }

    /// Serves one connection to its end.
    pub(super) async fn serve(self, socket: AnySocket, mut peer: Peer) {
        let activity = peer.activity.clone();
        let mut stream = Stream::new(socket, activity.clone(), self.limits.max_header_size);
        let outcome: Result<(), BoxError> = match stream.speaks_http2().await {
            Err(_) => return,
            Ok(false) => loop {
                let connection = self.http1.serve_connection(TokioIo::new(stream), peer);
                let connection = connection.with_upgrades();
                let hyper = Graceful { connection, activity: activity.clone(), closing: false };
                let left = match (UntilEvents { hyper: Some(hyper) }).await {
                    Ok(Some(left)) => left,
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error.into()),
                };
                (stream, peer) = (left.stream, left.peer);
                stream.rest();
                if let Err(error) = events::finish(&mut stream, left.body).await {
                    break Err(error.into());
                }
                // When the time of streams is over, so is that of requests behind them. One that is
                // begun now would be broken off.
                let over = peer.common.farewell.is_said();
                if over || (activity.is_closing() && !stream.is_ahead()) {
                    break stream.close().await.map_err(BoxError::from);
                }
            },
            Ok(true) => {
                let http2 = self.http2(Tasks::of(activity.clone()));
                let connection = http2.serve_connection(TokioIo::new(stream), peer);
                let activity = activity.clone();
                // On the heap, so that connections of HTTP/1 need no room for what it is larger.
                let hyper = Box::pin(Graceful { connection, activity, closing: false });
                hyper.await.map_err(BoxError::from)
            }
        };
        if let Err(error) = outcome {
            // Clients that leave or send nonsense are everyday; the reason helps only a debugger.
            tracing::debug!(%error, "a connection ended early");
        }
        #[cfg(feature = "websocket")]
        if let Some(work) = activity.taken_over() {
            // In this task, so that the connection counts until what has taken it over is done.
            let _in_flight = activity.begin();
            work.await;
        }
    }
}

/// What the connections of a worker have in common.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) site: Arc<Site>,
    pub(super) patience: Patience,
    pub(super) max_requests: u32,
    /// The server was told to stop: each answer is the last of its connection.
    pub(super) stopping: AtomicBool,
    pub(super) farewell: Farewell,
}

/// The service of one connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) common: Arc<Common>,
    pub(super) remote: Option<SocketAddr>,
    #[cfg(unix)]
    pub(super) local: Option<super::unix::UnixPeer>,
    pub(super) activity: Arc<Activity>,
}

impl Service<Request<Incoming>> for Peer {
    type Response = Response<Sent>;
    type Error = Infallible;
    type Future = Serving;

    fn call(&self, request: Request<Incoming>) -> Serving {
        let (mut head, incoming) = request.into_parts();
        let (in_flight, number) = self.activity.begin();
        let version = head.version;
        let last = number >= self.common.max_requests;
        if last && version >= Version::HTTP_2 {
            self.activity.close();
        }
        #[cfg(unix)]
        if let Some(local) = self.local {
            head.extensions.insert(local);
        }
        #[cfg(feature = "websocket")]
        if head.extensions.get::<hyper::upgrade::OnUpgrade>().is_some() {
            let takeover = self.activity.takeover().clone();
            head.extensions.insert(takeover);
        }
        let (in_flight, common) = (Some(in_flight), self.common.clone());
        if let Err(error) = refuse::check(&mut head) {
            let answer = self.common.site.refuse(error);
            return Serving { answer, in_flight, common, version, last: true };
        }
        let body = from_hyper(incoming, self.common.patience, || self.activity.reading());
        let answer = self.common.site.answer_parts(head, body, self.remote);
        Serving { answer, in_flight, common, version, last }
    }
}

/// An answer on its way to hyper.
pub(super) struct Serving {
    answer: Answer,
    in_flight: Option<InFlight>,
    common: Arc<Common>,
    version: Version,
    last: bool,
}

impl Future for Serving {
    type Output = Result<Response<Sent>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Its parts are moved as they are; a whole response would be copied at each step.
        let (mut head, mut body) = ready!(Pin::new(&mut self.answer).poll(context)).into_parts();
        let in_flight = self.in_flight.take();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            if let Some(in_flight) = &in_flight {
                in_flight.activity().speaks(Protocol::Upgraded);
            }
        } else if self.version < Version::HTTP_2
            && (self.last || self.common.stopping.load(Relaxed))
        {
            head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self.version < Version::HTTP_2
            && let Some(bytes) = body.take_whole()
        {
            let whole = Sent::Whole(Whole::new(bytes, in_flight));
            return Poll::Ready(Ok(Response::from_parts(head, whole)));
        }
        let response = Response::from_parts(head, body);
        Poll::Ready(Ok(self.watched(response, in_flight)))
    }
}

impl Serving {
    /// A response whose body is looked after while it is sent.
    fn watched(&self, response: Response<Body>, mut in_flight: Option<InFlight>) -> Response<Sent> {
        // A stream whose length is known is whole already.
        let last_word = match response.body().size_hint().exact() {
            Some(_) => None,
            None => self.common.farewell.watch(&response),
        };
        if last_word.is_some()
            && let Some(in_flight) = &mut in_flight
        {
            in_flight.streams_events();
        }
        let stream = if self.version < Version::HTTP_2 { None } else { tasks::current() };
        let lends =
            self.version == Version::HTTP_11 && last_word.is_some() && events::is_plain(&response);
        let activity = in_flight.as_ref().filter(|_| lends).map(|it| it.activity().clone());
        response.map(|body| {
            let body = Box::new(Outgoing::new(body, in_flight, last_word, stream));
            match activity {
                Some(activity) => Sent::Lent(Lent::new(activity, body)),
                None => Sent::Own(body),
            }
        })
    }
}

pin_project! {
    /// A connection that finishes what is under way when it is asked to close.
    struct Graceful<C> {
        #[pin]
        connection: C,
        activity: Arc<Activity>,
        closing: bool,
    }
}

impl<C: Close> Future for Graceful<C> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<C::Output> {
        let mut this = self.project();
        let asked = !*this.closing && this.activity.poll_closing(context.waker());
        // A request that has arrived before the wish to close is still answered.
        let poll = this.connection.as_mut().poll(context);
        if !asked || poll.is_ready() || !this.activity.may_close() {
            return poll;
        }
        *this.closing = true;
        this.connection.as_mut().close();
        this.connection.poll(context)
    }
}

type Http1 = http1::UpgradeableConnection<TokioIo<Stream<AnySocket>>, Peer>;

/// A connection of HTTP/1 in the hands of hyper, to its end or until it only waits for the events of
/// a stream.
struct UntilEvents {
    hyper: Option<Graceful<Http1>>,
}

/// What is left of a connection that has left hyper.
struct Left {
    stream: Stream<AnySocket>,
    peer: Peer,
    body: EventBody,
}

impl Future for UntilEvents {
    type Output = hyper::Result<Option<Left>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(hyper) = &mut self.hyper else { return Poll::Ready(Ok(None)) };
        if let Poll::Ready(outcome) = Pin::new(&mut *hyper).poll(context) {
            return Poll::Ready(outcome.map(|()| None));
        }
        if !hyper.activity.only_waits_for_events() {
            return Poll::Pending;
        }
        // Taken first, because hyper drops with itself what it sends.
        let body = hyper.activity.handover().take();
        let parts = self.hyper.take().and_then(|hyper| hyper.connection.into_parts());
        // What hyper has read and not used are at most empty lines, which mean nothing.
        let left = parts.zip(body).map(|(parts, body)| Left {
            stream: parts.io.into_inner(),
            peer: parts.service,
            body,
        });
        Poll::Ready(Ok(left))
    }
}

/// What both versions of a connection can do.
trait Close: Future {
    fn close(self: Pin<&mut Self>);
}

impl<I> Close for http1::UpgradeableConnection<I, Peer>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    fn close(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I> Close for http2::Connection<I, Peer, Tasks>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    fn close(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
