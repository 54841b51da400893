//! The server over real sockets: versions of HTTP, limits, panics, and the end.

use ember::http::Version;
use ember::prelude::*;
use ember::web::server::ServerLimits;
use ember_tests::{Server, exchange, read_response};
use futures_util::{StreamExt as _, stream};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

#[get("/hello")]
async fn hello() -> &'static str {
    "Hello"
}

#[post("/echo")]
async fn echo(body: Bytes) -> Bytes {
    body
}

#[get("/peer")]
async fn peer(version: Version, peer: Option<SocketAddr>) -> String {
    format!("{version:?} {}", peer.unwrap().ip())
}

#[get("/slow")]
async fn slow() -> &'static str {
    sleep(Duration::from_millis(400)).await;
    "slow"
}

#[get("/panic")]
async fn panics() -> String {
    panic!("in the handler")
}

#[get("/broken")]
async fn breaks() -> Body {
    let pieces = stream::iter(["a", "panic"]).map(|piece| {
        assert_ne!(piece, "panic", "in the body");
        Ok::<_, std::io::Error>(piece)
    });
    Body::stream(pieces)
}

#[get("/endless")]
async fn endless() -> Sse {
    Sse::new(stream::unfold(0_u64, |n| async move {
        sleep(Duration::from_millis(5)).await;
        Some((Event::data(n.to_string()), n + 1))
    }))
}

#[get("/flood")]
async fn flood() -> Body {
    Body::stream(stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 1 << 16])))
}

fn serve(limits: ServerLimits) -> Server {
    Server::start(ember::app!().workers(2).limits(limits))
}

const HELLO: &[u8] = b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n";

async fn status(address: SocketAddr, request: &[u8]) -> String {
    let answer = exchange(address, request).await;
    answer.split_whitespace().nth(1).unwrap_or("closed").to_owned()
}

#[tokio::test]
async fn a_connection_answers_many_requests() {
    let server = serve(ServerLimits::default());
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    for _ in 0..3 {
        socket.write_all(HELLO).await.unwrap();
        let response = read_response(&mut socket).await.unwrap();
        assert_eq!((response.status, response.body.as_str()), (200, "Hello"));
        assert!(response.head.contains("date: "));
    }
    // Requests that arrive together are answered in order.
    let both = [HELLO, b"GET /peer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"].concat();
    socket.write_all(&both).await.unwrap();
    let mut rest = String::new();
    socket.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("Hello") && rest.ends_with("HTTP/1.1 127.0.0.1"), "{rest}");
}

#[tokio::test]
async fn bodies_arrive_by_length_and_by_chunks() {
    let server = serve(ServerLimits::default());
    let by_length =
        b"POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc";
    assert!(exchange(server.address(), by_length).await.ends_with("\r\n\r\nabc"));
    let by_chunks =
        b"POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
    assert!(exchange(server.address(), by_chunks).await.ends_with("\r\n\r\nabc"));
}

