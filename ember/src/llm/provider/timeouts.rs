use std::time::Duration;

/// How long a provider may take, stage by stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Until the connection stands. 5 s.
    pub connect: Duration,
    /// Until the answer to a streamed request begins (status and headers). 60 s.
    pub headers: Duration,
    /// From there until the first event of a stream. 120 s.
    pub first_event: Duration,
    /// Between the bytes of a stream. 60 s.
    pub gap: Duration,
    /// For the whole exchange, from the request to the last byte. 600 s.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self {
            connect: secs(5),
            headers: secs(60),
            first_event: secs(120),
            gap: secs(60),
            total: secs(600),
        }
    }
}

macro_rules! timeouts {
    ($($name:ident: $doc:literal;)*) => {
        impl Timeouts {
            $(
                #[doc = $doc]
                #[must_use]
                pub fn $name(mut self, limit: Duration) -> Self {
                    self.$name = limit;
                    self
                }
            )*
        }
    };
}

timeouts! {
    connect: "Sets how long the connection may take.";
    headers: "Sets how long the beginning of a streamed answer may take.";
    first_event: "Sets how long the first event of a stream may take after that.";
    gap: "Sets how long a stream may be silent.";
    total: "Sets how long the whole exchange may take.";
}
