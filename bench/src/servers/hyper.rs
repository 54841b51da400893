//! The floor: hyper, with nothing around it.

use super::{
    FURTHER, GREETING, HELLO, Order, block_on, listener, open, paced, post_of, ready, ticks,
};
use crate::Result;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Either, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::TcpListener;

type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, Infallible>>;

pub(super) fn serve(socket: TcpListener) -> Result {
    block_on(async {
        let socket = listener(socket)?;
        loop {
            let (stream, _) = socket.accept().await?;
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            tokio::spawn(connection);
        }
    })
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>> {
    let path = request.uri().path();
    Ok(match (request.method(), path) {
        (&Method::GET, "/hello" | "/cached") => whole("text/plain; charset=utf-8", HELLO),
        (&Method::GET, "/json") => whole("application/json", serde_json::to_vec(&GREETING)?),
        (&Method::POST, "/echo") => {
            let body = request.into_body().collect().await?.to_bytes();
            let order: Order = serde_json::from_slice(&body)?;
            whole("application/json", serde_json::to_vec(&order)?)
        }
        (&Method::GET, "/events/ready") => events(ready()),
        (&Method::GET, "/events/paced") => events(paced()),
        (&Method::GET, "/events/open") => events(open()),
        (&Method::GET, "/events/ticks") => events(ticks()),
        (&Method::GET, path) => match numbers(path) {
            Some((user, post)) => whole("text/plain; charset=utf-8", post_of(user, post)),
            None if is_further(path) => whole("text/plain; charset=utf-8", HELLO),
            None => nothing(),
        },
        _ => nothing(),
    })
}

/// The parameters of `/users/{user}/posts/{post}`.
fn numbers(path: &str) -> Option<(u64, u64)> {
    let (user, post) = path.strip_prefix("/users/")?.split_once("/posts/")?;
    Some((user.parse().ok()?, post.parse().ok()?))
}

fn is_further(path: &str) -> bool {
    let number = path.strip_prefix("/further/").and_then(|number| number.parse().ok());
    number.is_some_and(|number: usize| number < FURTHER)
}

fn whole(media_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media_type));
    response
}

fn events(events: impl Stream<Item = String> + Send + 'static) -> Response<Body> {
    let frames = events.map(|data| Ok(Frame::data(Bytes::from(format!("data: {data}\n\n")))));
    let mut response = Response::new(Either::Right(StreamBody::new(frames).boxed_unsync()));
    let media_type = header::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}

fn nothing() -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
