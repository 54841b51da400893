//! A bad network: what stands between a store and its server, and delays, cuts and resets.

use ember::base::clock::millis;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

/// What becomes of connections, those that there are and those that come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Everything passes.
    Fine,
    /// Each piece of an answer comes so late.
    Slow(Duration),
    /// They are taken, and nothing passes.
    Silent,
    /// They are closed, in order.
    Closed,
    /// They are reset.
    Reset,
    /// So many bytes of answers pass on each, and then it is reset.
    Cut(usize),
    /// Those that there are are reset instead of their next answer; those that come are spared.
    Gust,
}

/// A proxy before a server on the loopback interface. It runs on a thread of its own, and ends when
/// it is dropped.
pub struct Proxy {
    pub port: u16,
    weather: watch::Sender<Weather>,
    connections: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Proxy {
    pub fn before(server: u16) -> Self {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (weather, seen) = watch::channel(Weather::Fine);
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(relay(client, server, seen.clone()));
            }
        });
        Self { port, weather, connections, _runtime: runtime }
    }

    /// Changes what becomes of connections.
    pub fn turn(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// Carries bytes there and back until one side ends, or the weather ends it.
async fn relay(mut client: TcpStream, server: u16, mut weather: watch::Receiver<Weather>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    let (mut asked, mut answered) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    // What still may pass after the order to cut.
    let mut left = usize::MAX;
    let mut is_spared = *weather.borrow() == Weather::Gust;
    loop {
        let now = *weather.borrow_and_update();
        is_spared &= now == Weather::Gust;
        match now {
            Weather::Closed => return,
            Weather::Reset => return reset(&client),
            Weather::Silent => {
                if weather.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Weather::Cut(bytes) => left = left.min(bytes),
            Weather::Gust if !is_spared => left = 0,
            Weather::Fine | Weather::Slow(_) | Weather::Gust => left = usize::MAX,
        }
        tokio::select! {
            changed = weather.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                if server.write_all(&asked[..length]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                if let Weather::Slow(delay) = now {
                    tokio::time::sleep(delay).await;
                }
                let passes = length.min(left);
                if client.write_all(&answered[..passes]).await.is_err() {
                    return;
                }
                if passes < length {
                    // What was written is read before the reset is.
                    tokio::time::sleep(millis(2)).await;
                    return reset(&client);
                }
                left = left.saturating_sub(length);
            }
        }
    }
}

fn reset(client: &TcpStream) {
    // Closing it then sends RST. A socket that is gone has nothing to reset.
    let _ = client.set_zero_linger();
}
