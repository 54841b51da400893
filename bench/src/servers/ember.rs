//! Ember as it comes, with one worker.

use super::{FURTHER, GREETING, Greeting, HELLO, Order, open, paced, ready, ticks};
use crate::Result;
use ember::prelude::*;
use ember::web::Route;
use futures_util::{Stream, StreamExt as _};
use std::net::TcpListener;

pub(super) fn serve(listener: TcpListener) -> Result {
    let mut app = ember::app!().workers(1);
    for number in 0..FURTHER {
        let route = Route::get(format!("/further/{number}"), further);
        app = app.route(route.name(format!("further_{number}")));
    }
    app.serve(listener)?.join();
    Ok(())
}

#[get("/hello")]
async fn hello() -> &'static str {
    HELLO
}

async fn further() -> &'static str {
    HELLO
}

#[get("/json")]
async fn json() -> Json<Greeting> {
    Json(GREETING)
}

#[get("/users/{user}/posts/{post}")]
async fn post_of(user: u64, post: u64) -> String {
    super::post_of(user, post)
}

#[post("/echo")]
async fn echo(Json(order): Json<Order>) -> Json<Order> {
    Json(order)
}

#[get("/events/ready")]
async fn events_ready() -> Sse {
    events(ready())
}

#[get("/events/paced")]
async fn events_paced() -> Sse {
    events(paced())
}

#[get("/events/open")]
async fn events_open() -> Sse {
    events(open())
}

#[get("/events/ticks")]
async fn events_ticks() -> Sse {
    events(ticks())
}

#[get("/cached", cache = StaticCache::new())]
async fn cached() -> &'static str {
    HELLO
}

fn events(events: impl Stream<Item = String> + Send + 'static) -> Sse {
    Sse::new(events.map(Event::data))
}
