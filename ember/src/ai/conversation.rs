use super::answering::{Answering, gather, spoken};
use super::component::need_of;
use super::conversations::Conversation;
use super::dialect::StreamDialect;
use super::extract::client_of;
use super::on_disconnect::OnDisconnect;
use super::owner::Owner;
use super::question::{IntoQuestion, Question};
use super::route::AiOptions;
use super::token_stream::{TokenStream, Wanted};
use super::transcript::Transcript;
use crate::base::{Error, Schema, random_id};
use crate::llm::{
    Accumulator, ChatEvent, ChatRequest, ChatStream, Client, Message, Part, Role, SessionMetadata,
    Sessions, Tool,
};
use crate::web::RequestParts;
use crate::web::extract::FromRequestParts;
use crate::web::operation::{Operation, Parameter};
use futures_util::stream;
use http::HeaderName;
use http::header::HeaderValue;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The header that names a conversation, in requests and responses.
pub const CONVERSATION_ID: HeaderName = HeaderName::from_static("x-conversation-id");

/// How long a turn waits for an earlier one of the same conversation.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a streamed answer is held back for its first token, so that a failure before it can
/// still be a status. A model that thinks longer gets its 200, and comments until it speaks.
const HOLD: Duration = Duration::from_secs(10);

/// One turn of a conversation with a model, with everything that was said before it.
///
/// As an argument of an `#[ai_route]` it is the conversation that the header
/// `x-conversation-id` names; without the header a new one begins, and its id is in the
/// response.
///
/// An id that is issued is 32 hexadecimal digits of randomness, and whoever has it has the
/// conversation. While nobody is authenticated, an id of another form is therefore not taken,
/// unless there is a conversation of that id already: a new one is issued in its place, and it is
/// the id in the response that counts. A guessable id, or one that somebody else has planted,
/// would let others read along. Under a [`Principal`](crate::Principal) every id will do: it is worth nothing to
/// anybody else.
///
/// The conversation is held while the turn lasts: turns follow one another. A turn that fails
/// leaves no trace, and neither does one that the client abandons, unless
/// [`on_disconnect`](Self::on_disconnect) says otherwise. A turn has succeeded when
/// [`ask`](Self::ask) returns or the last event of [`stream`](Self::stream) is sent: what a handler
/// does or answers afterwards does not change what was said. Of a turn with tools, the question
/// and the final answer are remembered.
///
/// The model may call the tools that the attribute lists, and those that are added here.
///
/// ```
/// use ember::prelude::*;
///
/// #[ai_route("/chat")]
/// async fn chat(mut conversation: ConversationContext, body: String) -> ember::Result<TokenStream> {
///     conversation.system("You are terse.");
///     conversation.trim(8_000);
///     conversation.stream(body).await
/// }
/// ```
pub struct ConversationContext {
    id: String,
    transcript: Transcript,
    client: Client,
    /// What every request of this turn is to say, beside its messages.
    settings: ChatRequest,
    on_disconnect: OnDisconnect,
    /// What the route and the request say of streams.
    dialect: Option<StreamDialect>,
}

impl FromRequestParts for ConversationContext {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        let owner = Owner::of(parts)?;
        let asked = parts.headers().get(CONVERSATION_ID).map(checked_id).transpose()?;
        let id = match asked {
            Some(id) if !owner.is_anonymous || is_issued(&id) => id,
            Some(id) if owner.sessions.exists(&owner.key(&id)).await? => id,
            _ => random_id()?,
        };
        let header = HeaderValue::from_str(&id)?;
        parts.on_response(move |response| {
            response.headers_mut().insert(CONVERSATION_ID, header);
        });
        let client = client_of(parts)?;
        let (turn, messages) = owner.sessions.begin(&owner.key(&id), PATIENCE).await?;
        let options = parts.route().and_then(|route| route.extensions.get::<AiOptions>());
        Ok(Self {
            id,
            transcript: Transcript::new(turn, messages),
            client,
            settings: ChatRequest::default(),
            on_disconnect: options.map(|options| options.on_disconnect).unwrap_or_default(),
            dialect: Wanted::of(parts)?.dialect,
        })
    }

    fn describe(operation: &mut Operation) {
        operation.requires(need_of::<Client>()).requires(need_of::<Sessions>()).touches_response();
        let id = Parameter::header("x-conversation-id").shape(id_schema());
        let asked = "The conversation that goes on. Without it a new one begins.";
        let told = "The conversation: sent with the next request, it goes on.";
        operation.parameter(id.clone().description(asked)).response_header(id.description(told));
        operation.problems();
    }
}

/// What [`checked_id`] lets pass.
fn id_schema() -> Schema {
    Schema::from(json!({"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"}))
}

