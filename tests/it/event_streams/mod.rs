//! Connections on which a stream of events waits, and what they carry before, meanwhile and after.

mod connections;
mod stopping;
mod transports;

use ember::prelude::*;
use ember::web::server::ServerLimits;
use ember_tests::{Server, exchange};
use futures_util::{StreamExt as _, stream};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(20);

/// Lets one event pass for each permit, and has one for each stream that has ended, and for each
/// request that has begun and never ends.
#[derive(Clone)]
struct Gate {
    events: Arc<Semaphore>,
    ended: Arc<Semaphore>,
    begun: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        let semaphore = || Arc::new(Semaphore::new(0));
        Self { events: semaphore(), ended: semaphore(), begun: semaphore() }
    }
}

/// Adds a permit when it is dropped.
struct Ending(Arc<Semaphore>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

/// `a`, `b` and `c`, each behind the gate.
fn letters(gate: &Gate) -> Sse {
    let (events, ending) = (gate.events.clone(), Ending(gate.ended.clone()));
    Sse::new(stream::iter(["a", "b", "c"]).then(move |text| {
        let _until_here = &ending;
        let events = events.clone();
        async move {
            events.acquire().await.unwrap().forget();
            Event::data(text)
        }
    }))
}

#[get("/letters")]
async fn wait(gate: Component<Gate>) -> Sse {
    letters(&gate)
}

/// Reads the body first.
#[post("/read")]
async fn read(gate: Component<Gate>, body: Bytes) -> Sse {
    assert_eq!(body, HIDDEN);
    letters(&gate)
}

/// Never looks at the body.
#[post("/ignore")]
async fn ignore(gate: Component<Gate>) -> Sse {
    letters(&gate)
}

/// Gives the body up, and answers a little later.
#[post("/give-up")]
async fn give_up(gate: Component<Gate>, request: Request) -> Sse {
    drop(request);
    yield_now().await;
    letters(&gate)
}

/// Never answers.
#[post("/begin")]
async fn begin(gate: Component<Gate>) -> &'static str {
    gate.begun.add_permits(1);
    std::future::pending().await
}

/// Tells the pieces of the body as they come.
#[post("/pieces")]
async fn pieces(request: Request) -> Sse {
    let pieces = request.into_body().into_stream();
    Sse::new(pieces.map(|piece| piece.map(|piece| Event::data(format!("{} bytes", piece.len())))))
}

/// Waits once, and then has more than a socket takes.
#[get("/flood")]
async fn flood() -> Sse {
    let events = stream::iter(0..500).then(|number| async move {
        if number % 50 == 0 {
            yield_now().await;
        }
        Event::data(format!("{number} {}", "x".repeat(20_000)))
    });
    Sse::new(events)
}

/// Waits once, and then has more than anybody takes.
#[get("/endless")]
async fn endless(gate: Component<Gate>) -> Sse {
    let ending = Ending(gate.ended.clone());
    Sse::new(stream::repeat_with(|| "x".repeat(20_000)).then(move |text| {
        let _until_here = &ending;
        async move {
            yield_now().await;
            Event::data(text)
        }
    }))
}

/// Breaks off behind its first event.
#[get("/broken")]
async fn broken() -> impl IntoResponse {
    let pieces = stream::iter([Ok("data: a\n\n"), Err(std::io::Error::other("broken"))]);
    let pieces = pieces.then(|piece| async {
        yield_now().await;
        piece
    });
    ([("content-type", "text/event-stream")], Body::stream(pieces))
}

#[get("/hello")]
async fn hello() -> &'static str {
    "Hello"
}

/// A request that somebody may hide in a body.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nhost: x\r\n\r\n";

#[get("/hidden")]
async fn hidden() -> &'static str {
    "hidden"
}

/// The routes of this module.
fn routes() -> ember::Ember {
    ember::app!()
}

/// A server, and the gate of its streams.
struct Serving {
    server: Server,
    gate: Gate,
}

impl Serving {
    fn start() -> Self {
        Self::limited(ServerLimits::default())
    }

    fn limited(limits: ServerLimits) -> Self {
        let gate = Gate::new();
        let app = routes().component(gate.clone()).workers(1).limits(limits);
        Self { server: Server::start(app), gate }
    }

    /// Begins to stop.
    fn stop(&self, grace: Duration) {
        self.server.stop(grace);
    }

    fn address(&self) -> SocketAddr {
        self.server.address()
    }

    fn let_pass(&self, events: usize) {
        self.gate.events.add_permits(events);
    }

    async fn ended(&self) {
        let ended = timeout(LONG, self.gate.ended.acquire()).await;
        ended.expect("the stream is still there").unwrap().forget();
    }
}

/// A connection, and what it has received that nobody has taken.
struct Client<S = TcpStream> {
    socket: S,
    received: String,
}

impl Client {
    async fn open(server: &Serving, request: &str) -> Self {
        Self::over(TcpStream::connect(server.address()).await.unwrap(), request).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn over(socket: S, request: &str) -> Self {
        let mut client = Self { socket, received: String::new() };
        client.say(request).await;
        client
    }

    async fn say(&mut self, bytes: &str) {
        self.socket.write_all(bytes.as_bytes()).await.unwrap();
        self.socket.flush().await.unwrap();
    }

    /// Takes what is received up to the end of some text.
    async fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.received.find(text) {
                let rest = self.received.split_off(at + text.len());
                return std::mem::replace(&mut self.received, rest);
            }
            let mut bytes = vec![0; 4096];
            let read = timeout(LONG, self.socket.read(&mut bytes)).await;
            let count = read.unwrap_or_else(|_| panic!("no {text:?} behind {:?}", self.received));
            let count = count.unwrap();
            assert_ne!(count, 0, "closed before {text:?}: {:?}", self.received);
            self.received.push_str(str::from_utf8(&bytes[..count]).unwrap());
        }
    }

    /// Takes all that comes until the connection is closed.
    async fn rest(mut self) -> String {
        let read = timeout(LONG, self.socket.read_to_string(&mut self.received)).await;
        read.expect("the connection stays open").unwrap();
        self.received
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")
}

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// The chunks of a body, which must be nothing but chunks.
fn chunks(mut body: &str) -> String {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let (chunk, rest) = rest.split_at(size);
        whole.push_str(chunk);
        body = rest.strip_prefix("\r\n").unwrap();
        if size == 0 {
            assert_eq!(body, "", "behind the last chunk");
            return whole;
        }
    }
}

const CHUNKS: &str = "9\r\ndata: a\n\n\r\n9\r\ndata: b\n\n\r\n9\r\ndata: c\n\n\r\n0\r\n\r\n";