#[tokio::test]
async fn http2_is_spoken_to_those_who_know() {
    let server = serve(ServerLimits::default());
    let socket = TcpStream::connect(server.address()).await.unwrap();
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..3 {
        let request = ember::http::Request::get(format!("http://{}/peer", server.address()))
            .body(())
            .unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        let body = response.into_body().data().await.unwrap().unwrap();
        assert_eq!(body, "HTTP/2.0 127.0.0.1");
    }
    drop(client);
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_worker_lives() {
    let server = serve(ServerLimits::default());
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    for _ in 0..3 {
        socket.write_all(b"GET /panic HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let response = read_response(&mut socket).await.unwrap();
        assert_eq!(response.status, 500);
        assert!(!response.body.contains("in the handler"), "{}", response.body);
    }
    for _ in 0..8 {
        let broken = exchange(server.address(), b"GET /broken HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(
            !broken.ends_with("0\r\n\r\n"),
            "a body that broke must not look complete: {broken}"
        );
    }
    for _ in 0..8 {
        let fresh = b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        assert_eq!(status(server.address(), fresh).await, "200");
    }
}

#[tokio::test]
async fn headers_are_limited_in_size_number_and_time() {
    let limits = ServerLimits::default()
        .max_header_size(2048)
        .max_headers(20)
        .header_read(Duration::from_millis(200));
    let server = serve(limits);
    let large = format!("GET /hello HTTP/1.1\r\nhost: x\r\nx-large: {}\r\n\r\n", "x".repeat(4096));
    assert_eq!(status(server.address(), large.as_bytes()).await, "431");
    let many: String = (0..40).map(|n| format!("x-{n}: 1\r\n")).collect();
    let many = format!("GET /hello HTTP/1.1\r\nhost: x\r\n{many}\r\n");
    assert_eq!(status(server.address(), many.as_bytes()).await, "431");
    assert_eq!(exchange(server.address(), b"GET /hello HTTP/1.1\r\nhost:").await, "");
    assert_eq!(exchange(server.address(), b"").await, "", "a connection owes its first request");
}

#[tokio::test]
async fn a_header_that_drips_is_no_excuse() {
    let server = serve(ServerLimits::default().header_read(Duration::from_millis(200)));
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    let drip = async {
        while socket.write_all(b"a").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), drip).await.expect("the connection stays open");
}

#[tokio::test]
async fn bodies_are_limited_in_size_and_time() {
    let limits = ServerLimits::default().max_body_size(10).body_read(Duration::from_millis(100));
    let server = serve(limits);
    let announced = b"POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 11\r\n\r\nhello world";
    assert_eq!(status(server.address(), announced).await, "413");
    let chunked = b"POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n";
    assert_eq!(status(server.address(), chunked).await, "413");
    let paused =
        b"POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhe";
    assert_eq!(status(server.address(), paused).await, "408");
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let server = serve(ServerLimits::default().keep_alive(Duration::from_millis(200)));
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    socket.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(
        read_response(&mut socket).await.unwrap().body,
        "slow",
        "an answer may take longer than that"
    );
    let closed = timeout(Duration::from_secs(10), read_response(&mut socket)).await;
    assert_eq!(closed.expect("the connection stays open"), None);
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off() {
    let server = serve(ServerLimits::default().write_stall(Duration::from_millis(300)));
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    socket.write_all(b"GET /flood HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(1500)).await;
    // What the kernel has kept is still there; behind it the connection is closed.
    let drain = async {
        let mut buffer = vec![0; 1 << 20];
        while matches!(socket.read(&mut buffer).await, Ok(read) if read > 0) {}
    };
    timeout(Duration::from_secs(10), drain).await.expect("the connection stays open");
}

#[tokio::test]
async fn connections_are_limited_in_number() {
    let server =
        serve(ServerLimits::default().max_connections(2).keep_alive(Duration::from_secs(2)));
    let mut sockets = Vec::new();
    for _ in 0..4 {
        let mut socket = TcpStream::connect(server.address()).await.unwrap();
        socket.write_all(HELLO).await.unwrap();
        sockets.push(socket);
    }
    for socket in &mut sockets[..2] {
        assert_eq!(read_response(socket).await.unwrap().status, 200);
    }
    let third = timeout(Duration::from_millis(300), read_response(&mut sockets[2])).await;
    assert!(third.is_err(), "{third:?} although two connections are open");
    // Those beyond the limit are served when others have been closed.
    for socket in &mut sockets[2..] {
        let response = timeout(Duration::from_secs(15), read_response(socket)).await.unwrap();
        assert_eq!(response.unwrap().status, 200);
    }
}

#[tokio::test]
async fn requests_may_finish_when_the_server_stops() {
    let mut server = serve(ServerLimits::default());
    let address = server.address();
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(HELLO).await.unwrap();
    read_response(&mut idle).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let handle = server.take();
    handle.stop().gracefully();
    assert_eq!(read_response(&mut socket).await.unwrap().body, "slow");
    assert_eq!(read_response(&mut idle).await, None, "an idle connection is closed");
    tokio::task::spawn_blocking(move || handle.join()).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn open_streams_end_at_the_deadline() {
    let mut server = serve(ServerLimits::default());
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    socket.write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut begun = [0; 200];
    socket.read_exact(&mut begun).await.unwrap();
    let handle = server.take();
    handle.stop().within(Duration::from_millis(300));
    let mut rest = Vec::new();
    let _ = socket.read_to_end(&mut rest).await;
    tokio::task::spawn_blocking(move || handle.join()).await.unwrap();
    assert!(!rest.is_empty(), "the stream goes on until the deadline");
    let rest = String::from_utf8(rest).unwrap();
    assert!(rest.contains("event: error\ndata: {"), "the last word: {rest}");
    assert!(rest.ends_with("\r\n0\r\n\r\n"), "the body ends well: {rest}");
}
