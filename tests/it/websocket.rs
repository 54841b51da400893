//! WebSocket over real sockets: handshakes, messages of every kind, limits, and the end.

use ember::http::Response as HttpResponse;
use ember::prelude::*;
use ember::web::RequestParts;
use ember::web::server::ServerLimits;
use ember::web::websocket::WebSocketLimits;
use ember_tests::{Server, exchange};
use futures_util::{SinkExt as _, StreamExt as _};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{self};

struct Rooms(&'static str);

/// The handshake takes what any request takes.
struct Visitor(String);

impl FromRequestParts for Visitor {
    async fn from_request_parts(parts: &mut RequestParts) -> ember::Result<Self> {
        match parts.query() {
            Some(name) => Ok(Self(name.to_owned())),
            None => Err(Error::unauthorized("Who are you?")),
        }
    }
}

async fn echo_all(mut socket: WebSocket) -> ember::Result<()> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

#[get("/echo")]
async fn echo(upgrade: WebSocketUpgrade) -> Response {
    let limits = WebSocketLimits::new().max_message_size(1000).max_frame_size(600);
    upgrade.limits(limits).on_upgrade(echo_all)
}

#[get("/rooms/{room}")]
async fn room(
    room: u32,
    visitor: Visitor,
    rooms: Component<Rooms>,
    cookies: Cookies,
    upgrade: WebSocketUpgrade,
) -> ember::Result<Response> {
    cookies.set(Cookie::new("room", room.to_string()))?;
    let greeting = format!("{} in {} {room}", visitor.0, rooms.0.0);
    Ok(upgrade.on_upgrade(async move |mut socket| socket.send(greeting).await))
}

#[get("/talk")]
async fn talk(upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.protocols(["chat.v2", "chat.v1"]);
    let protocol = upgrade.protocol().unwrap_or("none").to_owned();
    upgrade.on_upgrade(async move |mut socket| socket.send(protocol).await)
}

#[get("/declined")]
async fn declined(_upgrade: WebSocketUpgrade) -> &'static str {
    "not today"
}

fn serve(limits: ServerLimits) -> Server {
    Server::start(ember::app!().component(Rooms("room")).workers(1).limits(limits))
}

type Client = WebSocketStream<TcpStream>;

async fn connect(
    server: &Server,
    path: &str,
    protocols: &str,
) -> Result<(Client, HttpResponse<Option<Vec<u8>>>), tungstenite::Error> {
    let mut request = format!("ws://{}{path}", server.address()).into_client_request().unwrap();
    if !protocols.is_empty() {
        request.headers_mut().insert("sec-websocket-protocol", protocols.parse().unwrap());
    }
    let socket = TcpStream::connect(server.address()).await.unwrap();
    tokio_tungstenite::client_async(request, socket).await
}

async fn echo_client(server: &Server) -> Client {
    connect(server, "/echo", "").await.unwrap().0
}

/// Reads to the end, and returns the code of the Close frame.
async fn close_code(client: &mut Client) -> Option<u16> {
    let mut code = None;
    while let Some(Ok(message)) = client.next().await {
        if let Message::Close(frame) = message {
            code = frame.map(|frame| frame.code.into());
        }
    }
    code
}

#[tokio::test]
async fn messages_of_every_kind_come_back() {
    let server = serve(ServerLimits::default());
    let mut client = echo_client(&server).await;
    for message in [
        Message::text("Grüße ☃"),
        Message::text(""),
        Message::binary(vec![0, 159, 146, 150]),
        Message::binary(vec![7; 600]),
    ] {
        client.send(message.clone()).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), message);
    }
    client.send(Message::Ping(Bytes::from_static(b"are you there?"))).await.unwrap();
    let pong = Message::Pong(Bytes::from_static(b"are you there?"));
    assert_eq!(client.next().await.unwrap().unwrap(), pong);
    // A message in three frames, with a ping between them.
    let frame = |text: &'static str, opcode, is_final| {
        Message::Frame(Frame::message(text, OpCode::Data(opcode), is_final))
    };
    client.send(frame("one ", Data::Text, false)).await.unwrap();
    client.send(frame("two ", Data::Continue, false)).await.unwrap();
    client.send(Message::Ping(Bytes::new())).await.unwrap();
    client.send(frame("three", Data::Continue, true)).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong(Bytes::new()));
    assert_eq!(client.next().await.unwrap().unwrap(), Message::text("one two three"));
    client.close(None).await.unwrap();
    assert_eq!(close_code(&mut client).await, None);
}

#[tokio::test]
async fn what_is_too_large_or_wrong_is_closed_with_its_code() {
    let server = serve(ServerLimits::default());
    let mut client = echo_client(&server).await;
    client.send(Message::binary(vec![0; 601])).await.unwrap();
    assert_eq!(close_code(&mut client).await, Some(1009), "a frame");

    let mut client = echo_client(&server).await;
    for (opcode, is_final) in [(Data::Binary, false), (Data::Continue, true)] {
        let frame = Frame::message(vec![0; 501], OpCode::Data(opcode), is_final);
        client.send(Message::Frame(frame)).await.unwrap();
    }
    assert_eq!(close_code(&mut client).await, Some(1009), "a message");

    let mut client = echo_client(&server).await;
    let frame = Frame::message(vec![0xff], OpCode::Data(Data::Text), true);
    client.send(Message::Frame(frame)).await.unwrap();
    assert_eq!(close_code(&mut client).await, Some(1007), "no UTF-8");

    let mut client = echo_client(&server).await;
    let frame = Frame::message("x", OpCode::Data(Data::Continue), true);
    client.send(Message::Frame(frame)).await.unwrap();
    assert_eq!(close_code(&mut client).await, Some(1002), "nothing to continue");
}

