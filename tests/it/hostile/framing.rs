//! Where a body ends, and who is told that it does not.

use super::*;

fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST /echo HTTP/1.1\r\nhost: x\r\n{fields}\r\n{body}{HIDDEN}").into_bytes()
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
