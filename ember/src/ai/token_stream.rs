use super::dialect::accept::Accepted;
use super::dialect::{Encoder, StreamDialect, UI_HEADER, document};
use super::paced::Paced;
use super::route::AiOptions;
use crate::base::sse::Event;
use crate::base::{Error, ErrorKind, Schema};
use crate::llm::{ChatEvent, ChatStream, FinishReason};
use crate::store::GlobalTokenBucket;
use crate::web::operation::{Content, Operation, Outcome, Status};
use crate::web::response::Ending;
use crate::web::{HookFuture, IntoResponse, Json, RequestParts, Response, Sse};
use futures_core::Stream;
use futures_util::StreamExt as _;
use http::HeaderValue;
use http::header::VARY;
use pin_project_lite::pin_project;
use serde_json::json;
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
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

/// What happens in an answer; a finish or an error is the last of it.
type Events = Pin<Box<dyn Stream<Item = Result<ChatEvent, Error>> + Send>>;

impl TokenStream {
    /// Streams tokens: texts, or results of texts.
    pub fn new<S>(tokens: S) -> Self
    where
        S: Stream<Item: IntoToken> + Send + 'static,
    {
        Self::of_events(Tokens { tokens, ended: false })
    }

    /// Streams what happens in an answer.
    pub(super) fn of_events(
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
        let pending = Pending { events: Some(self.events), dialect: self.dialect };
        let pending = Shared(Arc::new(Mutex::new(pending)));
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

/// What an answer looks like as one document.
fn document_schema() -> Schema {
    let text_or_null = json!({"type": ["string", "null"]});
    Schema::from(json!({
        "type": "object",
        "properties": {
            "model": text_or_null,
            "text": {"type": "string"},
            "refusal": {"type": "string"},
            "reasoning": {"type": "string"},
            "tool_calls": {"type": "array", "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "name": {"type": "string"},
                    "input": {},
                    "arguments": {"type": "string"},
                    "output": {},
                    "error": {"type": "string"},
                },
                "required": ["id", "name"],
            }},
            "finish": {},
            "usage": {"type": ["object", "null"]},
        },
        "required": ["model", "text", "tool_calls", "finish", "usage"],
    }))
}

/// What a request and its route say of the form of an answer.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// What the route says, or else the request.
    pub(super) dialect: Option<StreamDialect>,
    document: bool,
    /// What the body of the request suggests.
    suggested: Suggested,
}

/// Where the body of a request leaves the dialect that it is written for.
#[derive(Debug, Clone, Default)]
pub(super) struct Suggested(Arc<OnceLock<StreamDialect>>);

impl Suggested {
    /// Suggests a dialect to the answer of a request, if that is a stream.
    pub(super) fn suggest(parts: &RequestParts, dialect: StreamDialect) {
        if let Some(Self(suggested)) = parts.extensions().get() {
            // Whoever was first has read the body.
            let _ = suggested.set(dialect);
        }
    }
}

impl Wanted {
    /// Reads what is wanted.
    ///
    /// # Errors
    /// Status 406 where only dialects are accepted that do not exist.
    pub(super) fn of(parts: &RequestParts) -> Result<Self, Error> {
        let options = parts.route().and_then(|route| route.extensions.get::<AiOptions>());
        let of_route = options.and_then(|options| options.stream);
        let Accepted { dialect, document } = Accepted::of(parts.headers())?;
        Ok(Self { dialect: of_route.or(dialect), document, suggested: Suggested::default() })
    }

    /// Gives a response its form, if it is a stream of ours.
    async fn shape(self, mut response: Response) -> Response {
        let Some(shared) = response.extensions_mut().remove::<Shared>() else { return response };
        response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
        if self.document {
            let Some(events) = shared.locked().events.take() else { return response };
            return match document(events).await {
                Ok(document) => of_document(response, document),
                Err(error) => error.into_response(),
            };
        }
        let wanted = self.dialect.or_else(|| self.suggested.0.get().copied());
        let mut pending = shared.locked();
        if let (None, Some(dialect)) = (pending.dialect, wanted) {
            pending.dialect = Some(dialect);
            drop(pending);
            add_headers(dialect, &mut response);
        }
        response
    }
}

