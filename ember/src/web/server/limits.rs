use std::time::Duration;

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr;)*) => {
        /// The bounds of a server. Every one holds from the start; none is "unlimited" by default.
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
            $($(#[$doc])* #[must_use] pub fn $name(mut self, $name: $type) -> Self {
                self.$name = $name;
                self
            })*
        }
    };
}

limits! {
    /// How many connections may be open in the whole process; further ones wait in the kernel's queue. 16,384.
    max_connections: usize = 16_384;
    /// The size of a header section, in bytes; beyond it the answer is 431. 16 KiB.
    max_header_size: usize = 16 << 10;
    /// The number of header fields; beyond it the answer is 431. 100.
    max_headers: usize = 100;
    /// The size of a request body, in bytes; beyond it the answer is 413. 2 MiB.
    max_body_size: u64 = 2 << 20;
    /// How long a header section may take to arrive, from its first byte. 10 s.
    header_read: Duration = Duration::from_secs(10);
    /// How long a request body may pause. 30 s.
    body_read: Duration = Duration::from_secs(30);
    /// How long a client may not take the bytes that are sent to it. 60 s.
    write_stall: Duration = Duration::from_secs(60);
    /// How long a connection may stand idle between requests. 75 s.
    keep_alive: Duration = Duration::from_secs(75);
    /// How many requests one HTTP/2 connection may have under way. 200.
    max_concurrent_streams: u32 = 200;
    /// How long requests may take to finish at shutdown; open streams end then. 30 s.
    shutdown: Duration = Duration::from_secs(30);
}
