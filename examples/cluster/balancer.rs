//! A small balancer: connections go to each of several addresses in turn, and one that is dead is skipped.
//!
//! `cluster_balancer LISTEN BACKEND…`, as in `cluster_balancer 127.0.0.1:8000 127.0.0.1:8001 127.0.0.1:8002`.
//! It carries bytes and knows nothing of HTTP, so that streams pass as they come.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How many connections there are at a time; others wait to be taken.
const CONNECTIONS: usize = 1024;

/// How long a backend may take to accept a connection before it counts as dead.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a client is told when no backend lives.
const NOBODY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n\
    connection: close\r\ncontent-length: 0\r\n\r\n";

/// Addresses that do the same work.
struct Backends {
    addresses: Vec<String>,
    next: AtomicUsize,
}

impl Backends {
    /// Connects to the next that lives.
    async fn connect(&self) -> Option<TcpStream> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for step in 0..self.addresses.len() {
            let address = &self.addresses[(first + step) % self.addresses.len()];
            match timeout(PATIENCE, TcpStream::connect(address)).await {
                Ok(Ok(backend)) => return Some(backend),
                Ok(Err(error)) => eprintln!("{address} is skipped: {error}"),
                Err(_) => eprintln!("{address} is skipped: it does not answer"),
            }
        }
        None
    }

    /// Carries bytes there and back until one side has gone.
    async fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        match self.connect().await {
            Some(mut backend) => copy_bidirectional(&mut client, &mut backend).await.map(drop),
            None => client.write_all(NOBODY).await,
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ember::Result {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next().unwrap_or_default();
    let backends = Arc::new(Backends { addresses: arguments.collect(), next: AtomicUsize::new(0) });
    if backends.addresses.is_empty() {
        return Err(ember::Error::bad_request("Usage: cluster_balancer LISTEN BACKEND…"));
    }
    let listener = TcpListener::bind(listen).await?;
    println!("The balancer listens on http://{}", listener.local_addr()?);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let place = Arc::clone(&places).acquire_owned().await;
        let (client, _) = listener.accept().await?;
        let backends = Arc::clone(&backends);
        tokio::spawn(async move {
            // A connection that breaks concerns nobody but its two ends, which know.
            let _ = backends.serve(client).await;
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    /// A backend that says its name to whoever comes.
    async fn backend(name: &'static str) -> (String, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                client.write_all(name.as_bytes()).await.unwrap();
            }
        });
        (address, task)
    }

    async fn ask(backends: &Backends) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (taken, _) = listener.accept().await.unwrap();
        client.shutdown().await.unwrap();
        let mut text = String::new();
        let (served, read) = tokio::join!(backends.serve(taken), client.read_to_string(&mut text));
        served.unwrap();
        read.unwrap();
        text
    }

    #[tokio::test]
    async fn backends_take_turns_and_the_dead_are_skipped() {
        let (one, other) = (backend("one").await, backend("other").await);
        let addresses = vec![one.0, other.0];
        let backends = Backends { addresses, next: AtomicUsize::new(0) };
        assert_eq!([ask(&backends).await, ask(&backends).await], ["one", "other"]);
        one.1.abort();
        let _ = one.1.await;
        assert_eq!([ask(&backends).await, ask(&backends).await], ["other", "other"]);
        other.1.abort();
        let _ = other.1.await;
        assert!(ask(&backends).await.starts_with("HTTP/1.1 503 "));
    }
}
