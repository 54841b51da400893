//! Floods of HTTP/2.

use super::*;

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
