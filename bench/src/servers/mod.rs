//! The same service, written with Ember and with each of its peers.
//!
//! | path | answer |
//! | --- | --- |
//! | `GET /hello` | a constant text |
//! | `GET /json` | a small object, serialised each time |
//! | `GET /users/{user}/posts/{post}` | both numbers, parsed and written again |
//! | `POST /echo` | the JSON of the request, parsed into a struct and serialised again |
//! | `GET /further/0` to `/further/199` | as `/hello`: routes that a table has to hold |
//! | `GET /events/ready` | 1,000 events that are all there |
//! | `GET /events/paced` | 1,000 events, each ready only when the one before has been taken |
//! | `GET /events/open` | one event, and then silence |
//! | `GET /events/ticks` | one event, and then another each second, at the same time for all |
//! | `GET /cached` | as `/hello`; by Ember from its cache |

mod alike;
mod actix_web;
mod axum;
mod ember;
mod hyper;
mod poem;
mod salvo;

pub(crate) use alike::compare;

use crate::Result;
use futures_util::{Stream, StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use std::net::TcpListener;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

/// The first is the floor.
pub(crate) const PEERS: [&str; 6] = ["hyper", "ember", "axum", "actix-web", "salvo", "poem"];

/// How many events a stream has.
pub(crate) const EVENTS: usize = 1_000;

/// How many routes there are beside those that are asked.
const FURTHER: usize = 200;

pub(crate) const HELLO: &str = "Hello, World!";

/// Serves with one worker.
pub(crate) fn serve(peer: &str, listener: TcpListener) -> Result {
    match peer {
        "hyper" => hyper::serve(listener),
        "ember" => ember::serve(listener),
        "axum" => axum::serve(listener),
        "actix-web" => actix_web::serve(listener),
        "salvo" => salvo::serve(listener),
        "poem" => poem::serve(listener),
        other => Err(format!("there is no server `{other}`").into()),
    }
}

#[derive(Serialize)]
struct Greeting {
    message: &'static str,
}

const GREETING: Greeting = Greeting { message: HELLO };

/// What is sent and comes back.
#[derive(Serialize, Deserialize, ::ember::JsonSchema)]
struct Order {
    id: u64,
    customer: String,
    items: Vec<String>,
    total: f64,
}

fn post_of(user: u64, post: u64) -> String {
    format!("post {post} of user {user}")
}

/// The data of an event.
pub(crate) fn token(number: usize) -> String {
    format!("{{\"index\":{number},\"text\":\"token\"}}")
}

fn ready() -> impl Stream<Item = String> + Send + 'static {
    stream::iter((0..EVENTS).map(token))
}

/// Another task makes the events, and the next one only when this one has waited for it.
fn paced() -> impl Stream<Item = String> + Send + 'static {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        for number in 0..EVENTS {
            if sender.send(token(number)).await.is_err() {
                break;
            }
        }
    });
    stream::poll_fn(move |context| receiver.poll_recv(context))
}

fn open() -> impl Stream<Item = String> + Send + 'static {
    stream::iter([token(0)]).chain(stream::pending())
}

/// A thread says each second that an event is due: which it is, and when it was, in µs since 1970.
///
/// What is due is due exactly a second after the one before, however late the thread is, so that a
/// reader knows what it has missed.
fn ticks() -> impl Stream<Item = String> + Send + 'static {
    static TICKS: LazyLock<watch::Receiver<(u64, u128)>> = LazyLock::new(|| {
        let (sender, receiver) = watch::channel((0, 0));
        std::thread::spawn(move || {
            let (mut due, mut since_1970) = (Instant::now(), SystemTime::UNIX_EPOCH.elapsed());
            for number in 1.. {
                due += Duration::from_secs(1);
                since_1970 = since_1970.map(|time| time + Duration::from_secs(1));
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let micros = since_1970.as_ref().map_or(0, Duration::as_micros);
                if sender.send((number, micros)).is_err() {
                    return;
                }
            }
        });
        receiver
    });
    let mut receiver = TICKS.clone();
    receiver.mark_unchanged();
    let ticks = stream::unfold(receiver, async |mut receiver| {
        receiver.changed().await.ok()?;
        let (number, due) = *receiver.borrow_and_update();
        Some((format!("due {number} {due}"), receiver))
    });
    stream::iter([token(0)]).chain(ticks)
}

/// Runs a server on one thread.
pub(crate) fn block_on(server: impl Future<Output = Result>) -> Result {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(server)
}

/// The listener as tokio wants it.
pub(crate) fn listener(listener: TcpListener) -> Result<tokio::net::TcpListener> {
    listener.set_nonblocking(true)?;
    Ok(tokio::net::TcpListener::from_std(listener)?)
}
