use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A response as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawResponse {
    pub status: u16,
    /// The header section, in lower case.
    pub head: String,
    pub body: String,
}

/// Sends bytes over a connection of their own, and reads until the server closes it.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request).await.unwrap();
    let mut response = Vec::new();
    let read = timeout(Duration::from_secs(20), socket.read_to_end(&mut response)).await;
    // A reset after an answer loses nothing that was read.
    let _ = read.expect("the server neither answers nor closes the connection");
    String::from_utf8_lossy(&response).into_owned()
}

/// Asks `POST /stream` over a connection of its own; hangs up after the first token, or reads to the end.
pub async fn ask_on_socket(address: SocketAddr, hangs_up: bool) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request =
        "POST /stream HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nHi";
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    if hangs_up {
        while !String::from_utf8_lossy(&bytes).contains("data: ")
            && socket.read_buf(&mut bytes).await.unwrap() > 0
        {}
    } else {
        socket.read_to_end(&mut bytes).await.unwrap();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads one response with a `content-length`; `None` when the connection is closed instead.
pub async fn read_response(socket: &mut TcpStream) -> Option<RawResponse> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_lowercase();
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |length| length.trim().parse().unwrap());
    while bytes.len() < head_end + length {
        assert_ne!(socket.read_buf(&mut bytes).await.unwrap(), 0, "the body is cut");
    }
    let body = String::from_utf8_lossy(&bytes[head_end..head_end + length]).into_owned();
    Some(RawResponse { status, head, body })
}
