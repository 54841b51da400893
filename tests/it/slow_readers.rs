//! Clients that read slowly, or not at all: the first are served, the others are not waited for.

use ember::prelude::*;
use ember::web::server::ServerLimits;
use ember_tests::Server;
use futures_util::future::join_all;
use futures_util::stream;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(20);
/// More than the kernel takes for a client that does not read.
const LARGE: usize = 8 << 20;

#[get("/hello")]
async fn hello() -> &'static str {
    "Hello"
}

#[get("/large")]
async fn large() -> Bytes {
    Bytes::from(vec![b'x'; LARGE])
}

#[get("/medium")]
async fn medium() -> Bytes {
    Bytes::from(vec![b'x'; 100_000])
}

#[get("/flood")]
async fn flood() -> Body {
    Body::stream(stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 1 << 16])))
}

fn serve(limits: ServerLimits) -> Server {
    Server::start(ember::app!().workers(1).limits(limits))
}

/// A connection whose kernel takes little in advance.
async fn connect(server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(32 << 10).unwrap();
    socket.connect(server.address()).await.unwrap()
}

fn request(server: &Server, path: &str) -> ember::http::Request<()> {
    let uri = format!("http://{}{path}", server.address());
    ember::http::Request::get(uri).body(()).unwrap()
}

/// Everything is short but the time in which a client must take something.
fn limits() -> ServerLimits {
    ServerLimits::default().header_read(SHORT).keep_alive(SHORT).write_stall(LONG)
}

#[tokio::test]
async fn a_slow_download_over_http1_is_no_idle_connection() {
    let server = serve(limits());
    let mut socket = connect(&server).await;
    socket.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut received = 0;
    let mut buffer = vec![0; 64 << 10];
    // For five times as long as an idle connection may stand, it reads now and then.
    for _ in 0..20 {
        received += socket.read(&mut buffer).await.unwrap();
        sleep(SHORT / 4).await;
    }
    // A part of the next request is there long before its turn.
    socket.write_all(b"GET /hello HT").await.unwrap();
    sleep(SHORT * 3).await;
    while received < LARGE {
        match socket.read(&mut buffer).await {
            Ok(0) | Err(_) => panic!("cut after {received} bytes"),
            Ok(count) => received += count,
        }
    }
    socket.write_all(b"TP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    timeout(LONG, socket.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.ends_with(b"\r\n\r\nHello"), "{:?}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn a_slow_download_over_http2_is_no_idle_connection() {
    let server = serve(limits());
    let socket = connect(&server).await;
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    // The whole body is with the server's HTTP/2 when the window of 65,535 bytes is used up.
    let (response, _) = client.send_request(request(&server, "/medium"), true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let mut received = 0;
    while received < 100_000 {
        let data = body.data().await.expect("the end is missing").expect("cut");
        received += data.len();
        sleep(SHORT).await;
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    assert!(body.data().await.is_none());
    // Afterwards it is idle, and told to go.
    timeout(LONG, connection).await.expect("it stays open").unwrap().unwrap();
}

#[tokio::test]
async fn an_idle_connection_of_http2_is_kept_until_its_time() {
    let keep_alive = Duration::from_secs(2);
    let server = serve(limits().keep_alive(keep_alive));
    let mut connections = Vec::new();
    for asks in [false, true] {
        let socket = connect(&server).await;
        let (mut client, mut connection) = h2::client::handshake(socket).await.unwrap();
        let mut pings = connection.ping_pong().unwrap();
        let connection = tokio::spawn(connection);
        if asks {
            let (response, _) = client.send_request(request(&server, "/hello"), true).unwrap();
            assert_eq!(response.await.unwrap().status(), 200);
        }
        // What is no request begins none.
        pings.ping(h2::Ping::opaque()).await.unwrap();
        connections.push((client, connection));
    }
    sleep(SHORT * 4).await;
    let ends = connections.into_iter().map(async |(client, connection)| {
        let mut client = client.ready().await.expect("it was closed before its time");
        let (response, _) = client.send_request(request(&server, "/hello"), true).unwrap();
        assert_eq!(response.await.unwrap().status(), 200);
        // By GOAWAY, not by a cut, although the server sends a ping meanwhile.
        timeout(LONG, connection).await.expect("it stays open").unwrap().unwrap();
    });
    join_all(ends).await;
}

#[tokio::test]
async fn a_stream_of_http2_that_nobody_takes_is_ended_alone() {
    let limits = limits().write_stall(SHORT).keep_alive(LONG);
    let server = serve(limits);
    let socket = connect(&server).await;
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    for path in ["/flood", "/large"] {
        // The window of the stream is 65,535 bytes, and no more is granted.
        let (response, _) = client.send_request(request(&server, path), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let end = async {
            loop {
                match body.data().await {
                    // The connection has room for others, the stream has none.
                    Some(Ok(_)) => {}
                    other => return other,
                }
            }
        };
        let end = timeout(LONG, end).await.expect("it is held open");
        let reason = end.expect("it looks complete").unwrap_err().reason();
        assert_eq!(reason, Some(h2::Reason::CANCEL), "{path}");
        // What was not taken counts for the connection as well.
        let used = body.flow_control().used_capacity();
        let _ = body.flow_control().release_capacity(used);
        drop(body);
        let (response, _) = client.send_request(request(&server, "/hello"), true).unwrap();
        assert_eq!(response.await.unwrap().status(), 200, "others go on");
    }
    drop(client);
    timeout(LONG, connection).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_rest_that_nobody_takes_ends_the_connection() {
    let server = serve(limits().write_stall(SHORT).keep_alive(LONG));
    let socket = connect(&server).await;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(3);
    let (mut client, connection) = builder.handshake::<_, Bytes>(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    // The handler is done and all of it is with the server's HTTP/2.
    let (response, _) = client.send_request(request(&server, "/hello"), true).unwrap();
    let response = response.await.unwrap();
    let ended = timeout(LONG, connection).await.expect("it is held open");
    drop((response, ended));
}
