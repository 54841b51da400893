//! actix-web, with one worker.

use super::{FURTHER, GREETING, HELLO, Order, open, paced, ready, ticks};
use crate::Result;
use actix_web::http::KeepAlive;
use actix_web::web::{Json, Path, get, post};
use actix_web::{App, HttpResponse, HttpServer, Responder};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use std::convert::Infallible;
use std::net::TcpListener;
use std::time::Duration;

pub(super) fn serve(listener: TcpListener) -> Result {
    let server = HttpServer::new(|| {
        let mut app = App::new()
            .route("/hello", get().to(hello))
            .route("/json", get().to(async || Json(GREETING)))
            .route("/users/{user}/posts/{post}", get().to(post_of))
            .route("/echo", post().to(echo))
            .route("/events/ready", get().to(async || events(ready())))
            .route("/events/paced", get().to(async || events(paced())))
            .route("/events/open", get().to(async || events(open())))
            .route("/events/ticks", get().to(async || events(ticks())))
            .route("/cached", get().to(hello));
        for number in 0..FURTHER {
            app = app.route(&format!("/further/{number}"), get().to(hello));
        }
        app
    });
    // As long as the others keep a connection, for the measurement of idle ones.
    let server = server.workers(1).keep_alive(KeepAlive::Timeout(Duration::from_secs(75)));
    Ok(actix_web::rt::System::new().block_on(server.listen(listener)?.run())?)
}

async fn hello() -> impl Responder {
    HELLO
}

async fn post_of(path: Path<(u64, u64)>) -> impl Responder {
    let (user, post) = path.into_inner();
    super::post_of(user, post)
}

async fn echo(order: Json<Order>) -> impl Responder {
    order
}

fn events(events: impl Stream<Item = String> + 'static) -> HttpResponse {
    let frames = events.map(|data| Ok::<_, Infallible>(Bytes::from(format!("data: {data}\n\n"))));
    HttpResponse::Ok().content_type("text/event-stream").streaming(frames)
}
