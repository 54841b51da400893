use super::limits::WebSocketLimits;
use super::message::{CloseCode, CloseReason, SocketMessage, close_frame};
use crate::base::{Error, ErrorKind};
use bytes::Bytes;
use futures_core::Stream;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use std::fmt;
use std::future::{pending, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};
use tokio_tungstenite::tungstenite::{self};

/// An open WebSocket.
///
/// Receiving and sending take turns: [`WebSocket::recv`] can be given up at any moment without
/// losing a message, so that `tokio::select!` waits for the client and for something else.
/// When it is dropped the client is told, and the closing handshake is done.
pub struct WebSocket {
    /// Always there until the socket is dropped.
    open: Option<Box<Open>>,
    /// Where it goes then.
    home: Option<oneshot::Sender<Box<Open>>>,
}

impl WebSocket {
    /// Waits for the next message; `None` when the client has closed the socket or is gone, and
    /// when the server stops.
    ///
    /// # Errors
    /// When a message is too large (413) or the client breaks the protocol (400), or shows no
    /// sign of life (408). The socket is closed then, with the code that says so.
    ///
    /// # Cancel safety
    /// No message is lost.
    pub async fn recv(&mut self) -> Result<Option<SocketMessage>, Error> {
        match &mut self.open {
            Some(open) => poll_fn(|context| open.poll_recv(context)).await,
            None => Ok(None),
        }
    }

    /// Sends a message, and waits until it is on its way.
    ///
    /// # Errors
    /// When the socket is closed, the client does not take the message in time, or the message is
    /// larger than [`WebSocketLimits::max_unsent`].
    pub async fn send(&mut self, message: impl Into<SocketMessage>) -> Result<(), Error> {
        match &mut self.open {
            Some(open) => open.send(message.into().into()).await,
            None => Err(closed()),
        }
    }

    /// Closes the socket, with a reason that the client may read; text beyond 123 bytes is cut.
    pub fn close(mut self, code: CloseCode, reason: &str) {
        if let Some(open) = &mut self.open {
            open.leave(code, reason);
        }
    }

    /// Returns why the client has closed the socket, if it has and has said so.
    pub fn closed_by_client(&self) -> Option<&CloseReason> {
        self.open.as_ref()?.reason.as_ref()
    }
}

/// The messages of the client, as [`WebSocket::recv`] returns them.
impl Stream for WebSocket {
    type Item = Result<SocketMessage, Error>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<SocketMessage, Error>>> {
        match &mut self.open {
            Some(open) => open.poll_recv(context).map(Result::transpose),
            None => Poll::Ready(None),
        }
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        if let (Some(open), Some(home)) = (self.open.take(), self.home.take()) {
            // Nobody waits for it when the connection was cut.
            let _ = home.send(open);
        }
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("closed_by_client", &self.closed_by_client()).finish()
    }
}

/// Bytes in both directions, whatever carries them.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// Runs a socket from the end of its handshake to that of its connection.
pub(super) async fn drive<F, Fut>(
    transport: Box<dyn Transport>,
    limits: WebSocketLimits,
    closing: Option<watch::Receiver<bool>>,
    run: F,
) where
    F: FnOnce(WebSocket) -> Fut,
    Fut: Future<Output = Result<(), Error>>,
{
    let open = Open::new(transport, limits, closing).await;
    let (home, returned) = oneshot::channel();
    let socket = WebSocket { open: Some(Box::new(open)), home: Some(home) };
    let outcome = AssertUnwindSafe(async { run(socket).await }).catch_unwind().await;
    let (code, reason) = match outcome {
        Ok(Ok(())) => (CloseCode::NORMAL, String::new()),
        Ok(Err(error)) if error.status().is_client_error() => {
            (CloseCode::POLICY, error.message().to_owned())
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "a WebSocket failed");
            (CloseCode::ERROR, String::new())
        }
        Err(_) => {
            tracing::error!("the function of a WebSocket panicked");
            (CloseCode::ERROR, String::new())
        }
    };
    // The function may have handed the socket to a task, which has it for longer.
    if let Ok(open) = returned.await {
        open.finish(code, &reason).await;
    }
}

/// What a socket is made of.
struct Open {
    stream: WebSocketStream<Box<dyn Transport>>,
    limits: WebSocketLimits,
    /// Ends when the server drains.
    closing: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Until the next sign of life is due, or the closing handshake is to be over.
    timer: Pin<Box<Sleep>>,
    /// The client owes an answer to a ping.
    pinged: bool,
    /// A Close frame was sent.
    leaving: bool,
    unflushed: bool,
    /// Why the client closes.
    reason: Option<CloseReason>,
}

