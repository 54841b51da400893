use crate::llm::ErrorKind;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// What the service behind a provider does with every request that it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scenario {
    /// Answers with this text, complete; streamed, in several pieces where the service can. It tells
    /// the usage, and a stream that can tells it more than once.
    Text(&'static str),
    /// Answers with this text, cut at the limit of tokens.
    Cut(&'static str),
    /// Calls these tools in one turn: names, and arguments as JSON. Streamed, the arguments come in
    /// pieces where the service can send them so.
    ToolCalls(&'static [(&'static str, &'static str)]),
    /// Refuses the request with an error of this kind, in the words of the service.
    Failure(ErrorKind),
    /// Answers with this text and breaks the connection before the answer has ended.
    Broken(&'static str),
    /// Begins the call of a tool and breaks the connection within its arguments.
    BrokenCall,
    /// Streams this text and falls silent, with the connection open.
    Silence(&'static str),
}

/// A provider that is put to the test, before a service that plays a scenario.
pub struct Subject<P> {
    pub(super) provider: P,
    pub(super) closed: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<P> Subject<P> {
    /// A provider.
    pub fn new(provider: P) -> Self {
        Self { provider, closed: None }
    }

    /// Adds a future that is ready when the service has seen the provider close a connection.
    #[must_use]
    pub fn closed(mut self, closed: impl Future<Output = ()> + Send + 'static) -> Self {
        self.closed = Some(Box::pin(closed));
        self
    }
}

impl<P: fmt::Debug> fmt::Debug for Subject<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("provider", &self.provider).finish_non_exhaustive()
    }
}
