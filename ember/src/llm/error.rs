use super::usage::Usage;
use crate::base;
use crate::base::error::{BoxError, ErrorClass};
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// What went wrong between us and a model.
///
/// The message is for the log: it may quote the provider. What a client of our own service
/// reads is made from the [kind](ErrorKind) alone.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    public: Option<Cow<'static, str>>,
    provider: Option<String>,
    status: Option<u16>,
    code: Option<String>,
    retry_after: Option<Duration>,
    should_retry: Option<bool>,
    usage: Option<Usage>,
    source: Option<BoxError>,
}

/// The class of a failure, which decides what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The key is missing, wrong, or may not do this.
    Auth,
    /// Too many requests or tokens for now.
    RateLimit,
    /// The account has nothing left; waiting does not help.
    Quota,
    /// The provider has too much to do.
    Overloaded,
    /// The provider did not answer in time.
    Timeout,
    /// The connection failed before an answer.
    Transport,
    /// The provider failed (5xx without a better word).
    Server,
    /// The request is wrong and will stay wrong.
    InvalidRequest,
    /// The conversation is longer than the model can read.
    ContextLength,
    /// The provider refuses this content. Clients are told its reason, up to 500 characters in one line.
    ContentFilter,
    /// The answer ended before it was complete.
    Truncated,
    /// The answer cannot be understood.
    Decode,
    /// A budget of ours is used up.
    BudgetExceeded,
    /// The provider has failed too often lately and is left alone for a while.
    CircuitOpen,
    /// The model called tools more often than it may.
    ToolLimit,
    /// The conversation could not be read or kept, or another turn of it goes on.
    Session,
    /// Whoever asked has gone.
    Cancelled,
    /// The settings are wrong or incomplete.
    Config,
}

impl Error {
    /// An error of a kind, with a message for the log.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            public: None,
            provider: None,
            status: None,
            code: None,
            retry_after: None,
            should_retry: None,
            usage: None,
            source: None,
        }))
    }

    /// What a store of conversations or limits reports. A client of our own service is told as much as
    /// the store's error tells it.
    pub(crate) fn of_store(error: base::Error) -> Self {
        let failed = Self::new(ErrorKind::Session, error.message().to_owned());
        let failed = match error.retry_after() {
            Some(wait) => failed.with_retry_after(wait),
            None => failed,
        };
        failed.with_source(StoreFailure(error))
    }

    /// Sets what a client of our own service may read, in place of the sentence of the kind.
    #[must_use]
    pub fn with_public_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.0.public = Some(message.into());
        self
    }

    /// Names the provider.
    #[must_use]
    pub fn with_provider(mut self, provider: impl Into<String>) -> Self {
        self.0.provider = Some(provider.into());
        self
    }

    /// Adds the status of the provider's answer.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Adds the provider's own code for the error.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Adds how long the provider wants to be left alone.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Adds whether the provider wants the request again (`x-should-retry`). Its word goes before ours.
    #[must_use]
    pub fn with_should_retry(mut self, should: bool) -> Self {
        self.0.should_retry = Some(should);
        self
    }

    /// Adds what was used before it failed, which is billed all the same.
    #[must_use]
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.0.usage = Some(usage);
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The class of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What happened, in the provider's words where it has any.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The provider that failed, where one was involved.
    pub fn provider(&self) -> Option<&str> {
        self.0.provider.as_deref()
    }

    /// The status of the provider's answer, where there was one.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The provider's own code for the error, for example `context_length_exceeded`.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// How long the provider wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What was used before it failed, where that is told: an [`Embedder`](super::Embedder) that sends
    /// its texts in several requests tells what those have used that went well.
    pub fn usage(&self) -> Option<Usage> {
        self.0.usage
    }

    /// Tells whether the same request may succeed if it is sent again to the same provider.
    ///
    /// The provider's own word decides, where there is one. A time limit of ours that has passed is no
    /// reason to wait for the same silence again; a provider that reports a time-out is.
    pub fn is_retryable(&self) -> bool {
        use ErrorKind::{Overloaded, RateLimit, Server, Timeout, Transport};
        self.0.should_retry.unwrap_or_else(|| match self.0.kind {
            Overloaded | RateLimit | Server | Transport => true,
            Timeout => self.0.status.is_some() || self.0.code.is_some(),
            _ => false,
        })
    }

    /// The error for others whom it concerns as well; the cause stays with the first.
    pub(crate) fn duplicate(&self) -> Self {
        let Inner {
            kind,
            message,
            public,
            provider,
            status,
            code,
            retry_after,
            should_retry,
            usage,
            source: _,
        } = &*self.0;
        Self(Box::new(Inner {
            kind: *kind,
            message: message.clone(),
            public: public.clone(),
            provider: provider.clone(),
            status: *status,
            code: code.clone(),
            retry_after: *retry_after,
            should_retry: *should_retry,
            usage: *usage,
            source: None,
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(provider) = &self.0.provider {
            write!(f, "{provider}: ")?;
        }
        f.write_str(&self.0.message)?;
        if let Some(status) = self.0.status {
            write!(f, " (status {status})")?;
        }
        Ok(())
    }
}

/// As `main` prints it: the failure, and what caused it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = self.source();
        while let Some(present) = cause {
            write!(f, "\n\ncaused by: {present}")?;
            cause = present.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// An error of the ground floor, as a cause.
#[derive(Debug)]
struct StoreFailure(base::Error);

impl fmt::Display for StoreFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.message())
    }
}

