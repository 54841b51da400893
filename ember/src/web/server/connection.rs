use super::activity::{Activity, InFlight};
use super::body::{Outgoing, from_hyper};
use super::limits::ServerLimits;
use super::stream::Stream;
use crate::web::site::{Answer, Site};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// How every connection of a worker is served.
#[derive(Debug, Clone)]
pub(super) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Protocols {
    pub(super) fn new(limits: &ServerLimits) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .max_headers(limits.max_headers)
            .max_header_size(limits.max_header_size)
            // The reaper watches over the time that a header section takes.
            .header_read_timeout(None);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .keep_alive_interval(limits.keep_alive)
            .max_header_list_size(u32::try_from(limits.max_header_size).unwrap_or(u32::MAX))
            .max_concurrent_streams(limits.max_concurrent_streams);
        Self { http1, http2 }
    }

    /// Serves one connection to its end.
    pub(super) async fn serve<S>(self, socket: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = peer.activity.clone();
        let mut stream = Stream::new(socket, activity.clone());
        let outcome = match stream.speaks_http2().await {
            Err(_) => return,
            Ok(false) => {
                let connection = self.http1.serve_connection(TokioIo::new(stream), peer);
                let connection = connection.with_upgrades();
                Graceful { connection, activity: activity.clone(), closing: false }.await
            }
            Ok(true) => {
                let connection = self.http2.serve_connection(TokioIo::new(stream), peer);
                Graceful { connection, activity: activity.clone(), closing: false }.await
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

/// The service of one connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) site: Arc<Site>,
    pub(super) remote: Option<SocketAddr>,
    pub(super) activity: Arc<Activity>,
    pub(super) body_read: Duration,
}

impl Service<Request<Incoming>> for Peer {
    type Response = Response<Outgoing>;
    type Error = Infallible;
    type Future = Serving;

    fn call(&self, request: Request<Incoming>) -> Serving {
        let in_flight = self.activity.begin();
        #[cfg_attr(not(feature = "websocket"), expect(unused_mut, reason = "nothing is added"))]
        let mut request = request.map(|incoming| from_hyper(incoming, self.body_read));
        #[cfg(feature = "websocket")]
        if request.extensions().get::<hyper::upgrade::OnUpgrade>().is_some() {
            let takeover = self.activity.takeover().clone();
            request.extensions_mut().insert(takeover);
        }
        Serving { answer: self.site.answer(request, self.remote), in_flight: Some(in_flight) }
    }
}

/// An answer on its way to hyper.
pub(super) struct Serving {
    answer: Answer,
    in_flight: Option<InFlight>,
}

impl Future for Serving {
    type Output = Result<Response<Outgoing>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(Pin::new(&mut self.answer).poll(context));
        let in_flight = self.in_flight.take();
        Poll::Ready(Ok(response.map(|body| Outgoing::new(body, in_flight))))
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
        if !*this.closing && this.activity.poll_closing(context.waker()) {
            *this.closing = true;
            this.connection.as_mut().close();
        }
        this.connection.poll(context)
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

impl<I> Close for http2::Connection<I, Peer, TokioExecutor>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    fn close(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
