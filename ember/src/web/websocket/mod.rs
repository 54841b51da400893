//! WebSocket (RFC 6455) over HTTP/1.1.
//!
//! A handler takes a [`WebSocketUpgrade`] beside any other extractors, and answers with
//! [`WebSocketUpgrade::on_upgrade`]. The function that is given there has the [`WebSocket`] until
//! it returns. Pings are answered, fragments put together and the closing handshake done without
//! its help; when the server drains, clients are sent a Close frame with code 1001.
//!
//! Browsers open a WebSocket from any page to any server, and ask nobody. What protects a
//! session is that its cookie is `SameSite=Lax`: it is not sent with a socket that another site
//! opens. A service that authenticates otherwise looks at the header `Origin`.

mod limits;
mod message;
mod socket;
mod upgrade;

pub use limits::WebSocketLimits;
pub use message::{CloseCode, CloseReason, SocketMessage};
pub use socket::WebSocket;
pub use upgrade::WebSocketUpgrade;