/// Tells whether an id has the form of those that we issue.
fn is_issued(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// An id that a client sends: what we issue, or any other word of up to 128 characters.
fn checked_id(id: &HeaderValue) -> Result<String, Error> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    match id.to_str() {
        Ok(id) if (1..=128).contains(&id.len()) && id.as_bytes().iter().all(is_word) => {
            Ok(id.to_owned())
        }
        _ => Err(Error::bad_request(
            "`x-conversation-id` must be 1 to 128 letters, digits, `-`, `_`, `.` or `:`.",
        )),
    }
}

impl ConversationContext {
    /// The id of the conversation.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What was said so far, the system message first.
    pub fn messages(&self) -> &[Message] {
        self.transcript.messages()
    }

    /// Adds a message. It is remembered when the turn succeeds, or with [`save`](Self::save).
    pub fn add(&mut self, message: Message) {
        self.transcript.add(message);
    }

    /// Adds a message of plain text.
    pub fn add_message(&mut self, role: Role, text: impl Into<String>) {
        match role {
            Role::System => self.system(text),
            role => self.add(Message::new(role, [Part::text(text)])),
        }
    }

    /// Sets the instructions of the conversation, in place of those there were.
    pub fn system(&mut self, text: impl Into<String>) {
        let system = Message::system(text);
        if self.messages().first() == Some(&system) {
            return;
        }
        self.transcript.edit(|messages| {
            messages.retain(|message| message.role != Role::System);
            messages.insert(0, system);
        });
    }

    /// Forgets everything that was said, the system message as well.
    pub fn clear(&mut self) {
        self.transcript.edit(Vec::clear);
    }

    /// What is noted of the conversation beside its messages.
    pub fn metadata(&self) -> &SessionMetadata {
        self.transcript.metadata()
    }

    /// Notes something of the conversation: a title, a language. It is remembered as messages are.
    pub fn note(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.transcript.note(|noted| {
            noted.insert(name.into(), value.into());
        });
    }

    /// The conversation as a document, with its system message.
    pub fn document(&self) -> Conversation {
        Conversation::new(self.id(), self.messages().to_vec()).metadata(self.metadata().clone())
    }

    /// Puts what a document says in place of what was said and noted, under the id that this
    /// conversation has.
    ///
    /// The instructions stay those that there are: a document can come from a client. What it says of
    /// tools and of the model's answers is taken as it is.
    pub fn restore(&mut self, document: Conversation) {
        self.transcript.edit(|messages| {
            messages.retain(|message| message.role == Role::System);
            let said = document.messages.into_iter();
            messages.extend(said.filter(|message| message.role != Role::System));
        });
        self.transcript.note(|noted| *noted = document.metadata);
    }

    /// Counts how many tokens the conversation has, by the counter of the application: by estimate,
    /// unless it has another.
    pub fn estimate_tokens(&self) -> u64 {
        self.client.count_tokens(self.messages())
    }

    /// Forgets the oldest turns until the conversation has at most so many tokens, as
    /// [`estimate_tokens`](Self::estimate_tokens) counts them.
    ///
    /// The system message stays, and so does the latest turn. Turns go as a whole, with the
    /// results of their tools.
    pub fn trim(&mut self, budget: u64) {
        let is = |message: &Message, role: Role| message.role == role;
        let first =
            usize::from(self.messages().first().is_some_and(|first| is(first, Role::System)));
        let mut left = self.estimate_tokens();
        let mut kept_from = first;
        for (index, message) in self.messages().iter().enumerate().skip(first) {
            // Up to here a whole number of turns has been passed.
            if index > first && is(message, Role::User) {
                kept_from = index;
            }
            if kept_from == index && left <= budget {
                break;
            }
            left = left.saturating_sub(self.client.count_tokens([message]));
        }
        if kept_from > first {
            self.transcript.edit(|messages| {
                messages.drain(first..kept_from);
            });
        }
    }

    /// Lets the model call another tool during this turn. One of the attribute that has the same
    /// name makes way.
    pub fn tool(&mut self, tool: impl Into<Tool>) -> &mut Self {
        self.with(|request| request.tool(tool))
    }

    /// Lets the model call more tools during this turn.
    pub fn tools<T: Into<Tool>>(&mut self, tools: impl IntoIterator<Item = T>) -> &mut Self {
        self.with(|request| request.tools(tools))
    }

