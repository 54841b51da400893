//! Connections on which a stream of events waits, and what they carry before, meanwhile and after.

use ember::prelude::*;
use ember::web::server::ServerLimits;
use ember_tests::{Server, exchange};
use futures_util::{StreamExt as _, stream};
use std::net::{SocketAddr, TcpListener};
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
        let app = ember::app!().component(gate.clone()).workers(1).limits(limits);
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

#[tokio::test]
async fn each_event_leaves_at_once_and_the_connection_goes_on() {
    let server = Serving::start();
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
    let server = Serving::start();
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
    let server = Serving::start();
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
    let server = Serving::start();
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
    let server = Serving::start();
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
    let server = Serving::start();
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
    let server = Serving::start();
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
    let server = Serving::start();
    let rest = Client::open(&server, &get("/broken")).await.rest().await;
    assert!(rest.ends_with("\r\n\r\n9\r\ndata: a\n\n\r\n"), "{rest}");
}

#[tokio::test]
async fn a_body_that_is_given_up_closes_the_connection() {
    let server = Serving::start();
    let head = "POST /give-up HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let whole = format!("{head}1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
    let mut client = Client::open(&server, &whole).await;
    let head = client.until("\r\n\r\n").await.to_lowercase();
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
    server.let_pass(3);
    // As was said.
    assert_eq!(chunks(&client.rest().await), chunks(CHUNKS));
}

#[tokio::test]
async fn what_is_refused_behind_a_stream_is_told_behind_it() {
    let server = Serving::start();
    for refused in ["\n", "GET / HTTP/1.1\n"] {
        for at_once in [true, false] {
            let first = if at_once { get("/letters") + refused } else { get("/letters") };
            let mut client = Client::open(&server, &first).await;
            // Once the head has come, the stream waits.
            client.until("\r\n\r\n").await;
            server.let_pass(1);
            client.until("data: a\n\n\r\n").await;
            if !at_once {
                client.say(refused).await;
            }
            server.let_pass(2);
            let rest = client.rest().await;
            let (stream, answer) = rest.split_once("HTTP/1.1 ").unwrap_or((&rest, ""));
            let told = chunks(stream) == "data: b\n\ndata: c\n\n" && answer.starts_with("400 ");
            assert!(told, "{refused:?}, at once: {at_once}: {rest}");
        }
    }
}

/// A stream of which `a` and `b` have come, with something said in between.
async fn half(server: &Serving, said: &str) -> Client {
    let mut client = Client::open(server, &get("/letters")).await;
    server.let_pass(1);
    client.until("data: a\n\n\r\n").await;
    client.say(said).await;
    server.let_pass(1);
    client.until("data: b\n\n\r\n").await;
    client
}

#[tokio::test]
async fn no_request_is_begun_when_the_time_of_streams_is_over() {
    let server = Serving::start();
    let client = half(&server, &post("/begin", &"x".repeat(1000))).await;
    server.stop(Duration::ZERO);
    let rest = client.rest().await;
    let body = chunks(&rest);
    assert!(body.starts_with("event: error\n") && !rest.contains("HTTP/1.1"), "{rest}");
    assert_eq!(server.gate.begun.available_permits(), 0);
}

#[tokio::test]
async fn what_is_said_before_the_end_of_the_last_stream_is_answered() {
    let server = Serving::limited(ServerLimits::default().notice(Duration::ZERO));
    let client = half(&server, HIDDEN).await;
    server.stop(LONG * 10);
    server.let_pass(1);
    let rest = client.rest().await;
    assert!(rest.starts_with("9\r\ndata: c\n\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"), "{rest}");
    assert!(
        rest.contains("\r\nconnection: close\r\n") && rest.ends_with("\r\n\r\nhidden"),
        "{rest}"
    );
}

#[tokio::test]
async fn empty_lines_keep_no_connection_open() {
    let limits = ServerLimits::default().notice(Duration::ZERO).header_read(LONG * 10);
    let server = Serving::limited(limits);
    let client = half(&server, &"\r\n".repeat(40)).await;
    server.stop(LONG * 10);
    // Until the server accepts no more, and so has told its connections to close.
    while TcpStream::connect(server.address()).await.is_ok() {
        yield_now().await;
    }
    server.let_pass(1);
    assert_eq!(chunks(&client.rest().await), "data: c\n\n");
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off() {
    let server = Serving::limited(ServerLimits::default().write_stall(Duration::from_millis(200)));
    let mut client = Client::open(&server, &get("/endless")).await;
    client.until("\r\n\r\n").await;
    server.ended().await;
}

/// What works over any socket.
async fn check<S: AsyncRead + AsyncWrite + Unpin>(gate: &Gate, client: &mut Client<S>) {
    for _ in 0..2 {
        client.say(&get("/letters")).await;
        client.until("\r\n\r\n").await;
        for letter in ["a", "b", "c"] {
            gate.events.add_permits(1);
            assert_eq!(client.until("\n\n\r\n").await, format!("9\r\ndata: {letter}\n\n\r\n"));
        }
        assert_eq!(client.until("0\r\n\r\n").await, "0\r\n\r\n");
        client.say(&get("/flood")).await;
        client.until("\r\n\r\n").await;
        let body = chunks(&client.until("\r\n0\r\n\r\n").await);
        assert_eq!(body.split_terminator("\n\n").count(), 500);
        client.say(&get("/hello")).await;
        client.until("\r\n\r\nHello").await;
    }
    // A request that is there before the stream ends, and a stream that the end of the server ends.
    client.say(&(get("/letters") + HIDDEN + &get("/letters"))).await;
    gate.events.add_permits(3);
    client.until("0\r\n\r\nHTTP/1.1 200 OK\r\n").await;
    client.until("\r\n\r\nhidden").await;
    client.until("\r\n\r\n").await;
    gate.events.add_permits(1);
    client.until("data: a\n\n\r\n").await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn streams_are_encrypted_to_their_ends() {
    use ember::web::server::Tls;
    use rcgen::generate_simple_self_signed;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::pki_types::ServerName;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

    let certificate = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (chain, key) = (certificate.cert.pem(), certificate.signing_key.serialize_pem());
    let gate = Gate::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let app = ember::app!().component(gate.clone()).workers(1);
    let tls = Tls::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let running = app.tls(tls).serve(listener).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(running.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let socket = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
    let mut client = Client::over(socket, "").await;
    check(&gate, &mut client).await;
    running.stop().within(Duration::ZERO);
    // The end is told (close_notify), or reading would fail.
    assert!(chunks(&client.rest().await).starts_with("event: error\n"));
    running.join();
}

#[cfg(unix)]
#[tokio::test]
async fn streams_go_over_a_socket_in_the_file_system() {
    let path = std::env::temp_dir().join(format!("ember-it-{}-events", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let gate = Gate::new();
    let app = ember::app!().component(gate.clone()).workers(1);
    let running = app.serve_unix(listener).unwrap();
    let socket = tokio::net::UnixStream::connect(&path).await.unwrap();
    let mut client = Client::over(socket, "").await;
    check(&gate, &mut client).await;
    running.stop().within(Duration::ZERO);
    assert!(chunks(&client.rest().await).starts_with("event: error\n"));
    running.join();
    std::fs::remove_file(&path).unwrap();
}
