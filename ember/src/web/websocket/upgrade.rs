use super::limits::WebSocketLimits;
use super::socket::{WebSocket, drive};
use crate::base::{Error, ErrorKind};
use crate::web::extract::FromRequestParts;
use crate::web::operation::Operation;
use crate::web::request::RequestParts;
use crate::web::response::{IntoResponse as _, Response};
use crate::web::takeover::Takeover;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::fmt;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The only version there is (RFC 6455 §4.1).
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// A request that wants to become a WebSocket.
///
/// One that is no handshake, or of another version, is answered with 426 and the headers that
/// say what is spoken here (RFC 9110 §15.5.22, RFC 6455 §4.4); one that is malformed with 400.
///
/// ```
/// use ember::prelude::*;
///
/// #[get("/echo/{room}")]
/// async fn echo(room: String, upgrade: WebSocketUpgrade) -> Response {
///     upgrade.on_upgrade(async move |mut socket| {
///         socket.send(format!("Welcome to {room}.")).await?;
///         while let Some(message) = socket.recv().await? {
///             socket.send(message).await?;
///         }
///         Ok(())
///     })
/// }
/// ```
pub struct WebSocketUpgrade {
    accept: String,
    /// What the client offers, in its order.
    offered: Vec<String>,
    chosen: Option<String>,
    limits: WebSocketLimits,
    on_upgrade: OnUpgrade,
    /// Where the server that has accepted the connection takes over what is to be done with it.
    takeover: Option<Takeover>,
}

impl WebSocketUpgrade {
    /// Chooses the first of these subprotocols that the client offers; none, if it offers none of them.
    #[must_use]
    pub fn protocols<P: AsRef<str>>(mut self, known: impl IntoIterator<Item = P>) -> Self {
        let is_offered = |known: &P| self.offered.iter().any(|offer| offer == known.as_ref());
        self.chosen = known.into_iter().find(is_offered).map(|known| known.as_ref().to_owned());
        self
    }

    /// The subprotocol that was chosen.
    pub fn protocol(&self) -> Option<&str> {
        self.chosen.as_deref()
    }

    /// Sets the bounds of the socket.
    #[must_use]
    pub fn limits(mut self, limits: WebSocketLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Accepts the handshake, and runs a function with the socket.
    ///
    /// When the function has ended the socket is closed: with 1000 after `Ok`, with 1008 and the
    /// public message after an error that is the client's fault, and with 1011 and no word more
    /// after any other, which the log tells.
    pub fn on_upgrade<F, Fut>(self, run: F) -> Response
    where
        F: FnOnce(WebSocket) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let Self { accept, chosen, limits, on_upgrade, takeover, .. } = self;
        let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
        let headers = response.headers_mut();
        offer_upgrade(headers);
        // Both are texts that have been in a header, or base64.
        for (name, value) in
            [(SEC_WEBSOCKET_ACCEPT, Some(accept)), (SEC_WEBSOCKET_PROTOCOL, chosen)]
        {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
        let closing = takeover.as_ref().map(Takeover::closing);
        let work = async move {
            match on_upgrade.await {
                Ok(upgraded) => drive(Box::new(TokioIo::new(upgraded)), limits, closing, run).await,
                Err(error) => tracing::debug!(%error, "a connection did not become a WebSocket"),
            }
        };
        match takeover {
            Some(takeover) => takeover.put(Box::pin(work)),
            // Another server has accepted the connection.
            None => drop(tokio::spawn(work)),
        }
        response
    }
}

impl FromRequestParts for WebSocketUpgrade {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        let accept = match handshake(parts) {
            Ok(key) => derive_accept_key(key.as_bytes()),
            Err(error) => {
                if error.kind() == ErrorKind::UpgradeRequired {
                    parts.on_response(|response| {
                        offer_upgrade(response.headers_mut());
                        response.headers_mut().insert(SEC_WEBSOCKET_VERSION, VERSION);
                    });
                }
                return Err(error);
            }
        };
        let on_upgrade = parts.extensions().get::<OnUpgrade>().cloned();
        let on_upgrade = on_upgrade
            .ok_or_else(|| Error::internal("the connection cannot become a WebSocket"))?;
        Ok(Self {
            accept,
            offered: tokens(parts.headers(), &SEC_WEBSOCKET_PROTOCOL).map(str::to_owned).collect(),
            chosen: None,
            limits: WebSocketLimits::new(),
            on_upgrade,
            takeover: parts.extensions().get().cloned(),
        })
    }

    fn describe(operation: &mut Operation) {
        operation.touches_response();
    }
}

impl fmt::Debug for WebSocketUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketUpgrade")
            .field("offered", &self.offered)
            .field("chosen", &self.chosen)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Checks what a client has to send (RFC 6455 §4.2.1), and returns its key.
fn handshake(parts: &RequestParts) -> Result<&str, Error> {
    if parts.method() != Method::GET || parts.version() != Version::HTTP_11 {
        return Err(Error::bad_request("A WebSocket begins with a GET over HTTP/1.1."));
    }
    let headers = parts.headers();
    let has =
        |name, token: &str| tokens(headers, name).any(|known| known.eq_ignore_ascii_case(token));
    if !has(&UPGRADE, "websocket") || !has(&CONNECTION, "upgrade") {
        let message = "This address speaks WebSocket only.";
        return Err(Error::new(ErrorKind::UpgradeRequired, message));
    }
    if headers.get(SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        let message = "This address speaks version 13 of WebSocket only.";
        return Err(Error::new(ErrorKind::UpgradeRequired, message));
    }
    let key = parts.header(SEC_WEBSOCKET_KEY).unwrap_or_default();
    match STANDARD.decode(key) {
        Ok(nonce) if nonce.len() == 16 => Ok(key),
        _ => Err(Error::bad_request(
            "The header `Sec-WebSocket-Key` does not hold 16 bytes in base64.",
        )),
    }
}

/// The items of a header that is a list.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

fn offer_upgrade(headers: &mut HeaderMap) {
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
}
