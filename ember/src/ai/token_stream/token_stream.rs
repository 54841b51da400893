use super::framed::{Events, Framed, Shared};
use super::token::{IntoToken, Tokens};
use super::wanted::{add_headers, negotiate};
use crate::ai::dialect::{StreamDialect, document_schema};
use crate::ai::paced::Paced;
use crate::base::Error;
use crate::llm::{ChatEvent, ChatStream};
use crate::store::GlobalTokenBucket;
use crate::web::operation::{Content, Operation, Outcome, Status};
use crate::web::{IntoResponse, Response, Sse};
use futures_core::Stream;
use futures_util::StreamExt as _;
use std::fmt;
use std::time::Duration;

/// An answer on its way to a browser, as a stream of events.
///
/// Unless somebody asks for another [`StreamDialect`], each token of the text is one `data:`
/// frame, whatever it contains. A complete answer is followed by `data: [DONE]`; one that breaks
/// ends in an event named `error` with a problem document, and never in `[DONE]`. While the
/// model thinks, comments keep the connection open.
///
/// A client that accepts `application/json` and no events, or those less, gets one document in
/// the end: `{model, text, tool_calls, finish, usage}`, and `reasoning` and `refusal` where there
/// are any. A failure has a status of its own then.
///
/// ```
/// use ember::prelude::*;
///
/// /// A model's answer as it is, without a conversation.
/// #[ai_route("/once")]
/// async fn once(client: Client, question: String) -> ember::Result<TokenStream> {
///     Ok(client.stream(question).await?.into())
/// }
/// ```
#[doc(alias = "TokenStreamResponse")]
pub struct TokenStream {
    events: Events,
    dialect: Option<StreamDialect>,
    keep_alive: Option<Duration>,
}

impl TokenStream {
    /// Streams tokens: texts, or results of texts.
    pub fn new<S>(tokens: S) -> Self
    where
        S: Stream<Item: IntoToken> + Send + 'static,
    {
        Self::of_events(Tokens::new(tokens))
    }

    /// Streams what happens in an answer.
    pub(in crate::ai) fn of_events(
        events: impl Stream<Item = Result<ChatEvent, Error>> + Send + 'static,
    ) -> Self {
        Self { events: Box::pin(events), dialect: None, keep_alive: None }
    }

    /// Sets the dialect, whatever the route says and the request asks for.
    #[must_use]
    pub fn dialect(mut self, dialect: StreamDialect) -> Self {
        self.dialect = Some(dialect);
        self
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
    /// use ember::futures_util::stream;
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

/// The answer of a model. In the dialect of plain tokens, one that is cut, withheld or waits for
/// a tool ends in an error; the others tell why it ended.
impl From<ChatStream> for TokenStream {
    fn from(events: ChatStream) -> Self {
        Self::of_events(events.map(|event| event.map_err(Error::from)))
    }
}

/// Streams tokens, for a handler that has them from elsewhere than a conversation.
///
/// ```
/// use ember::prelude::*;
/// use ember::futures_util::stream;
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
        let pending = Shared::new(self.events, self.dialect);
        let sse = Sse::new(Framed::Pending(pending.clone()));
        let sse = match self.keep_alive {
            Some(interval) => sse.keep_alive(interval),
            None => sse,
        };
        let mut response = sse.into_response();
        if let Some(dialect) = self.dialect {
            add_headers(dialect, &mut response);
        }
        response.extensions_mut().insert(pending);
        response
    }

    fn describe(operation: &mut Operation) {
        let meaning = "The answer: a token in each event. A complete one is followed by `[DONE]`; an event \
                       that is named `error` says why one is not complete. By its `Accept`, a client \
                       can choose another dialect of events (`text/event-stream; dialect=events` or \
                       `dialect=ui-messages`), or one document.";
        let whole = Content::new("application/json", document_schema());
        let outcome = Outcome::new(Status::OK).description(meaning);
        operation.outcome(outcome.content(Content::events()).content(whole));
        operation.before_handler(negotiate);
    }
}

impl fmt::Debug for TokenStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenStream").field("dialect", &self.dialect).finish_non_exhaustive()
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

    #[tokio::test]
    async fn a_broken_stream_is_never_finished_for_any_reader() {
        for dialect in [StreamDialect::Events, StreamDialect::UiMessages] {
            let tokens = [Ok("Hi"), Err(Error::unavailable("The model is gone.")), Ok("late")];
            let sent = text(sse_stream(stream::iter(tokens)).dialect(dialect)).await;
            assert!(sent.contains("Hi") && sent.contains("The model is gone."), "{sent}");
            for never in ["finish\"", "[DONE]", "late"] {
                assert!(!sent.contains(never), "{sent}");
            }
        }
    }
}
