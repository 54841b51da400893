//! All of it together, over a real socket.

use ember::prelude::*;
use ember::web::middleware::{
    AccessLog, Compression, Cors, Decompression, RateLimit, RequestIds, StaticFiles, Timeout,
};
use ember::web::server::ServerLimits;
use ember_tests::{exchange, read_response};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

struct PanicsAt(&'static str);

impl Middleware for PanicsAt {
    async fn handle(&self, request: Request, next: Next) -> Response {
        assert_ne!(request.path(), self.0, "in a middleware");
        next.run(request).await
    }
}

#[get("/hello")]
async fn hello() -> &'static str {
    "Hello"
}

#[get("/bad")]
async fn bad() {}

async fn ask(socket: &mut TcpStream, request: &str) -> ember_tests::RawResponse {
    socket.write_all(request.replace('\n', "\r\n").as_bytes()).await.unwrap();
    read_response(socket).await.expect("the connection is closed")
}

async fn once(address: SocketAddr, request: &str) -> String {
    exchange(address, request.replace('\n', "\r\n").as_bytes()).await.to_lowercase()
}

#[tokio::test]
async fn one_connection_passes_through_everything() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "0123456789".repeat(1000)).unwrap();
    fs::write(folder.path().join("b.txt"), "0123456789").unwrap();
    let app = ember::app!()
        .middleware(RequestIds::new())
        .middleware(AccessLog::new())
        .middleware(Cors::new().any_origin())
        .middleware(RateLimit::per_minute(1000).trusted_proxies(["127.0.0.0/8"]))
        .middleware(Timeout::new(secs(20)))
        .middleware(Compression::new())
        .middleware(Decompression::new())
        .layer(tower_layer::Identity::new())
        .middleware(PanicsAt("/bad"))
        .files("/static", StaticFiles::new(folder.path()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = app.workers(1).limits(ServerLimits::default()).serve(listener).unwrap();
    let address = server.address();
    let mut socket = TcpStream::connect(address).await.unwrap();

    let hello =
        ask(&mut socket, "GET /hello HTTP/1.1\nhost: x\nx-request-id: id-1\norigin: http://p\n\n")
            .await;
    assert_eq!((hello.status, hello.body.as_str()), (200, "Hello"));
    for header in
        ["x-request-id: id-1", "access-control-allow-origin: *", "ratelimit-remaining: 999"]
    {
        assert!(hello.head.contains(header), "{header}: {}", hello.head);
    }
    let file =
        ask(&mut socket, "GET /static/b.txt HTTP/1.1\nhost: x\naccept-encoding: gzip\n\n").await;
    assert_eq!((file.status, file.body.as_str()), (200, "0123456789"));
    let part =
        ask(&mut socket, "GET /static/a.txt HTTP/1.1\nhost: x\nrange: bytes=9995-\n\n").await;
    assert_eq!((part.status, part.body.as_str()), (206, "56789"));
    let panicked = ask(&mut socket, "GET /bad HTTP/1.1\nhost: x\n\n").await;
    assert_eq!(panicked.status, 500);
    let after = ask(&mut socket, "GET /hello HTTP/1.1\nhost: x\n\n").await;
    assert_eq!(after.status, 200, "on the same connection");
    drop(socket);

    let head = once(address, "HEAD /static/a.txt HTTP/1.1\nhost: x\nconnection: close\n\n").await;
    assert!(head.contains("content-length: 10000") && head.ends_with("\r\n\r\n"), "{head}");
    let packed = once(
        address,
        "GET /static/a.txt HTTP/1.1\nhost: x\nconnection: close\naccept-encoding: gzip\n\n",
    )
    .await;
    assert!(packed.contains("content-encoding: gzip") && packed.contains("etag: w/"), "{packed}");
    assert!(packed.len() < 2000);
    let preflight = "OPTIONS /hello HTTP/1.1\nhost: x\nconnection: close\norigin: http://p\naccess-control-request-method: GET\n\n";
    assert!(once(address, preflight).await.starts_with("http/1.1 204"));

    server.stop().within(Duration::ZERO);
    server.join();
}