impl Open {
    async fn new(
        transport: Box<dyn Transport>,
        limits: WebSocketLimits,
        closing: Option<watch::Receiver<bool>>,
    ) -> Self {
        let config = Some(limits.config());
        let closing = closing.map(|mut closing| -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(async move {
                if closing.wait_for(|is_closing| *is_closing).await.is_err() {
                    // Whoever would have said so is gone.
                    pending::<()>().await;
                }
            })
        });
        Self {
            stream: WebSocketStream::from_raw_socket(transport, Role::Server, config).await,
            limits,
            closing,
            timer: Box::pin(sleep(limits.idle / 2)),
            pinged: false,
            leaving: false,
            unflushed: false,
            reason: None,
        }
    }

    fn poll_recv(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<SocketMessage>, Error>> {
        loop {
            if self.unflushed && self.stream.poll_flush_unpin(context).is_ready() {
                self.unflushed = false;
            }
            match self.stream.poll_next_unpin(context) {
                Poll::Ready(None) => return Poll::Ready(Ok(None)),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(self.fail(error)),
                Poll::Ready(Some(Ok(message))) => {
                    if let Some(message) = self.receive(message) {
                        return Poll::Ready(Ok(Some(message)));
                    }
                    continue;
                }
                Poll::Pending => {}
            }
            if let Some(closing) = &mut self.closing
                && closing.as_mut().poll(context).is_ready()
            {
                self.closing = None;
                self.leave(CloseCode::AWAY, "The server stops.");
                continue;
            }
            if self.timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if self.leaving {
                return Poll::Ready(Ok(None));
            }
            if self.pinged {
                self.leave(CloseCode::AWAY, "No sign of life.");
                let message = "The client of a WebSocket shows no sign of life.";
                return Poll::Ready(Err(Error::new(ErrorKind::RequestTimeout, message)));
            }
            self.pinged = true;
            self.queue(Message::Ping(Bytes::new()));
            self.wait(self.limits.idle / 2);
        }
    }

    /// Takes in a message; `None` where it is nothing for the application.
    fn receive(&mut self, message: Message) -> Option<SocketMessage> {
        if self.leaving {
            // What comes after our Close frame comes too late.
            return None;
        }
        self.pinged = false;
        self.wait(self.limits.idle / 2);
        match message {
            Message::Text(text) => Some(SocketMessage::Text(text.as_str().to_owned())),
            Message::Binary(bytes) => Some(SocketMessage::Binary(bytes)),
            Message::Close(frame) => {
                self.reason = frame.map(Into::into);
                // The answer to it is written by the next read.
                self.leaving = true;
                self.unflushed = true;
                self.wait(self.limits.close);
                None
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => None,
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), Error> {
        let is_closing =
            self.closing.as_mut().is_some_and(|closing| closing.now_or_never().is_some());
        if is_closing {
            self.closing = None;
            self.leave(CloseCode::AWAY, "The server stops.");
        }
        if self.leaving {
            return Err(closed());
        }
        match timeout(self.limits.idle, self.stream.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error @ tungstenite::Error::WriteBufferFull(_))) => Err(Error::internal(error)),
            Ok(Err(error)) => Err(closed().with_source(error)),
            Err(_) => {
                let message = "The client of a WebSocket does not take what is sent.";
                Err(Error::new(ErrorKind::RequestTimeout, message))
            }
        }
    }

    /// Begins the closing handshake.
    fn leave(&mut self, code: CloseCode, reason: &str) {
        if !self.leaving {
            self.leaving = true;
            self.queue(close_frame(code, reason));
            self.wait(self.limits.close);
        }
    }

    fn queue(&mut self, message: Message) {
        // A message that does not fit is missed by nobody: the client takes nothing as it is.
        let _ = self.stream.start_send_unpin(message);
        self.unflushed = true;
    }

    fn wait(&mut self, time: std::time::Duration) {
        match Instant::now().checked_add(time) {
            Some(due) => self.timer.as_mut().reset(due),
            // No moment has a name that is so far away; to sleep so long is possible.
            None => self.timer.set(sleep(time)),
        }
    }

    /// Closes with the code that fits an error, and tells what the application is to know.
    fn fail(&mut self, error: tungstenite::Error) -> Result<Option<SocketMessage>, Error> {
        use tungstenite::Error as Cause;
        let (code, public) = match &error {
            Cause::Capacity(_) => {
                let limit = self.limits.max_message_size.min(self.limits.max_frame_size);
                let message = format!("A message has more than {limit} bytes.");
                (CloseCode::TOO_LARGE, Error::payload_too_large(message))
            }
            Cause::Utf8(_) => (CloseCode::INVALID, Error::bad_request("A text is not UTF-8.")),
            // Clients that leave without a word are everyday.
            Cause::Protocol(ProtocolError::ResetWithoutClosingHandshake) | Cause::Io(_) => {
                tracing::debug!(%error, "the client of a WebSocket is gone");
                self.leaving = true;
                return Ok(None);
            }
            _ => {
                let message = "The client broke the WebSocket protocol.";
                (CloseCode::PROTOCOL, Error::bad_request(message))
            }
        };
        let reason = public.message().to_owned();
        self.leave(code, &reason);
        Err(public.with_source(error))
    }

    /// Sees the closing handshake through, and the end of the connection.
    async fn finish(mut self: Box<Self>, code: CloseCode, reason: &str) {
        self.closing = None;
        self.leave(code, reason);
        let limit = self.limits.close;
        let handshake = async {
            if self.stream.flush().await.is_ok() {
                while let Some(Ok(_)) = self.stream.next().await {}
            }
            // Bytes that were sent and are not read would make the system reset the connection,
            // and with it our last words.
            let transport = self.stream.get_mut();
            if transport.shutdown().await.is_ok() {
                let mut rest = [0; 4096];
                while matches!(transport.read(&mut rest).await, Ok(1..)) {}
            }
        };
        // A client that does not close in time is cut.
        let _ = timeout(limit, handshake).await;
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::ClientClosed, ErrorKind::ClientClosed.sentence())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::DuplexStream;
    use tokio::task::JoinHandle;
    use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

    type Client = WebSocketStream<DuplexStream>;

    /// A client, and the task of the server's side.
    async fn open<F, Fut>(
        limits: WebSocketLimits,
        run: F,
    ) -> (Client, JoinHandle<()>, watch::Sender<bool>)
    where
        F: FnOnce(WebSocket) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let (near, far) = tokio::io::duplex(1 << 10);
        let (stop, closing) = watch::channel(false);
        let server = tokio::spawn(drive(Box::new(near), limits, Some(closing), run));
        let config = Some(WebSocketConfig::default());
        (WebSocketStream::from_raw_socket(far, Role::Client, config).await, server, stop)
    }

    async fn echo(mut socket: WebSocket) -> Result<(), Error> {
        while let Some(message) = socket.recv().await? {
            socket.send(message).await?;
        }
        Ok(())
    }

    /// Reads to the end, and returns the code of the Close frame.
    async fn close_code(client: &mut Client) -> Option<u16> {
        let mut code = None;
        while let Some(Ok(message)) = client.next().await {
            if let Message::Close(frame) = message {
                code = frame.map(|frame| frame.code.into());
            }
        }
        code
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_answers_pings_lives_and_one_that_does_not_is_gone() {
        let limits = WebSocketLimits::new().idle(Duration::from_secs(60));
        let (outcome, ended) = oneshot::channel();
        let (mut client, server, _stop) = open(limits, async move |mut socket: WebSocket| {
            let _ = outcome.send(socket.recv().await);
            Ok(())
        })
        .await;
        let started = Instant::now();
        for _ in 0..5 {
            // Reading answers the ping.
            assert!(matches!(client.next().await, Some(Ok(Message::Ping(_)))));
            client.flush().await.unwrap();
        }
        assert_eq!(started.elapsed().as_secs(), 150);
        // From here on nobody reads.
        let error = ended.await.unwrap().unwrap_err();
        assert_eq!(error.status(), 408);
        assert_eq!(started.elapsed().as_secs(), 210);
        drop(client);
        server.await.unwrap();
    }

    #[tokio::test]
    async fn limits_of_time_can_be_without_end() {
        let limits = WebSocketLimits::new().idle(Duration::MAX).close(Duration::MAX);
        let (mut client, server, _stop) = open(limits, async move |mut socket: WebSocket| {
            while let Some(message) = socket.recv().await? {
                socket.send(message).await?;
            }
            Ok(())
        })
        .await;
        client.send(Message::text("a")).await.unwrap();
        assert!(matches!(client.next().await, Some(Ok(Message::Text(text))) if text == "a"));
        client.close(None).await.unwrap();
        close_code(&mut client).await;
        drop(client);
        server.await.unwrap();
    }

    #[tokio::test]
    async fn the_end_of_the_function_is_told_by_its_code() {
        async fn code<F, Fut>(run: F) -> Option<u16>
        where
            F: FnOnce(WebSocket) -> Fut + Send + 'static,
            Fut: Future<Output = Result<(), Error>> + Send + 'static,
        {
            let (mut client, server, _stop) = open(WebSocketLimits::new(), run).await;
            let code = close_code(&mut client).await;
            drop(client);
            server.await.unwrap();
            code
        }
        assert_eq!(code(async |_| Ok(())).await, Some(1000));
        assert_eq!(code(async |_| Err(Error::forbidden("No."))).await, Some(1008));
        assert_eq!(code(async |_| Err(Error::internal("secret"))).await, Some(1011));
        assert_eq!(code(async |_| panic!("in the function")).await, Some(1011));
        let mine = CloseCode::application(4001).unwrap();
        let closes = async move |socket: WebSocket| {
            socket.close(mine, "enough");
            Ok(())
        };
        assert_eq!(code(closes).await, Some(4001));
        let hands_on = async |socket: WebSocket| {
            tokio::spawn(async move {
                tokio::task::yield_now().await;
                drop(socket);
            });
            Ok(())
        };
        assert_eq!(code(hands_on).await, Some(1000));
    }

    #[tokio::test]
    async fn the_reason_of_the_client_is_known() {
        let (told, reason) = oneshot::channel();
        let (mut client, server, _stop) =
            open(WebSocketLimits::new(), async move |mut socket: WebSocket| {
                assert_eq!(socket.recv().await.unwrap(), None);
                assert_eq!(socket.send("late").await.unwrap_err().kind(), ErrorKind::ClientClosed);
                let _ = told.send(socket.closed_by_client().cloned());
                Ok(())
            })
            .await;
        client.send(close_frame(CloseCode::AWAY, "bye")).await.unwrap();
        assert_eq!(close_code(&mut client).await, Some(1001), "it is sent back");
        drop(client);
        server.await.unwrap();
        let reason = reason.await.unwrap().unwrap();
        assert_eq!((reason.code, reason.text.as_str()), (CloseCode::AWAY, "bye"));
    }

    #[tokio::test]
    async fn a_draining_server_says_so_to_those_who_send_as_well() {
        let (mut client, server, stop) = open(WebSocketLimits::new(), echo).await;
        client.send(Message::text("hi")).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text("hi"));
        stop.send(true).unwrap();
        assert_eq!(close_code(&mut client).await, Some(1001));
        drop(client);
        server.await.unwrap();

        let (mut client, server, stop) =
            open(WebSocketLimits::new(), async |mut socket: WebSocket| {
                loop {
                    socket.send("tick").await?;
                    tokio::task::yield_now().await;
                }
            })
            .await;
        client.next().await.unwrap().unwrap();
        stop.send(true).unwrap();
        assert_eq!(close_code(&mut client).await, Some(1001));
        drop(client);
        server.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_or_does_not_close_is_cut() {
        let (told, outcome) = oneshot::channel();
        let (client, server, _stop) =
            open(WebSocketLimits::new(), async move |mut socket: WebSocket| {
                let large = vec![0; 100_000];
                let _ = told.send(socket.send(large).await.unwrap_err().status());
                Ok(())
            })
            .await;
        let started = Instant::now();
        assert_eq!(outcome.await.unwrap(), 408);
        server.await.unwrap();
        assert_eq!(started.elapsed().as_secs(), 65);
        drop(client);
    }

    #[tokio::test]
    async fn receiving_can_be_given_up_without_loss() {
        let (mut client, server, _stop) =
            open(WebSocketLimits::new(), async |mut socket: WebSocket| {
                let mut seen = Vec::new();
                while seen.len() < 100 {
                    tokio::select! {
                        biased;
                        message = socket.recv() => seen.push(message?.unwrap()),
                        () = tokio::task::yield_now() => {}
                    }
                }
                let texts: Vec<_> = seen.iter().filter_map(SocketMessage::as_text).collect();
                socket.send(texts.join(",")).await
            })
            .await;
        let numbers: Vec<_> = (0..100).map(|number: i32| number.to_string()).collect();
        for number in &numbers {
            client.send(Message::text(number.as_str())).await.unwrap();
        }
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text(numbers.join(",")));
        close_code(&mut client).await;
        drop(client);
        server.await.unwrap();
    }
}