#[tokio::test]
async fn the_handshake_has_extractors_and_cookies() {
    let server = serve(ServerLimits::default());
    let (mut client, response) = connect(&server, "/rooms/7?ann", "").await.unwrap();
    assert_eq!(response.status(), 101);
    assert!(response.headers()["set-cookie"].to_str().unwrap().starts_with("room=7;"));
    assert_eq!(client.next().await.unwrap().unwrap(), Message::text("ann in room 7"));
    assert_eq!(close_code(&mut client).await, Some(1000));
    for (path, status) in
        [("/rooms/7", 401), ("/rooms/x?ann", 400), ("/nowhere", 404), ("/declined", 200)]
    {
        match connect(&server, path, "").await {
            Err(tungstenite::Error::Http(response)) => {
                assert_eq!(response.status(), status, "{path}")
            }
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_subprotocol_is_chosen_by_the_server() {
    let server = serve(ServerLimits::default());
    for (offered, chosen) in [("chat.v1, chat.v2", "chat.v2"), ("x, chat.v1", "chat.v1")] {
        let (mut client, response) = connect(&server, "/talk", offered).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], chosen);
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text(chosen));
    }
    let (mut client, response) = connect(&server, "/talk", "").await.unwrap();
    assert!(!response.headers().contains_key("sec-websocket-protocol"));
    assert_eq!(client.next().await.unwrap().unwrap(), Message::text("none"));
}

/// The head of an answer to a handshake with these headers, in lower case.
async fn shake(server: &Server, method: &str, headers: &str) -> String {
    let request = format!("{method} /echo HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(answer).unwrap().to_lowercase()
}

#[tokio::test]
async fn a_bad_handshake_is_refused_with_what_would_be_good() {
    const KEY: &str = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const UP: &str = "upgrade: websocket\r\nconnection: keep-alive, Upgrade\r\n";
    const V13: &str = "sec-websocket-version: 13\r\n";
    let server = serve(ServerLimits::default());
    let good = shake(&server, "GET", &[UP, V13, KEY].concat()).await;
    assert!(good.starts_with("http/1.1 101"), "{good}");
    // The example of RFC 6455 §1.3.
    assert!(good.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{good}");
    for headers in [
        String::new(),
        ["connection: upgrade\r\n", V13, KEY].concat(),
        [UP, KEY].concat(),
        [UP, "sec-websocket-version: 8\r\n", KEY].concat(),
    ] {
        let answer = shake(&server, "GET", &headers).await;
        assert!(answer.starts_with("http/1.1 426"), "{headers}: {answer}");
        assert!(answer.contains("\r\nupgrade: websocket\r\n"), "{answer}");
        assert!(answer.contains("\r\nconnection: upgrade\r\n"), "{answer}");
        assert!(answer.contains("\r\nsec-websocket-version: 13\r\n"), "{answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
    }
    for key in ["", "sec-websocket-key: dGhl\r\n", "sec-websocket-key: no base64!\r\n"] {
        let answer = shake(&server, "GET", &[UP, V13, key].concat()).await;
        assert!(answer.starts_with("http/1.1 400"), "{answer}");
    }
    let answer = exchange(server.address(), b"GET /echo HTTP/1.0\r\nhost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 400"), "{answer}");
    let answer = shake(&server, "POST", &[UP, V13, KEY].concat()).await;
    assert!(answer.starts_with("http/1.1 405"), "{answer}");
    // The server serves on.
    let mut client = echo_client(&server).await;
    client.send(Message::text("on")).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::text("on"));
}

#[tokio::test]
async fn an_open_socket_outlives_every_limit_of_idle_connections() {
    let limits = ServerLimits::default().keep_alive(Duration::from_millis(20));
    let server = serve(limits.header_read(Duration::from_millis(20)));
    let mut client = echo_client(&server).await;
    // A plain connection that is opened later is reaped, so the reaper has been at work.
    let mut idle = TcpStream::connect(server.address()).await.unwrap();
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap_or(0), 0);
    client.send(Message::text("still here")).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::text("still here"));
}

#[tokio::test]
async fn a_server_that_stops_says_so_and_waits_for_its_sockets() {
    let mut server = serve(ServerLimits::default());
    let mut client = echo_client(&server).await;
    client.send(Message::text("hi")).await.unwrap();
    client.next().await.unwrap().unwrap();
    let handle = server.take();
    handle.stop().gracefully();
    let ended = tokio::task::spawn_blocking(move || handle.join());
    let Some(Ok(Message::Close(Some(frame)))) = client.next().await else {
        panic!("no Close frame");
    };
    assert_eq!(u16::from(frame.code), 1001);
    assert!(!ended.is_finished(), "the closing handshake is under way");
    assert_eq!(close_code(&mut client).await, None);
    drop(client);
    ended.await.unwrap();
}

#[tokio::test]
async fn a_socket_that_does_not_end_is_cut_at_the_deadline() {
    let mut server = serve(ServerLimits::default());
    let client = echo_client(&server).await;
    let handle = server.take();
    handle.stop().within(Duration::from_millis(50));
    // Nobody answers the Close frame.
    tokio::task::spawn_blocking(move || handle.join()).await.unwrap();
    drop(client);
}