impl StdError for StoreFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.chain().next()
    }
}

inventory::submit! { ErrorClass(|error| error.downcast_ref::<Error>().map(public)) }

/// What a client of our own service is told when the model behind it fails.
fn public(error: &Error) -> base::Error {
    use base::ErrorKind as Public;
    if let Some(StoreFailure(error)) = error.source().and_then(<dyn StdError>::downcast_ref) {
        let public = base::Error::new(error.kind(), error.message().to_owned());
        return match error.retry_after() {
            Some(wait) => public.with_retry_after(wait),
            None => public,
        };
    }
    let (kind, sentence) = match error.kind() {
        ErrorKind::RateLimit
        | ErrorKind::Quota
        | ErrorKind::Overloaded
        | ErrorKind::CircuitOpen => {
            (Public::Unavailable, "The model is not available at the moment.")
        }
        ErrorKind::Timeout => (Public::GatewayTimeout, "The model did not answer in time."),
        ErrorKind::ContextLength => {
            (Public::PayloadTooLarge, "The conversation is longer than the model can read.")
        }
        // The reason is meant for whoever has written the content: one line of it, and not too long.
        ErrorKind::ContentFilter if error.status().is_some() && error.0.public.is_none() => {
            let reason = one_line(error.message());
            let sentence = format!("The model's provider refuses this content: {reason}");
            return base::Error::new(Public::Unprocessable, sentence);
        }
        ErrorKind::ContentFilter => {
            (Public::Unprocessable, "The model's provider refuses this content.")
        }
        ErrorKind::BudgetExceeded => {
            (Public::TooManyRequests, "The budget for this request is used up.")
        }
        ErrorKind::Truncated => {
            (Public::BadGateway, "The model's answer ended before it was complete.")
        }
        ErrorKind::ToolLimit => (Public::BadGateway, "The model called tools too often."),
        ErrorKind::Cancelled => (Public::ClientClosed, "The request was cancelled."),
        ErrorKind::Session | ErrorKind::Config => (Public::Internal, Public::Internal.sentence()),
        ErrorKind::Auth
        | ErrorKind::Transport
        | ErrorKind::Server
        | ErrorKind::InvalidRequest
        | ErrorKind::Decode => (Public::BadGateway, "The model could not be asked."),
    };
    let public = match &error.0.public {
        Some(message) => base::Error::new(kind, message.clone()),
        None => base::Error::new(kind, sentence),
    };
    match error.retry_after() {
        Some(wait) => public.with_retry_after(wait),
        None => public,
    }
}

/// How many characters of a provider's reason a client is told.
const REASON: usize = 500;

/// The beginning of a text in one line, without control characters.
fn one_line(text: &str) -> String {
    let words: Vec<_> =
        text.split(|char: char| char.is_whitespace() || char.is_control()).collect();
    let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(REASON) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_why_its_content_was_refused_in_one_line_of_500_characters_at_most() {
        let told = |message: String| {
            let error = Error::new(ErrorKind::ContentFilter, message).with_status(400);
            base::Error::from(error).message().to_owned()
        };
        let start = "The model's provider refuses this content: ";
        assert_eq!(told("It is\r\n\u{1b}[1m rude.".to_owned()), format!("{start}It is [1m rude."));
        let clipped = told("ü".repeat(501));
        assert_eq!(clipped, format!("{start}{}…", "ü".repeat(500)));
        assert_eq!(told("x".repeat(500)), format!("{start}{}", "x".repeat(500)));
    }

    #[test]
    fn a_client_is_told_the_kind_and_not_the_words() {
        let error = Error::new(ErrorKind::RateLimit, "org-123 used 9 of 9")
            .with_retry_after(Duration::from_secs(3));
        let public = base::Error::from(error);
        assert_eq!(public.status(), 503);
        assert_eq!(public.retry_after(), Some(Duration::from_secs(3)));
        assert!(!public.message().contains("org-123"));
        assert!(public.to_string().contains("org-123"));
        assert_eq!(public.downcast_ref::<Error>().unwrap().kind(), ErrorKind::RateLimit);
        let spoken = Error::new(ErrorKind::Truncated, "secret").with_public_message("Too long.");
        assert_eq!(base::Error::from(spoken).message(), "Too long.");
    }
}
