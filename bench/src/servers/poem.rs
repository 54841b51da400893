//! poem, on a runtime of one thread.

use super::{FURTHER, GREETING, Greeting, HELLO, Order, block_on, open, paced, ready, ticks};
use crate::Result;
use futures_util::{Stream, StreamExt as _};
use poem::listener::TcpAcceptor;
use poem::web::sse::{Event, SSE};
use poem::web::{Json, Path};
use poem::{Route, Server, get, handler, post};
use std::net::TcpListener;

pub(super) fn serve(listener: TcpListener) -> Result {
    let mut route = Route::new()
        .at("/hello", get(hello))
        .at("/json", get(json))
        .at("/users/:user/posts/:post", get(post_of))
        .at("/echo", post(echo))
        .at("/events/ready", get(events_ready))
        .at("/events/paced", get(events_paced))
        .at("/events/open", get(events_open))
        .at("/events/ticks", get(events_ticks))
        .at("/cached", get(hello));
    for number in 0..FURTHER {
        route = route.at(format!("/further/{number}"), get(hello));
    }
    listener.set_nonblocking(true)?;
    block_on(async {
        Ok(Server::new_with_acceptor(TcpAcceptor::from_std(listener)?).run(route).await?)
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
async fn post_of(Path((user, post)): Path<(u64, u64)>) -> String {
    super::post_of(user, post)
}

#[handler]
async fn echo(order: Json<Order>) -> Json<Order> {
    order
}

#[handler]
async fn events_ready() -> SSE {
    events(ready())
}

#[handler]
async fn events_paced() -> SSE {
    events(paced())
}

#[handler]
async fn events_open() -> SSE {
    events(open())
}

#[handler]
async fn events_ticks() -> SSE {
    events(ticks())
}

fn events(events: impl Stream<Item = String> + Send + 'static) -> SSE {
    SSE::new(events.map(Event::message))
}