/// Puts a document in place of a stream; status and headers of the handler's stay.
fn of_document(response: Response, document: serde_json::Value) -> Response {
    let (mut head, _) = response.into_parts();
    let (whole, body) = Json(document).into_response().into_parts();
    head.headers.remove("x-accel-buffering");
    head.headers.extend(whole.headers);
    Response::from_parts(head, body)
}

/// Runs before the handler: an answer that nobody could read is not asked for.
fn negotiate(parts: &mut RequestParts) -> HookFuture<'_, Option<Response>> {
    Box::pin(async move {
        let wanted = Wanted::of(parts)?;
        parts.extensions_mut().insert(wanted.suggested.clone());
        parts.on_response_async(move |response| wanted.shape(response));
        Ok(None)
    })
}

fn add_headers(dialect: StreamDialect, response: &mut Response) {
    if dialect == StreamDialect::UiMessages {
        let (name, value) = UI_HEADER;
        response.headers_mut().insert(name, value);
    }
    let stopping = Error::unavailable("The server is stopping.");
    if let Some(event) = Encoder::new(dialect).failure(&stopping) {
        response.extensions_mut().insert(Ending(event));
    }
}

/// A stream whose form is not settled before its response has met the request.
struct Pending {
    events: Option<Events>,
    dialect: Option<StreamDialect>,
}

/// What is pending, between the body of a response and whoever settles its form.
#[derive(Clone)]
struct Shared(Arc<Mutex<Pending>>);

impl Shared {
    fn locked(&self) -> std::sync::MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The frames of a stream.
enum Framed {
    Pending(Shared),
    Running {
        events: Events,
        encoder: Encoder,
        frames: VecDeque<Event>,
    },
    /// The last frames; what made them is gone.
    Ended(VecDeque<Event>),
}

impl Stream for Framed {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            match this {
                Self::Pending(shared) => {
                    let (events, dialect) = {
                        let mut pending = shared.locked();
                        (pending.events.take(), pending.dialect.unwrap_or_default())
                    };
                    *this = match events {
                        Some(events) => {
                            let encoder = Encoder::new(dialect);
                            Self::Running { events, encoder, frames: VecDeque::new() }
                        }
                        None => Self::Ended(VecDeque::new()),
                    };
                }
                Self::Running { events, encoder, frames } => {
                    if let Some(frame) = frames.pop_front() {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    let event = ready!(events.as_mut().poll_next(context));
                    let ends = matches!(event, Some(Ok(ChatEvent::Finish(_))));
                    let outcome = match event {
                        Some(event) => event.and_then(|event| encoder.event(event, frames)),
                        None => Err(broken_off()),
                    };
                    if let Err(error) = outcome {
                        // What is ready belongs to an event that could not be told.
                        let failure = encoder.failure(&error);
                        *this = Self::Ended(VecDeque::new());
                        let Some(failure) = failure else { return Poll::Ready(Some(Err(error))) };
                        tracing::warn!(%error, "an event stream broke");
                        return Poll::Ready(Some(Ok(failure)));
                    }
                    if ends {
                        *this = Self::Ended(std::mem::take(frames));
                    }
                }
                Self::Ended(frames) => return Poll::Ready(frames.pop_front().map(Ok)),
            }
        }
    }
}

fn broken_off() -> Error {
    Error::new(ErrorKind::BadGateway, "The answer ended before it was complete.")
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

pin_project! {
    /// Tokens as the text of an answer.
    struct Tokens<S> {
        #[pin]
        tokens: S,
        ended: bool,
    }
}

impl<S: Stream<Item: IntoToken>> Stream for Tokens<S> {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(match ready!(this.tokens.poll_next(context)) {
            Some(token) => token.into_token().map(|token| ChatEvent::Text(token.into_owned())),
            None => {
                *this.ended = true;
                Ok(ChatEvent::Finish(FinishReason::Stop.into()))
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
