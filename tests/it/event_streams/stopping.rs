//! Streams of a server that stops, and of clients that take nothing.

use super::*;

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
