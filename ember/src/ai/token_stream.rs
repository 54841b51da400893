use super::paced::Paced;
use crate::base::Error;
use crate::base::sse::Event;
use crate::store::GlobalTokenBucket;
use crate::web::operation::{Content, Operation, Outcome, Status};
use crate::web::{IntoResponse, Response, Sse};
use futures_core::Stream;
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// The tokens of an answer as a stream of events.
///
/// Each token is one `data:` frame, whatever it contains. A complete answer is followed by
/// `data: [DONE]`; one that breaks ends in an event named `error` with a problem document, and
/// never in `[DONE]`. While the model thinks, comments keep the connection open.
#[doc(alias = "TokenStreamResponse")]
pub struct TokenStream {
    events: Pin<Box<dyn Stream<Item = Result<Event, Error>> + Send>>,
    keep_alive: Option<Duration>,
}

impl TokenStream {
    /// Streams tokens: texts, or results of texts.
    pub fn new<S>(tokens: S) -> Self
    where
        S: Stream<Item: IntoToken> + Send + 'static,
    {
        Self::of_events(Tokens { tokens, ended: false })
    }

    /// Streams events that are framed already, the last one included.
    pub(super) fn of_events(
        events: impl Stream<Item = Result<Event, Error>> + Send + 'static,
    ) -> Self {
        Self { events: Box::pin(events), keep_alive: None }
    }

    /// Sets how long nothing may be sent before a comment is; 15 s otherwise.
    #[must_use]
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive = Some(interval);
        self
    }

    /// Sends no more tokens than the bucket has: each takes one, and waits for it while there is none.
    ///
    /// Meanwhile nothing is read from whoever makes the tokens, and comments keep the connection open. A
    /// stream that is dropped takes nothing more. A token that would have to wait for longer than a
    /// minute ends the stream in an error, as [`TokenStream::bucket_within`] lets one say.
    ///
    /// ```
    /// use ember::prelude::*;
    /// use ember::store::GlobalTokenBucket;
    /// use futures_util::stream;
    ///
    /// #[get("/slowly")]
    /// async fn slowly(bucket: Component<GlobalTokenBucket>) -> TokenStream {
    ///     sse_stream(stream::iter(["Hello", " ", "world"])).bucket((*bucket).clone())
    /// }
    /// # let bucket = GlobalTokenBucket::per_minute("slow", 600);
    /// # ember::app!().component(bucket).build().unwrap();
    /// ```
    #[must_use]
    pub fn bucket(self, bucket: GlobalTokenBucket) -> Self {
        self.bucket_within(bucket, PATIENCE)
    }

    /// As [`TokenStream::bucket`], where a token waits for at most so long.
    #[must_use]
    pub fn bucket_within(self, bucket: GlobalTokenBucket, wait: Duration) -> Self {
        Self { events: Box::pin(Paced::new(self.events, bucket, wait)), ..self }
    }
}

/// How long a token waits for the bucket.
const PATIENCE: Duration = Duration::from_secs(60);

/// Streams tokens, for a handler that has them from elsewhere than a conversation.
///
/// ```
/// use ember::prelude::*;
/// use futures_util::stream;
///
/// #[get("/hello")]
/// async fn hello() -> TokenStream {
///     sse_stream(stream::iter(["Hello", " ", "world"]))
/// }
/// ```
pub fn sse_stream<S>(tokens: S) -> TokenStream
where
    S: Stream<Item: IntoToken> + Send + 'static,
{
    TokenStream::new(tokens)
}

impl IntoResponse for TokenStream {
    fn into_response(self) -> Response {
        let sse = Sse::new(self.events);
        match self.keep_alive {
            Some(interval) => sse.keep_alive(interval),
            None => sse,
        }
        .into_response()
    }

    fn describe(operation: &mut Operation) {
        let meaning = "A token in each event. A complete answer is followed by `[DONE]`; an event that is \
                       named `error` says why one is not complete.";
        let events = Content::events();
        operation.outcome(Outcome::new(Status::OK).description(meaning).content(events));
    }
}

impl fmt::Debug for TokenStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenStream")
    }
}

/// What a stream of tokens may consist of: texts, or results of texts.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no token",
    note = "a stream of tokens yields `String`, `&'static str`, or a `Result` of one of these"
)]
pub trait IntoToken: Send {
    /// Makes the token, or says why the stream is broken.
    ///
    /// # Errors
    /// Whatever the stream itself reports.
    fn into_token(self) -> Result<std::borrow::Cow<'static, str>, Error>;
}

impl IntoToken for String {
    fn into_token(self) -> Result<std::borrow::Cow<'static, str>, Error> {
        Ok(self.into())
    }
}

impl IntoToken for &'static str {
    fn into_token(self) -> Result<std::borrow::Cow<'static, str>, Error> {
        Ok(self.into())
    }
}

impl<T: IntoToken, E: Into<Error> + Send> IntoToken for Result<T, E> {
    fn into_token(self) -> Result<std::borrow::Cow<'static, str>, Error> {
        self.map_err(Into::into)?.into_token()
    }
}

/// The frame that tells a client that the answer is complete.
pub(super) const DONE: Event = Event {
    data: Some(std::borrow::Cow::Borrowed("[DONE]")),
    event: None,
    id: None,
    retry: None,
    comment: None,
};

pin_project! {
    /// Frames tokens.
    struct Tokens<S> {
        #[pin]
        tokens: S,
        ended: bool,
    }
}

impl<S: Stream<Item: IntoToken>> Stream for Tokens<S> {
    type Item = Result<Event, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(match ready!(this.tokens.poll_next(context)) {
            Some(token) => token.into_token().map(Event::data),
            None => {
                *this.ended = true;
                Ok(DONE)
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    async fn text(stream: TokenStream) -> String {
        let body = stream.into_response().into_body().collect().await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_complete_stream_is_done() {
        let sent = text(sse_stream(stream::iter(["Hi", "", "a\nb"]))).await;
        assert_eq!(sent, "data: Hi\n\ndata: \n\ndata: a\ndata: b\n\ndata: [DONE]\n\n");
    }

    #[tokio::test]
    async fn a_broken_stream_is_never_done() {
        let tokens = [Ok("Hi"), Err(Error::unavailable("The model is gone."))];
        let sent = text(sse_stream(stream::iter(tokens))).await;
        assert!(sent.starts_with("data: Hi\n\nevent: error\ndata: {"), "{sent}");
        assert!(sent.contains("The model is gone.") && !sent.contains("[DONE]"), "{sent}");
    }
}
