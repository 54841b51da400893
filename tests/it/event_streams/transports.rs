//! Streams over what is no plain socket of TCP.

use super::*;

/// What works over any socket.
async fn check<S: AsyncRead + AsyncWrite + Unpin>(gate: &Gate, client: &mut Client<S>) {
    for _ in 0..2 {
        client.say(&get("/letters")).await;
        client.until("\r\n\r\n").await;
        for letter in ["a", "b", "c"] {
            gate.events.add_permits(1);
            assert_eq!(client.until("\n\n\r\n").await, format!("9\r\ndata: {letter}\n\n\r\n"));
        }
        assert_eq!(client.until("0\r\n\r\n").await, "0\r\n\r\n");
        client.say(&get("/flood")).await;
        client.until("\r\n\r\n").await;
        let body = chunks(&client.until("\r\n0\r\n\r\n").await);
        assert_eq!(body.split_terminator("\n\n").count(), 500);
        client.say(&get("/hello")).await;
        client.until("\r\n\r\nHello").await;
    }
    // A request that is there before the stream ends, and a stream that the end of the server ends.
    client.say(&(get("/letters") + HIDDEN + &get("/letters"))).await;
    gate.events.add_permits(3);
    client.until("0\r\n\r\nHTTP/1.1 200 OK\r\n").await;
    client.until("\r\n\r\nhidden").await;
    client.until("\r\n\r\n").await;
    gate.events.add_permits(1);
    client.until("data: a\n\n\r\n").await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn streams_are_encrypted_to_their_ends() {
    use ember::web::server::Tls;
    use rcgen::generate_simple_self_signed;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::pki_types::ServerName;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

    let certificate = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (chain, key) = (certificate.cert.pem(), certificate.signing_key.serialize_pem());
    let gate = Gate::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let app = routes().component(gate.clone()).workers(1);
    let tls = Tls::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let running = app.tls(tls).serve(listener).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(running.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let socket = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
    let mut client = Client::over(socket, "").await;
    check(&gate, &mut client).await;
    running.stop().within(Duration::ZERO);
    // The end is told (close_notify), or reading would fail.
    assert!(chunks(&client.rest().await).starts_with("event: error\n"));
    running.join();
}

#[cfg(unix)]
#[tokio::test]
async fn streams_go_over_a_socket_in_the_file_system() {
    let path = std::env::temp_dir().join(format!("ember-it-{}-events", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let gate = Gate::new();
    let app = routes().component(gate.clone()).workers(1);
    let running = app.serve_unix(listener).unwrap();
    let socket = tokio::net::UnixStream::connect(&path).await.unwrap();
    let mut client = Client::over(socket, "").await;
    check(&gate, &mut client).await;
    running.stop().within(Duration::ZERO);
    assert!(chunks(&client.rest().await).starts_with("event: error\n"));
    running.join();
    std::fs::remove_file(&path).unwrap();
}