    /// Changes what the requests of this turn say beside their messages, which are the
    /// conversation's own.
    ///
    /// ```
    /// use ember::prelude::*;
    ///
    /// #[ai_route("/poem")]
    /// async fn poem(mut conversation: ConversationContext, topic: String) -> ember::Result<TokenStream> {
    ///     conversation.with(|request| request.temperature(1.2).max_tokens(400));
    ///     conversation.stream(format!("Write a poem on {topic}.")).await
    /// }
    /// ```
    pub fn with(&mut self, change: impl FnOnce(ChatRequest) -> ChatRequest) -> &mut Self {
        self.settings = change(std::mem::take(&mut self.settings));
        self
    }

    /// Says what becomes of the turn when its reader goes away, in place of what the route says.
    pub fn on_disconnect(&mut self, what: OnDisconnect) -> &mut Self {
        self.on_disconnect = what;
        self
    }

    /// Remembers the messages and the notes as they are now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn save(&mut self) -> Result<(), Error> {
        self.transcript.save().await
    }

    /// Asks the model, waits for its answer, and remembers both. A refusal is an answer, too.
    ///
    /// What is remembered stays so if the handler fails afterwards: it has been said.
    ///
    /// # Errors
    /// Whatever keeps the model from a complete answer; the turn is then as if it had not been.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection to the provider; nothing is remembered, or, with
    /// [`OnDisconnect::Keep`], what there is of the answer.
    pub async fn ask(&mut self, question: impl IntoQuestion) -> Result<String, Error> {
        let question = question.into_question()?;
        let place = question.place(&self.transcript);
        let message = question.message;
        let request = self.request(place, &message);
        let keeps = self.on_disconnect == OnDisconnect::Keep;
        let response = if keeps {
            // What arrives bit by bit can be kept in part.
            let answer = self.client.stream(request).await?;
            gather(answer, place, message.clone(), &mut self.transcript).await?
        } else {
            self.client.complete(request).await?
        };
        let answer = response.into_message()?;
        let text = spoken(&answer);
        self.transcript.commit(place, [message, answer], keeps).await?;
        Ok(text)
    }

    /// Asks the model, and streams its answer. Both are remembered when the answer is complete.
    ///
    /// The future is ready with the first token, so that a failure before it has a status of its
    /// own; of a model that thinks for more than ten seconds it does not wait for the end of that.
    /// A reader who is shown reasoning and calls of tools does not wait for those either.
    ///
    /// # Errors
    /// Whatever keeps the answer from beginning; later failures are told in the stream.
    ///
    /// # Cancel safety
    /// Dropping the future or the stream closes the connection to the provider; nothing is
    /// remembered, or, with [`OnDisconnect::Keep`], what the reader has been sent.
    pub async fn stream(mut self, question: impl IntoQuestion) -> Result<TokenStream, Error> {
        let question = question.into_question()?;
        let place = question.place(&self.transcript);
        let Question { message, dialect, .. } = question;
        let mut answer = self.client.stream(self.request(place, &message)).await?;
        let dialect = self.dialect.or(dialect).unwrap_or_default();
        let ready = first_token(&mut answer, dialect).await?;
        if let Some(ChatEvent::Finish(_)) = ready.back() {
            // Nothing is to be read, but whether the answer is one can still be a status.
            let mut accumulator = Accumulator::new();
            ready.iter().for_each(|event| accumulator.push(event));
            drop(answer);
            let said = accumulator.finish()?.into_message()?;
            let keeps = self.on_disconnect == OnDisconnect::Keep;
            self.transcript.commit(place, [message, said], keeps).await?;
            return Ok(TokenStream::of_events(stream::iter(ready.into_iter().map(Ok))));
        }
        let Self { mut transcript, on_disconnect, .. } = self;
        transcript.go_back(place);
        transcript.add(message);
        let answering = Answering::new(ready, answer, transcript, on_disconnect);
        Ok(TokenStream::of_events(answering))
    }

    /// The request of this turn, whose question stands after so many messages.
    fn request(&self, place: usize, question: &Message) -> ChatRequest {
        let mut request = self.settings.clone();
        request.messages = self.messages()[..place].to_vec();
        request.messages.push(question.clone());
        request
    }
}

impl fmt::Debug for ConversationContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConversationContext")
            .field("id", &self.id)
            .field("messages", &self.messages().len())
            .finish_non_exhaustive()
    }
}

/// Waits for the first event that the reader gets to see, and returns all up to it.
async fn first_token(
    answer: &mut ChatStream,
    dialect: StreamDialect,
) -> Result<VecDeque<ChatEvent>, Error> {
    let deadline = Instant::now() + HOLD;
    let mut events = VecDeque::new();
    while let Ok(Some(event)) = timeout_at(deadline, answer.next()).await {
        let event = event?;
        let seen = dialect.shows(&event);
        events.push_back(event);
        if seen {
            break;
        }
    }
    Ok(events)
}
