//! salvo, on a runtime of one thread.

use super::{
    FURTHER, GREETING, Greeting, HELLO, Order, block_on, listener, open, paced, ready, ticks,
};
use crate::Result;
use futures_util::{Stream, StreamExt as _};
use salvo::conn::tcp::TcpAcceptor;
use salvo::http::StatusError;
use salvo::prelude::{Json, Request, Response, Router, Server, handler};
use salvo::sse::{self, SseEvent};
use std::convert::Infallible;
use std::net::TcpListener;

pub(super) fn serve(socket: TcpListener) -> Result {
    let mut router = Router::new()
        .push(Router::with_path("hello").get(hello))
        .push(Router::with_path("json").get(json))
        .push(Router::with_path("users/{user}/posts/{post}").get(post_of))
        .push(Router::with_path("echo").post(echo))
        .push(Router::with_path("events/ready").get(events_ready))
        .push(Router::with_path("events/paced").get(events_paced))
        .push(Router::with_path("events/open").get(events_open))
        .push(Router::with_path("events/ticks").get(events_ticks))
        .push(Router::with_path("cached").get(hello));
    for number in 0..FURTHER {
        router = router.push(Router::with_path(format!("further/{number}")).get(hello));
    }
    block_on(async {
        let acceptor = TcpAcceptor::try_from(listener(socket)?)?;
        Server::new(acceptor).serve(router).await;
        Ok(())
    })
}

#[handler]
async fn hello() -> &'static str {
    HELLO
}

#[handler]
async fn json() -> Json<Greeting> {
    Json(GREETING)
}

#[handler]
async fn post_of(request: &mut Request) -> std::result::Result<String, StatusError> {
    let numbers = request.param("user").zip(request.param("post"));
    let (user, post) = numbers.ok_or_else(StatusError::bad_request)?;
    Ok(super::post_of(user, post))
}

#[handler]
async fn echo(request: &mut Request) -> std::result::Result<Json<Order>, StatusError> {
    request.parse_json().await.map(Json).map_err(|_| StatusError::bad_request())
}

#[handler]
async fn events_ready(response: &mut Response) {
    events(ready(), response);
}

#[handler]
async fn events_paced(response: &mut Response) {
    events(paced(), response);
}

#[handler]
async fn events_open(response: &mut Response) {
    events(open(), response);
}

#[handler]
async fn events_ticks(response: &mut Response) {
    events(ticks(), response);
}

fn events(events: impl Stream<Item = String> + Send + 'static, response: &mut Response) {
    sse::stream(response, events.map(|data| Ok::<_, Infallible>(SseEvent::default().text(data))));
}
