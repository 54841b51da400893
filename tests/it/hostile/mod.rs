//! Clients that mean harm, over raw sockets: each is refused or cut off, and the server serves on.

mod framing;
mod heads;
mod connections;
mod http2;

use Expected::{Answers, Closed, Refused};
use ember::Ember;
use ember::prelude::*;
use ember::web::server::ServerLimits;
use ember_tests::{Server, exchange};
use futures_util::future::join_all;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

#[get("/hello")]
async fn hello() -> &'static str {
    "Hello"
}

/// Where a request leads that somebody has hidden in another.
#[get("/hidden")]
async fn hidden() -> &'static str {
    "hidden"
}

#[post("/echo")]
async fn echo(body: Bytes) -> Bytes {
    body
}

/// Answers without a look at the body.
#[post("/ignore")]
async fn ignore() -> &'static str {
    "ignored"
}

#[get("/host")]
async fn host(headers: HeaderMap) -> String {
    headers["host"].to_str().unwrap().to_owned()
}

/// The routes of this module.
fn routes() -> Ember {
    ember::app!()
}

/// A server with little patience.
fn serve() -> Server {
    let short = Duration::from_millis(300);
    let limits = ServerLimits::default()
        .header_read(short)
        .body_read(short)
        .keep_alive(short)
        .write_stall(short)
        .max_header_size(8192)
        .max_headers(50)
        .max_body_size(1 << 16);
    Server::start(routes().workers(2).limits(limits))
}

/// The server answers a good request.
async fn is_well(server: &Server, after: &str) {
    let good = b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = exchange(server.address(), good).await;
    assert!(answer.ends_with("\r\n\r\nHello"), "after {after}: {answer:?}");
}

/// What must become of a connection.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// One answer with this status, and then the end.
    Refused(u16),
    /// One answer of the class 4xx, or none, and then the end.
    Closed,
    /// These answers, in order.
    Answers(&'static [u16]),
}

/// The statuses of the answers in what was received.
fn statuses(received: &str) -> Vec<u16> {
    let received = received.replace("HTTP/1.0 ", "HTTP/1.1 ");
    let answers = received.split("HTTP/1.1 ").skip(1);
    answers.map(|answer| answer[..3].parse().unwrap()).collect()
}

/// Plays the cases, each on a connection of its own, and prints what came of them.
async fn play(cases: &[(&str, Vec<u8>, Expected)]) {
    let server = serve();
    let seen = join_all(cases.iter().map(|(_, sent, _)| exchange(server.address(), sent))).await;
    for ((name, sent, expected), received) in cases.iter().zip(seen) {
        let statuses = statuses(&received);
        println!("{name} -> {statuses:?}");
        let fine = match expected {
            Refused(status) => statuses == [*status],
            Closed => {
                statuses.iter().all(|status| (400..500).contains(status)) && statuses.len() < 2
            }
            Answers(expected) => statuses == *expected,
        };
        let sent = String::from_utf8_lossy(&sent[..sent.len().min(200)]);
        assert!(fine, "{name}: {sent:?} was answered by {received:?}, not {expected:?}");
        assert!(
            !received.contains("hidden") || matches!(expected, Answers(_)),
            "{name}: {received}"
        );
    }
    is_well(&server, "all of them").await;
}

/// A request that is hidden behind another, where somebody might disagree about its end.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nhost: x\r\n\r\n";
