//! Connections on which a stream of events waits, and what they carry before, meanwhile and after.

use ember::app::Running as ServerHandle;
use ember::prelude::*;
use ember_tests::exchange;
use futures_util::{StreamExt as _, stream};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(20);

/// Lets one event pass for each permit, and has one for each stream that has ended.
#[derive(Clone)]
struct Gate {
    events: Arc<Semaphore>,
    ended: Arc<Semaphore>,
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

struct Server {
    running: Option<ServerHandle>,
    gate: Gate,
}

impl Server {
    fn start() -> Self {
        let semaphore = || Arc::new(Semaphore::new(0));
        let gate = Gate { events: semaphore(), ended: semaphore() };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let app = ember::app!().component(gate.clone()).workers(1);
        Self { running: Some(app.serve(listener).unwrap()), gate }
    }

    fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().address()
    }

    fn let_pass(&self, events: usize) {
        self.gate.events.add_permits(events);
    }

    async fn ended(&self) {
        let ended = timeout(LONG, self.gate.ended.acquire()).await;
        ended.expect("the stream is still there").unwrap().forget();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().within(Duration::ZERO);
            running.join();
        }
    }
}

/// A connection, and what it has received that nobody has taken.
struct Client {
    socket: TcpStream,
    received: String,
}

impl Client {
    async fn open(server: &Server, request: &str) -> Self {
        let socket = TcpStream::connect(server.address()).await.unwrap();
        let mut client = Self { socket, received: String::new() };
        client.say(request).await;
        client
    }

    async fn say(&mut self, bytes: &str) {
        self.socket.write_all(bytes.as_bytes()).await.unwrap();
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

#[tokio::test]
async fn each_event_leaves_at_once_and_the_connection_goes_on() {
    let server = Server::start();
    let mut client = Client::open(&server, &get("/letters")).await;
    for _ in 0..3 {
        let head = client.until("\r\n\r\n").await.to_lowercase();
        assert!(head.contains("\r\ntransfer-encoding: chunked\r\n"), "{head}");
        for letter in ["a", "b", "c"] {
            server.let_pass(1);
            assert_eq!(client.until("\n\n\r\n").await, format!("9\r\ndata: {letter}\n\n\r\n"));
        }
        assert_eq!(client.until("0\r\n\r\n").await, "0\r\n\r\n");
        client.say(&get("/hello")).await;
        client.until("\r\n\r\nHello").await;
        client.say(&get("/letters")).await;
    }
}

#[tokio::test]
async fn what_is_said_meanwhile_is_answered_afterwards() {
    let server = Server::start();
    for at_once in [true, false] {
        // Beside the request, or while the stream waits.
        let mut first = get("/letters");
        if at_once {
            first += HIDDEN;
        }
        let mut client = Client::open(&server, &first).await;
        client.until("\r\n\r\n").await;
        if !at_once {
            server.let_pass(1);
            client.until("data: a\n\n\r\n").await;
            client.say(HIDDEN).await;
            client.say("GET /hel").await;
        }
        server.let_pass(3);
        client.until("data: c\n\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n").await;
        client.until("\r\n\r\nhidden").await;
        if !at_once {
            client.say("lo HTTP/1.1\r\nhost: x\r\n\r\n").await;
            client.until("\r\n\r\nHello").await;
        }
        server.gate.events.try_acquire_many(u32::from(!at_once)).unwrap().forget();
    }
}

#[tokio::test]
async fn a_body_is_no_request() {
    let server = Server::start();
    for path in ["/read", "/ignore"] {
        let mut client = Client::open(&server, &post(path, HIDDEN)).await;
        client.until("\r\n\r\n").await;
        server.let_pass(3);
        assert_eq!(chunks(&client.until("\r\n0\r\n\r\n").await), chunks(CHUNKS), "{path}");
        client.say(&get("/hello")).await;
        let answer = client.until("\r\n\r\nHello").await;
        assert!(!answer.contains("hidden"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_body_can_arrive_while_events_are_sent() {
    let server = Server::start();
    let head = "POST /pieces HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\n";
    let mut client = Client::open(&server, head).await;
    for _ in 0..2 {
        client.say("abc").await;
        client.until("data: 3 bytes\n\n\r\n").await;
    }
    assert_eq!(client.until("0\r\n\r\n").await, "0\r\n\r\n");
    client.say(&get("/hello")).await;
    client.until("\r\n\r\nHello").await;
}

#[tokio::test]
async fn a_client_that_wants_no_more_is_closed_on() {
    let server = Server::start();
    let close = "GET /letters HTTP/1.1\r\nhost: x\r\nConnection: Close\r\n\r\n";
    let client = Client::open(&server, close).await;
    server.let_pass(3);
    let rest = client.rest().await;
    assert!(rest.ends_with("data: c\n\n\r\n0\r\n\r\n"), "{rest}");
    // HTTP/1.0 knows no chunks.
    let client = Client::open(&server, "GET /letters HTTP/1.0\r\n\r\n").await;
    server.let_pass(3);
    let rest = client.rest().await;
    assert!(rest.ends_with("\r\n\r\ndata: a\n\ndata: b\n\ndata: c\n\n"), "{rest}");
    let mut client =
        Client::open(&server, &get("/letters").replace("x\r\n", "x\r\nconnection: keep-alive\r\n"))
            .await;
    server.let_pass(3);
    client.until("data: c\n\n\r\n0\r\n\r\n").await;
    client.say(&get("/hello")).await;
    client.until("\r\n\r\nHello").await;
    let answer = exchange(server.address(), close.replace("letters", "flood").as_bytes()).await;
    assert!(answer.ends_with("\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn a_stream_ends_with_its_client() {
    let server = Server::start();
    for half in [false, true] {
        let mut client = Client::open(&server, &get("/letters")).await;
        server.let_pass(1);
        client.until("data: a\n\n\r\n").await;
        if half {
            client.socket.shutdown().await.unwrap();
            server.ended().await;
        } else {
            drop(client);
            server.ended().await;
        }
    }
}

#[tokio::test]
async fn a_client_may_be_slower_than_the_stream() {
    let server = Server::start();
    let mut client = Client::open(&server, &get("/flood")).await;
    client.until("\r\n\r\n").await;
    let body = chunks(&client.until("\r\n0\r\n\r\n").await);
    let events: Vec<_> = body.split_terminator("\n\n").collect();
    assert_eq!(events.len(), 500);
    for (number, event) in events.iter().enumerate() {
        assert!(
            event.starts_with(&format!("data: {number} x")) && event.len() > 20_000,
            "{number}"
        );
    }
    client.say(&get("/hello")).await;
    client.until("\r\n\r\nHello").await;
}

#[tokio::test]
async fn a_stream_that_breaks_does_not_look_complete() {
    let server = Server::start();
    let rest = Client::open(&server, &get("/broken")).await.rest().await;
    assert!(rest.ends_with("\r\n\r\n9\r\ndata: a\n\n\r\n"), "{rest}");
}
