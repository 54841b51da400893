use bytes::Bytes;
use std::fmt;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};

/// What goes through a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketMessage {
    /// A text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

impl SocketMessage {
    /// Returns the text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }
}

impl From<String> for SocketMessage {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for SocketMessage {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Bytes> for SocketMessage {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for SocketMessage {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<SocketMessage> for Message {
    fn from(message: SocketMessage) -> Self {
        match message {
            SocketMessage::Text(text) => Self::text(text),
            SocketMessage::Binary(bytes) => Self::binary(bytes),
        }
    }
}

/// Why a WebSocket is closed, as a number (RFC 6455 §7.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// There is nothing more to say.
    pub const NORMAL: Self = Self(1000);
    /// The server stops, or the browser has left the page.
    pub const AWAY: Self = Self(1001);
    /// The protocol was broken.
    pub const PROTOCOL: Self = Self(1002);
    /// Messages of this kind are not understood.
    pub const UNSUPPORTED: Self = Self(1003);
    /// A message was not what its kind promises, such as a text that is not UTF-8.
    pub const INVALID: Self = Self(1007);
    /// A message breaks the rules of the service.
    pub const POLICY: Self = Self(1008);
    /// A message is too large.
    pub const TOO_LARGE: Self = Self(1009);
    /// The server failed.
    pub const ERROR: Self = Self(1011);

    /// A code of a library or an application: 3000 to 4999.
    pub const fn application(code: u16) -> Option<Self> {
        if code >= 3000 && code <= 4999 { Some(Self(code)) } else { None }
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

/// Why the client has closed a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReason {
    /// The number.
    pub code: CloseCode,
    /// What was said about it.
    pub text: String,
}

impl From<CloseFrame> for CloseReason {
    fn from(frame: CloseFrame) -> Self {
        Self { code: CloseCode(frame.code.into()), text: frame.reason.as_str().to_owned() }
    }
}

/// How many bytes of text fit a Close frame: 125 of a control frame, less the number (RFC 6455 §5.5).
const MAX_REASON: usize = 123;

/// The frame that closes; a text that is too long is cut.
pub(super) fn close_frame(code: CloseCode, text: &str) -> Message {
    let text = &text[..text.floor_char_boundary(MAX_REASON)];
    Message::Close(Some(CloseFrame { code: code.0.into(), reason: text.into() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_fits_its_frame() {
        let Message::Close(Some(frame)) = close_frame(CloseCode::POLICY, &"ü".repeat(100)) else {
            panic!("no close frame");
        };
        assert_eq!((frame.reason.len(), u16::from(frame.code)), (122, 1008));
        assert_eq!(CloseReason::from(frame).code, CloseCode::POLICY);
    }

    #[test]
    fn reserved_codes_cannot_be_sent() {
        assert_eq!(CloseCode::application(4000).map(CloseCode::number), Some(4000));
        assert!(
            [0, 999, 1005, 1006, 1015, 2999, 5000]
                .iter()
                .all(|&code| CloseCode::application(code).is_none())
        );
    }
}
