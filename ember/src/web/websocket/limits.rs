use std::time::Duration;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// The bounds of a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebSocketLimits {
    /// The size of a message that is received, in bytes; beyond it the socket is closed with 1009. 1 MiB.
    pub max_message_size: usize,
    /// The size of a frame that is received, in bytes; beyond it the socket is closed with 1009. 1 MiB.
    pub max_frame_size: usize,
    /// How many bytes may wait to be sent; a larger message cannot be sent. 4 MiB.
    pub max_unsent: usize,
    /// After what time without a sign of life the client counts as gone. After half of it the
    /// client is sent a ping. It is also how long a client may not take what is sent. 60 s.
    pub idle: Duration,
    /// How long the closing handshake may take. 5 s.
    pub close: Duration,
}

impl WebSocketLimits {
    /// The limits that hold where nothing else is said.
    pub const fn new() -> Self {
        Self {
            max_message_size: 1 << 20,
            max_frame_size: 1 << 20,
            max_unsent: 4 << 20,
            idle: Duration::from_secs(60),
            close: Duration::from_secs(5),
        }
    }

    /// Sets the size of a message that is received, in bytes.
    #[must_use]
    pub const fn max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// Sets the size of a frame that is received, in bytes.
    #[must_use]
    pub const fn max_frame_size(mut self, bytes: usize) -> Self {
        self.max_frame_size = bytes;
        self
    }

    /// Sets how many bytes may wait to be sent.
    #[must_use]
    pub const fn max_unsent(mut self, bytes: usize) -> Self {
        self.max_unsent = bytes;
        self
    }

    /// Sets after what time without a sign of life the client counts as gone.
    #[must_use]
    pub const fn idle(mut self, time: Duration) -> Self {
        self.idle = time;
        self
    }

    /// Sets how long the closing handshake may take.
    #[must_use]
    pub const fn close(mut self, time: Duration) -> Self {
        self.close = time;
        self
    }

    pub(super) fn config(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            // Allocated for every socket, of which most are quiet.
            .read_buffer_size(8 << 10)
            // Messages are written when they are sent.
            .write_buffer_size(0)
            .max_write_buffer_size(self.max_unsent.max(1))
            .max_message_size(Some(self.max_message_size))
            .max_frame_size(Some(self.max_frame_size))
    }
}

impl Default for WebSocketLimits {
    fn default() -> Self {
        Self::new()
    }
}
