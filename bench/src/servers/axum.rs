//! axum, on a runtime of one thread.

use super::{
    FURTHER, GREETING, Greeting, HELLO, Order, block_on, listener, open, paced, ready, ticks,
};
use crate::Result;
use axum::extract::Path;
use axum::response::Sse;
use axum::response::sse::Event;
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::{Stream, StreamExt as _};
use std::convert::Infallible;
use std::net::TcpListener;

pub(super) fn serve(socket: TcpListener) -> Result {
    let mut router = Router::new()
        .route("/hello", get(async || HELLO))
        .route("/json", get(json))
        .route("/users/{user}/posts/{post}", get(post_of))
        .route("/echo", post(echo))
        .route("/events/ready", get(async || events(ready())))
        .route("/events/paced", get(async || events(paced())))
        .route("/events/open", get(async || events(open())))
        .route("/events/ticks", get(async || events(ticks())))
        .route("/cached", get(async || HELLO));
    for number in 0..FURTHER {
        router = router.route(&format!("/further/{number}"), get(async || HELLO));
    }
    block_on(async {
        // As it is it would be made ready again, with all of its routes, for each connection.
        Ok(axum::serve(listener(socket)?, router.into_make_service()).await?)
    })
}

async fn json() -> Json<Greeting> {
    Json(GREETING)
}

async fn post_of(Path((user, post)): Path<(u64, u64)>) -> String {
    super::post_of(user, post)
}

async fn echo(Json(order): Json<Order>) -> Json<Order> {
    Json(order)
}

fn events(
    events: impl Stream<Item = String> + Send + 'static,
) -> Sse<impl Stream<Item = std::result::Result<Event, Infallible>>> {
    Sse::new(events.map(|data| Ok(Event::default().data(data))))
}
