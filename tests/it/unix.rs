//! Serving on a socket in the file system.

use ember::http::Extensions;
use ember::prelude::*;
use ember::web::server::{UnixPeer, UnixSocket};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

#[get("/peer")]
async fn peer(remote: Option<SocketAddr>, extensions: Extensions) -> String {
    let peer = extensions.get::<UnixPeer>().unwrap();
    format!("{remote:?} {}", peer.pid == Some(std::process::id().cast_signed()))
}

/// A folder that is removed with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ember-it-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn ask(path: &Path) -> String {
    let mut socket = UnixStream::connect(path).await.unwrap();
    socket.write_all(b"GET /peer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_given_listener_is_served_and_its_file_stays() {
    let folder = Folder::new("given");
    let path = folder.0.join("app.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let handle = ember::app!().workers(2).serve_unix(listener).unwrap();
    assert_eq!(handle.address().as_pathname(), Some(&*path));
    for _ in 0..4 {
        assert!(ask(&path).await.ends_with("\r\n\r\nNone true"));
    }
    handle.stop().gracefully();
    tokio::task::spawn_blocking(move || handle.join()).await.unwrap();
    assert!(path.exists() && UnixStream::connect(&path).await.is_err());
}

#[tokio::test]
async fn a_socket_is_bound_and_its_file_removed() {
    let folder = Folder::new("bound");
    let path = folder.0.join("app.sock");
    // What an earlier run has left behind is in nobody's way.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let ready = ember::app!().workers(2).build().unwrap();
    let server = || ember::web::server::Server::new(ready.site().clone()).workers(2);
    let handle = server().bind_unix(UnixSocket::new(&path).mode(0o640)).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(ask(&path).await.ends_with("\r\n\r\nNone true"));
    let error = server().bind_unix(&path).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse, "{error}");
    assert!(ask(&path).await.ends_with("\r\n\r\nNone true"), "the refused one has broken nothing");
    handle.stop().gracefully();
    tokio::task::spawn_blocking(move || handle.join()).await.unwrap();
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0, "nothing is left behind");
}
