//! The floor: hyper on both sides, which passes bytes.

use crate::Result;
use crate::servers::{block_on, listener};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::net::TcpListener;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

pub(super) fn serve(upstream: &str, socket: TcpListener) -> Result {
    block_on(async {
        let socket = listener(socket)?;
        loop {
            let (stream, _) = socket.accept().await?;
            let upstream = upstream.to_owned();
            tokio::spawn(async move {
                // One connection that fails is no end of the others.
                let upstream = match Upstream::open(&upstream).await {
                    Ok(upstream) => upstream,
                    Err(error) => return eprintln!("hyper reaches no upstream: {error}"),
                };
                let service = service_fn(move |request| upstream.clone().pass(request));
                let connection = http1::Builder::new();
                // A client may go away whenever it likes.
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

/// A connection to the upstream for each of a client's: the least that there is to do.
#[derive(Clone)]
struct Upstream(Arc<Mutex<client::SendRequest<Incoming>>>);

impl Upstream {
    async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = client::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self(Arc::new(Mutex::new(sender))))
    }

    async fn pass(self, request: Request<Incoming>) -> Result<Response<Incoming>> {
        let mut sender = self.0.lock().await;
        sender.ready().await?;
        Ok(sender.send_request(request).await?)
    }
}
