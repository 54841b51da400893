//! What is done with a connection: drips, floods, and ends in the middle.

use super::*;

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
