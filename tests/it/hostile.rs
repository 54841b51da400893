//! Clients that mean harm, over raw sockets: each is refused or cut off, and the server serves on.

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

use Expected::{Answers, Closed, Refused};

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

fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST /echo HTTP/1.1\r\nhost: x\r\n{fields}\r\n{body}{HIDDEN}").into_bytes()
}

fn get(line: &str) -> Vec<u8> {
    format!("{line}\r\nhost: x\r\n\r\n").into_bytes()
}

fn chunked(body: &str) -> Vec<u8> {
    post("transfer-encoding: chunked\r\n", body)
}

#[tokio::test]
async fn lengths_that_could_be_read_in_two_ways() {
    let both = "content-length: 5\r\ntransfer-encoding: chunked\r\n";
    let other = "transfer-encoding: chunked\r\ncontent-length: 5\r\n";
    play(&[
        (
            "two lengths that differ",
            post("content-length: 3\r\ncontent-length: 5\r\n", "abc"),
            Refused(400),
        ),
        (
            "two lengths that are equal",
            post("content-length: 3\r\ncontent-length: 3\r\n", "abc"),
            Refused(400),
        ),
        ("a list of lengths", post("content-length: 3, 3\r\n", "abc"), Refused(400)),
        ("a length with a sign", post("content-length: +3\r\n", "abc"), Refused(400)),
        ("a negative length", post("content-length: -3\r\n", "abc"), Refused(400)),
        ("a length in hexadecimal", post("content-length: 0x3\r\n", "abc"), Refused(400)),
        ("a length that is no number", post("content-length: three\r\n", "abc"), Refused(400)),
        ("an empty length", post("content-length:\r\n", "abc"), Refused(400)),
        (
            "a length beyond 64 bits",
            post("content-length: 18446744073709551619\r\n", "abc"),
            Refused(400),
        ),
        ("a length before chunks", post(both, "0\r\n\r\n"), Refused(400)),
        ("a length after chunks", post(other, "0\r\n\r\n"), Refused(400)),
        (
            "a length with a space before the colon",
            post("content-length : 3\r\n", "abc"),
            Refused(400),
        ),
        ("a length on a continued line", post("content-length:\r\n 3\r\n", "abc"), Refused(400)),
        (
            "chunked, identity",
            post("transfer-encoding: chunked, identity\r\n", "0\r\n\r\n"),
            Refused(400),
        ),
        (
            "identity, chunked",
            post("transfer-encoding: identity, chunked\r\n", "0\r\n\r\n"),
            Refused(400),
        ),
        ("gzip, chunked", post("transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n"), Refused(400)),
        ("identity", post("transfer-encoding: identity\r\n", ""), Refused(400)),
        ("xchunked", post("transfer-encoding: xchunked\r\n", "0\r\n\r\n"), Refused(400)),
        (
            "chunked in quotes",
            post("transfer-encoding: \"chunked\"\r\n", "0\r\n\r\n"),
            Refused(400),
        ),
        (
            "chunked with a parameter",
            post("transfer-encoding: chunked;q=1\r\n", "0\r\n\r\n"),
            Refused(400),
        ),
        (
            "chunked with a vertical tab",
            post("transfer-encoding: \x0bchunked\r\n", "0\r\n\r\n"),
            Refused(400),
        ),
        (
            "chunked twice in a line",
            post("transfer-encoding: chunked, chunked\r\n", "0\r\n\r\n"),
            Refused(400),
        ),
        (
            "chunked on two lines",
            post("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"),
            Refused(400),
        ),
        (
            "chunked and identity on two lines",
            post("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", "0\r\n\r\n"),
            Refused(400),
        ),
        (
            "chunked with a space before the colon",
            post("transfer-encoding : chunked\r\n", "0\r\n\r\n"),
            Refused(400),
        ),
        (
            "chunked on a continued line",
            post("transfer-encoding:\r\n chunked\r\n", "0\r\n\r\n"),
            Refused(400),
        ),
        (
            "chunked behind a bare CR",
            post("x: y\rtransfer-encoding: chunked\r\n", "0\r\n\r\n"),
            Refused(400),
        ),
        (
            "chunked behind a bare LF",
            post("x: y\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"),
            Refused(400),
        ),
        (
            "chunks in HTTP/1.0",
            format!("POST /echo HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}")
                .into_bytes(),
            Refused(400),
        ),
        (
            "a body of GET is read past",
            format!(
                "GET /hello HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{HIDDEN}",
                HIDDEN.len()
            )
            .into_bytes(),
            Answers(&[200]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn chunks_that_could_be_read_in_two_ways() {
    let extension = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(20_000));
    let extensions = format!("{}0\r\n\r\n", format!("1;{}\r\na\r\n", "x".repeat(200)).repeat(200));
    let trailer = format!("0\r\nx: {}\r\n\r\n", "x".repeat(20_000));
    let ignoring = format!(
        "POST /ignore HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{HIDDEN}"
    );
    play(&[
        ("a size that is not hexadecimal", chunked("g\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        ("a negative size", chunked("-1\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        ("a size with 0x", chunked("0x3\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        ("an empty size", chunked("\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        ("a size with a space", chunked("3 \r\nabc\r\n0\r\n\r\n"), Refused(400)),
        ("a size beyond 64 bits", chunked("fffffffffffffffff\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        ("the largest size", chunked("ffffffffffffffff\r\nabc\r\n0\r\n\r\n"), Closed),
        ("a size that ends in LF", chunked("3\nabc\r\n0\r\n\r\n"), Refused(400)),
        ("a chunk without its end", chunked("3\r\nabc0\r\n\r\n"), Refused(400)),
        ("a chunk that ends in LF", chunked("3\r\nabc\n0\r\n\r\n"), Refused(400)),
        ("a chunk longer than its size", chunked("3\r\nabcd\r\n0\r\n\r\n"), Refused(400)),
        ("a last chunk that ends in LF", chunked("0\n\n"), Refused(400)),
        ("an extension with LF", chunked("3;a\nb\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        ("an extension with CR", chunked("3;a\rb\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        ("an extension that is too long", chunked(&extension), Refused(400)),
        ("many long extensions", chunked(&extensions), Refused(400)),
        ("a trailer that is too long", chunked(&trailer), Refused(400)),
        ("a trailer that ends in LF", chunked("0\r\nx: y\n\r\n"), Refused(400)),
        ("bad chunks that nobody reads", ignoring.into_bytes(), Answers(&[200])),
        ("good chunks", chunked("3;a=b\r\nabc\r\n0\r\nx: y\r\n\r\n"), Answers(&[200, 200])),
    ])
    .await;
}

#[tokio::test]
async fn request_lines_and_targets() {
    let long = format!("GET /{} HTTP/1.1", "x".repeat(7000));
    let longer = format!("GET /{} HTTP/1.1", "x".repeat(70_000));
    play(&[
        ("absolute form", get("GET http://x/hello HTTP/1.1"), Answers(&[200])),
        ("absolute form, another scheme", get("GET ftp://x/hello HTTP/1.1"), Refused(400)),
        ("authority form", get("GET x:80 HTTP/1.1"), Refused(400)),
        ("asterisk form", get("GET * HTTP/1.1"), Refused(400)),
        ("asterisk form of OPTIONS", get("OPTIONS * HTTP/1.1"), Answers(&[204])),
        ("CONNECT", get("CONNECT x:80 HTTP/1.1"), Refused(400)),
        ("CONNECT with a path", get("CONNECT /hello HTTP/1.1"), Refused(400)),
        ("no slash", get("GET hello HTTP/1.1"), Refused(400)),
        ("NUL in the target", get("GET /hel\0lo HTTP/1.1"), Refused(400)),
        ("a control character in the target", get("GET /hel\x01lo HTTP/1.1"), Refused(400)),
        ("DEL in the target", get("GET /hel\x7flo HTTP/1.1"), Refused(400)),
        ("a space in the target", get("GET /hel lo HTTP/1.1"), Refused(400)),
        ("a tab instead of a space", get("GET\t/hello HTTP/1.1"), Refused(400)),
        ("two spaces", get("GET  /hello HTTP/1.1"), Refused(400)),
        ("a method that is no token", get("G(T /hello HTTP/1.1"), Refused(400)),
        ("HTTP/0.9", b"GET /hello\r\n".to_vec(), Refused(400)),
        ("HTTP/3.0", get("GET /hello HTTP/3.0"), Refused(400)),
        ("HTTP/1.2", get("GET /hello HTTP/1.2"), Refused(400)),
        ("HTTP/11", get("GET /hello HTTP/11"), Refused(400)),
        ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), Refused(400)),
        ("a long target", get(&long), Answers(&[404])),
        ("a target that is too long", get(&longer), Refused(431)),
        (
            "a bare LF after the request line",
            b"GET /hello HTTP/1.1\nhost: x\r\n\r\n".to_vec(),
            Refused(400),
        ),
        ("bare LFs only", b"GET /hello HTTP/1.1\nhost: x\n\n".to_vec(), Refused(400)),
        (
            "a bare CR after the request line",
            b"GET /hello HTTP/1.1\rhost: x\r\n\r\n".to_vec(),
            Refused(400),
        ),
        (
            "empty lines before the request",
            b"\r\n\r\nGET /hello HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
            Answers(&[200]),
        ),
        ("empty lines without end", b"\r\n".repeat(20_000), Closed),
        ("a preface of HTTP/2 that is cut", b"PRI * HTTP/2.0\r\n\r\nSM".to_vec(), Closed),
        (
            "a preface of HTTP/2 that goes wrong",
            b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec(),
            Refused(400),
        ),
        (
            "a preface of HTTP/2 and nonsense",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense".to_vec(),
            Closed,
        ),
        ("nothing", Vec::new(), Closed),
    ])
    .await;
}

#[tokio::test]
async fn header_fields() {
    let field =
        |field: &str| format!("GET /hello HTTP/1.1\r\nhost: x\r\n{field}\r\n\r\n").into_bytes();
    let host = |fields: &str| format!("GET /host HTTP/1.1\r\n{fields}\r\n").into_bytes();
    let many: String = (0..60).map(|n| format!("x-{n}: 1\r\n")).collect();
    play(&[
        ("NUL in a value", field("x: a\0b"), Refused(400)),
        ("a control character in a value", field("x: a\x01b"), Refused(400)),
        ("a bare CR in a value", field("x: a\rb"), Refused(400)),
        ("a bare LF after a value", field("x: a\ny: b"), Refused(400)),
        ("NUL in a name", field("x\0y: a"), Refused(400)),
        ("a space in a name", field("x y: a"), Refused(400)),
        ("a space before the colon", field("x : a"), Refused(400)),
        ("an empty name", field(": a"), Refused(400)),
        ("no colon", field("x"), Refused(400)),
        ("a continued line", field("x: a\r\n b"), Refused(400)),
        ("a continued line at the start", b"GET /hello HTTP/1.1\r\n host: x\r\n\r\n".to_vec(), Refused(400)),
        ("no host", host(""), Refused(400)),
        ("no host in HTTP/1.0", b"GET /hello HTTP/1.0\r\n\r\n".to_vec(), Answers(&[200])),
        ("two hosts", host("host: x\r\nhost: y\r\n"), Refused(400)),
        ("a host twice", host("host: x\r\nhost: x\r\n"), Refused(400)),
        ("a host with a user", host("host: a@x\r\n"), Refused(400)),
        ("a host with a path", host("host: x/y\r\n"), Refused(400)),
        ("a list of hosts", host("host: x, y\r\n"), Refused(400)),
        ("a large field", field(&format!("x: {}", "y".repeat(9000))), Refused(431)),
        ("a field without end", field(&format!("x: {}", "y".repeat(400_000))), Refused(431)),
        ("many fields", host(&format!("host: x\r\n{many}")), Refused(431)),
        ("fields without end", field(&"x: y\r\n".repeat(50_000)), Refused(431)),
        ("an upgrade to nonsense", field("connection: upgrade\r\nupgrade: nonsense"), Answers(&[200])),
        ("an upgrade to h2c", field("connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__"), Answers(&[200])),
        ("a header section that stops", b"GET /hello HTTP/1.1\r\nhost: x\r\n".to_vec(), Closed),
    ])
    .await;
    let server = serve();
    let absolute = b"GET http://target/host HTTP/1.1\r\nhost: header\r\nconnection: close\r\n\r\n";
    assert!(exchange(server.address(), absolute).await.ends_with("target"), "the target wins");
}

#[tokio::test]
async fn bodies() {
    let body = |fields: &str, body: &str| {
        format!("POST /echo HTTP/1.1\r\nhost: x\r\n{fields}\r\n{body}").into_bytes()
    };
    let large = "x".repeat(100_000);
    let chunk = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    play(&[
        (
            "a body that is announced too large",
            body("content-length: 100000\r\n", ""),
            Refused(413),
        ),
        ("a body that is too large", body("content-length: 100000\r\n", &large), Refused(413)),
        (
            "a chunked body that is too large",
            body("transfer-encoding: chunked\r\n", &chunk),
            Refused(413),
        ),
        ("a body that stops", body("content-length: 5\r\n", "ab"), Refused(408)),
        ("a chunk that stops", body("transfer-encoding: chunked\r\n", "5\r\nab"), Refused(408)),
        ("chunks that stop", body("transfer-encoding: chunked\r\n", "2\r\nab\r\n"), Refused(408)),
        (
            "a body that nobody reads and that stops",
            b"POST /ignore HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab".to_vec(),
            Answers(&[200]),
        ),
        (
            "Expect without a body",
            body("expect: 100-continue\r\ncontent-length: 5\r\n", ""),
            Answers(&[100, 408]),
        ),
        (
            "Expect with a body",
            body("expect: 100-continue\r\ncontent-length: 2\r\n", "ab"),
            Answers(&[100, 200]),
        ),
        (
            "Expect of a body that is too large",
            body("expect: 100-continue\r\ncontent-length: 100000\r\n", ""),
            Refused(413),
        ),
    ])
    .await;
}

/// Writes pieces with pauses until the server closes the connection; tells what it answered.
async fn drip(address: SocketAddr, first: &[u8], piece: &[u8], pause: Duration) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(first).await.unwrap();
    let (mut read, mut write) = socket.split();
    let mut received = Vec::new();
    let dripping = async {
        while write.write_all(piece).await.is_ok() {
            sleep(pause).await;
        }
        std::future::pending::<()>().await;
    };
    let reading = async {
        let _ = read.read_to_end(&mut received).await;
    };
    let both = async {
        tokio::select! {
            () = dripping => {}
            () = reading => {}
        }
    };
    timeout(Duration::from_secs(20), both).await.expect("the connection stays open");
    String::from_utf8_lossy(&received).into_owned()
}

#[tokio::test]
async fn clients_that_drip() {
    let server = serve();
    let pause = Duration::from_millis(30);
    let head = b"GET /hello HTTP/1.1\r\nhost: x\r\n";
    for (name, first, piece) in [
        ("a request line that drips", &b"GET /"[..], &b"x"[..]),
        ("a field that drips", &head[..], b"x"),
        ("fields that drip", &head[..], b"x: y\r\n"),
        ("empty lines that drip", b"", b"\r\n"),
    ] {
        let received = drip(server.address(), first, piece, pause).await;
        println!("{name} -> {:?}", statuses(&received));
        assert_eq!(received, "", "{name}");
        is_well(&server, name).await;
    }
    let by_length = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n";
    let by_chunks = b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    for (name, first, piece) in [
        ("a body that drips", &by_length[..], &b"x"[..]),
        ("chunks that drip", &by_chunks[..], b"1\r\nx\r\n"),
    ] {
        // No pause is too long, but in all it is: 240 bytes a second are asked for.
        let received = drip(server.address(), first, piece, pause).await;
        println!("{name} -> {:?}", statuses(&received));
        assert_eq!(statuses(&received), [408], "{name}: {received}");
        is_well(&server, name).await;
    }
}

#[tokio::test]
async fn pipelines() {
    let server = serve();
    let mut hundred = Vec::new();
    for n in 0..100 {
        let body = n.to_string();
        hundred.extend_from_slice(
            format!(
                "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        );
    }
    let received = exchange(server.address(), &hundred).await;
    assert_eq!(statuses(&received), [200; 100]);
    let bodies: Vec<_> = received
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| answer.rsplit("\r\n").next().unwrap())
        .collect();
    assert_eq!(bodies, (0..100).map(|n| n.to_string()).collect::<Vec<_>>(), "in order");

    // Good requests before a bad one are answered, and nothing behind it is.
    let mut mixed = HIDDEN.repeat(3).into_bytes();
    mixed.extend_from_slice(b"GET /hello HTTP/1.1\nhost: x\r\n\r\n");
    mixed.extend_from_slice(HIDDEN.as_bytes());
    assert_eq!(statuses(&exchange(server.address(), &mixed).await), [200, 200, 200, 400]);

    // A flood whose answers nobody takes does not grow in the server: it stops reading, and ends it.
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    let flood = HIDDEN.repeat(1000).into_bytes();
    let flooding = async {
        for _ in 0..1000 {
            if socket.write_all(&flood).await.is_err() {
                return;
            }
        }
        panic!("a million requests were taken from a client that takes no answer");
    };
    timeout(Duration::from_secs(20), flooding).await.expect("the connection stays open");
    is_well(&server, "a flood").await;
}

#[tokio::test]
async fn a_connection_carries_so_many_requests() {
    let limits = ServerLimits::default().max_requests_per_connection(3);
    let server = Server::start(routes().workers(1).limits(limits));
    let received = exchange(server.address(), HIDDEN.repeat(10).as_bytes()).await;
    assert_eq!(statuses(&received), [200; 3]);
    assert_eq!(received.to_lowercase().matches("connection: close").count(), 1, "{received}");
}

#[tokio::test]
async fn sockets_that_are_half_closed_or_reset() {
    let server = serve();
    for request in [
        &b""[..],
        b"GET /hello",
        b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nab",
    ] {
        let mut socket = TcpStream::connect(server.address()).await.unwrap();
        socket.write_all(request).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut received = String::new();
        let read = timeout(Duration::from_secs(20), socket.read_to_string(&mut received)).await;
        let _ = read.expect("the connection stays open");
        println!(
            "half-closed after {:?} -> {:?}",
            String::from_utf8_lossy(request),
            statuses(&received)
        );
        is_well(&server, "a socket that was half closed").await;

        let mut socket = TcpStream::connect(server.address()).await.unwrap();
        socket.write_all(request).await.unwrap();
        // Without lingering a close is a reset.
        socket.set_zero_linger().unwrap();
        drop(socket);
        is_well(&server, "a reset").await;
    }
}

/// Frames of HTTP/2 by hand (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

/// `:method GET`, `:scheme http`, `:path /`, and `:authority x`, in the static table of HPACK.
const REQUEST: &[u8] = &[0x82, 0x86, 0x84, 0x41, 0x01, b'x'];

/// Whether the server ends a connection of HTTP/2 on which such frames are sent without end.
async fn is_ended(address: SocketAddr, mut next: impl FnMut(u32) -> Vec<u8>) -> bool {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    let (mut read, mut write) = socket.split();
    let writing = async {
        for n in 0..200_000 {
            if write.write_all(&next(n)).await.is_err() {
                return true;
            }
        }
        false
    };
    let reading = async {
        let mut buffer = vec![0; 1 << 16];
        while matches!(read.read(&mut buffer).await, Ok(count) if count > 0) {}
        true
    };
    let both = async {
        tokio::select! {
            ended = writing => ended,
            ended = reading => ended,
        }
    };
    timeout(Duration::from_secs(20), both).await.unwrap_or(false)
}

#[tokio::test]
async fn floods_of_http2() {
    let server = serve();
    let address = server.address();
    // Rapid reset, CVE-2023-44487.
    let reset = |n: u32| {
        let stream = 2 * n + 1;
        [frame(HEADERS, 0x5, stream, REQUEST), frame(RST, 0, stream, &8_u32.to_be_bytes())].concat()
    };
    assert!(is_ended(address, reset).await, "requests that are taken back at once");
    is_well(&server, "rapid resets").await;
    // CVE-2024-27316: a header section that never ends.
    let continuation = |n: u32| match n {
        0 => frame(HEADERS, 0x1, 1, REQUEST),
        _ => frame(CONTINUATION, 0, 1, &[0x40, 1, b'x', 1, b'y'].repeat(1000)),
    };
    assert!(is_ended(address, continuation).await, "a header section without end");
    is_well(&server, "continuations").await;
    // CVE-2019-9512 and -9515: what must be answered, from a client that reads nothing.
    assert!(is_ended(address, |_| frame(SETTINGS, 0, 3, &[])).await, "settings of a stream");
    assert!(is_ended(address, |_| frame(PING, 0, 0, &[0; 7])).await, "a ping of a wrong size");
    assert!(is_ended(address, |_| frame(HEADERS, 0x5, 2, REQUEST)).await, "an even stream");
    let errors = |n: u32| frame(HEADERS, 0x5, 2 * n + 1, &[0x82, 0x86, 0x84, 0x82]);
    assert!(is_ended(address, errors).await, "requests that are malformed");
    is_well(&server, "all of them").await;
}
