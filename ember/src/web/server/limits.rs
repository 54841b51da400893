use std::time::Duration;

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr;)*) => {
        /// The bounds of a server. Every one holds from the start; none is "unlimited" by default.
        ///
        /// ```
        /// use ember::prelude::*;
        /// use ember::web::server::ServerLimits;
        ///
        /// let app = Ember::new().limits(ServerLimits::new().max_connections(1_000).shutdown(secs(10)));
        /// # app.build().unwrap();
        /// ```
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct ServerLimits {
            $($(#[$doc])* pub $name: $type,)*
        }

        impl Default for ServerLimits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl ServerLimits {
            /// The limits as they stand unless somebody says otherwise.
            pub fn new() -> Self {
                Self::default()
            }

            $($(#[$doc])* #[must_use] pub fn $name(mut self, $name: $type) -> Self {
                self.$name = $name;
                self
            })*
        }
    };
}

limits! {
    /// How many connections may be open in the whole process. 16,384.
    ///
    /// Each worker accepts at most one more, which is served when another has closed; further
    /// ones wait in the kernel's queue.
    max_connections: usize = 16_384;
    /// How many connections may be open at one worker; further ones wait in the kernel's queue. 16,384.
    max_connections_per_worker: usize = 16_384;
    /// How many requests one connection may carry; the last answer says `Connection: close`, or GOAWAY. 10,000.
    max_requests_per_connection: u32 = 10_000;
    /// The size of a header section, in bytes; beyond it the answer is 431. 16 KiB.
    max_header_size: usize = 16 << 10;
    /// The number of header fields in HTTP/1; beyond it the answer is 431. 100. In HTTP/2 they are bounded by
    /// [`max_header_size`](Self::max_header_size) alone.
    max_headers: usize = 100;
    /// The size of a request body, in bytes; beyond it the answer is 413. 2 MiB.
    max_body_size: u64 = 2 << 20;
    /// How long the handshake of TLS may take. 10 s.
    tls_handshake: Duration = Duration::from_secs(10);
    /// How long a header section may take to arrive, from its first byte; the first one, from the beginning of the
    /// connection. 10 s.
    header_read: Duration = Duration::from_secs(10);
    /// How long a request body may pause; beyond it reading fails with 408. 30 s.
    body_read: Duration = Duration::from_secs(30);
    /// How many bytes of a request body must arrive for each second that it is waited for, beyond a
    /// first [`body_read`](Self::body_read); below it reading fails with 408. 0 is no such bound. 240.
    ///
    /// Only time in which the handler waits for bytes counts, not what it takes to use them.
    body_rate: u32 = 240;
    /// How long a client may not take the bytes that are sent to it. 60 s.
    write_stall: Duration = Duration::from_secs(60);
    /// How long a connection may stand idle between requests. 75 s.
    keep_alive: Duration = Duration::from_secs(75);
    /// How many requests one HTTP/2 connection may have under way. 200.
    max_concurrent_streams: u32 = 200;
    /// How many requests of one HTTP/2 connection may be taken back before the server has seen them;
    /// beyond it the connection is closed (rapid reset, CVE-2023-44487). 20.
    max_pending_resets: usize = 20;
    /// How many errors of streams an HTTP/2 client may cause before its connection is closed. 256.
    max_stream_errors: usize = 256;
    /// How long an HTTP/2 client may leave a ping unanswered. 20 s.
    ping_timeout: Duration = Duration::from_secs(20);
    /// How long the server still accepts connections, and keeps idle ones open, after it was told to
    /// stop. 300 ms.
    ///
    /// Every answer in this time asks its client to close the connection, and `/readyz` says 503.
    /// Requests that are on their way when the server is told to stop are so not lost. Behind a
    /// load balancer it should exceed the interval of its health checks.
    notice: Duration = Duration::from_millis(300);
    /// How long requests may take to finish at shutdown; open streams end then. 30 s.
    shutdown: Duration = Duration::from_secs(30);
}
