//! Encrypted connections.

use ember::app::Running as ServerHandle;
use ember::prelude::*;
use ember::web::server::{ServerLimits, Tls};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

#[get("/version")]
async fn version(version: ember::http::Version) -> String {
    format!("{version:?}")
}

#[post("/length")]
async fn length(body: Bytes) -> String {
    body.len().to_string()
}

fn certificate() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

fn tls(of: &CertifiedKey<KeyPair>) -> Tls {
    Tls::from_pem(of.cert.pem().as_bytes(), of.signing_key.serialize_pem().as_bytes()).unwrap()
}

fn serve(tls: Tls, limits: ServerLimits) -> ServerHandle {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    ember::app!().workers(2).limits(limits).tls(tls).serve(listener).unwrap()
}

async fn connect(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config =
        ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let socket = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, socket).await
}

async fn stop(handle: ServerHandle) {
    handle.stop().within(Duration::ZERO);
    tokio::task::spawn_blocking(move || handle.join()).await.unwrap();
}

#[tokio::test]
async fn both_versions_of_http_are_offered() {
    let certificate = certificate();
    let handle = serve(tls(&certificate), ServerLimits::default());
    let mut socket =
        connect(handle.address(), certificate.cert.der(), &["http/1.1"]).await.unwrap();
    assert_eq!(socket.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let large = "x".repeat(200_000);
    let request = format!(
        "GET /version HTTP/1.1\r\nhost: x\r\n\r\nPOST /length HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{large}",
        large.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // The end is told (close_notify), so that nobody can feign it.
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("HTTP/1.1HTTP/1.1 200 OK") && answer.ends_with("200000"), "{answer}");

    let socket =
        connect(handle.address(), certificate.cert.der(), &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(socket.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = ember::http::Request::get("https://localhost/version").body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    let body = response.await.unwrap().into_body().data().await.unwrap().unwrap();
    assert_eq!(body, "HTTP/2.0");
    drop(client);
    connection.await.unwrap().unwrap();
    stop(handle).await;
}

#[tokio::test]
async fn who_does_not_shake_hands_is_cut_off() {
    let certificate = certificate();
    let limits = ServerLimits::default().tls_handshake(Duration::from_millis(200));
    let handle = serve(tls(&certificate), limits);
    let in_the_clear = b"GET /version HTTP/1.1\r\nhost: x\r\n\r\n";
    for sent in [&b""[..], b"\x16\x03\x01", in_the_clear] {
        let mut socket = TcpStream::connect(handle.address()).await.unwrap();
        socket.write_all(sent).await.unwrap();
        let mut answer = Vec::new();
        let read = timeout(Duration::from_secs(20), socket.read_to_end(&mut answer)).await;
        let _ = read.expect("the connection stays open");
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    connect(handle.address(), certificate.cert.der(), &[]).await.unwrap();
    stop(handle).await;
}

#[tokio::test]
async fn certificates_are_read_again() {
    let folder = std::env::temp_dir().join(format!("ember-it-{}-tls", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (certificate_file, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
    let write = |of: &CertifiedKey<KeyPair>| {
        std::fs::write(&certificate_file, of.cert.pem()).unwrap();
        std::fs::write(&key_file, of.signing_key.serialize_pem()).unwrap();
    };
    let (first, second) = (certificate(), certificate());
    write(&first);
    let tls = Tls::from_pem_files(&certificate_file, &key_file).unwrap();
    let handle = serve(tls.clone(), ServerLimits::default());
    let address = handle.address();
    connect(address, first.cert.der(), &[]).await.unwrap();
    // A key of another certificate, and a file that is broken: what is in use stays.
    std::fs::write(&key_file, second.signing_key.serialize_pem()).unwrap();
    let error = tls.reload().unwrap_err();
    assert!(error.message().contains("it is not the key of the certificate in"), "{error}");
    assert!(error.message().starts_with(key_file.to_str().unwrap()), "{error}");
    std::fs::write(&certificate_file, "nonsense").unwrap();
    let error = tls.reload().unwrap_err();
    assert!(error.message().starts_with(certificate_file.to_str().unwrap()), "{error}");
    connect(address, first.cert.der(), &[]).await.unwrap();
    write(&second);
    assert!(tls.reload().unwrap());
    connect(address, second.cert.der(), &[]).await.unwrap();
    assert!(connect(address, first.cert.der(), &[]).await.is_err());
    assert!(!format!("{tls:?}").contains("PRIVATE"), "{tls:?}");
    stop(handle).await;
    std::fs::remove_dir_all(folder).unwrap();
}
