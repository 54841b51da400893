//! Request lines and header fields.

use super::*;

fn get(line: &str) -> Vec<u8> {
    format!("{line}\r\nhost: x\r\n\r\n").into_bytes()
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
