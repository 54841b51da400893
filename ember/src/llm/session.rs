//! Conversations with a [`Client`]: what was said before is sent along, and remembered.

use super::chat::{ChatRequest, ChatResponse};
use super::client::Client;
use super::error::Error;
use super::message::{Message, Role};
use super::session_store::Turn;
use super::stream::{Accumulator, ChatEvent, ChatStream, TextStream};
use futures_core::Stream;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A conversation with a model, which remembers what was said.
///
/// Sessions of one id are one conversation, also those of other clients with the same store. A
/// session holds nothing itself but its id and its settings; clones are the same conversation.
///
/// - **A turn is remembered as a whole, or not at all:** when its answer is complete, as
///   [`Client::ask`] understands it. A failure, an answer that is cut, withheld or refused, and a
///   future or stream that is dropped leave the conversation as it was.
/// - **Turns follow one another.** A turn waits for those that began before it; a stream is a turn
///   until it ends or is dropped.
/// - **The conversation is `[system, user, answer, user, answer, …]`.** What the model and its
///   tools said to each other in between is stored, but neither shown nor sent again;
///   [`Session::history_with_tools`] shows it.
///
/// ```
/// # use ember::llm::{Client, FakeProvider, FakeReply};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ember::llm::Error> {
/// # let client = Client::new(FakeProvider::new().respond(|request| {
/// #     FakeReply::new().text(format!("{} messages", request.messages.len()))
/// # }));
/// let session = client.session("ada").system("You are helpful.");
/// session.ask("My name is Ada.").await?;
/// session.ask("What is my name?").await?;
/// assert_eq!(session.history().await?.len(), 5);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Session {
    client: Client,
    id: Arc<str>,
    system: Option<Message>,
    patience: Duration,
}

impl Client {
    /// A conversation, which begins with its first turn.
    ///
    /// Whoever knows the id of a conversation can read it: an id that comes from outside is to be
    /// joined with who has sent it.
    pub fn session(&self, id: impl Into<String>) -> Session {
        Session {
            client: self.clone(),
            id: id.into().into(),
            system: None,
            patience: Session::DEFAULT_PATIENCE,
        }
    }
}

impl Session {
    /// How long a turn waits for those before it unless it is told otherwise: 600 s.
    pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(600);

    /// Sets the instructions of the conversation, in place of those there were. They are stored
    /// with the next turn.
    #[must_use]
    pub fn system(mut self, text: impl Into<String>) -> Self {
        self.system = Some(Message::system(text));
        self
    }

    /// Sets how long a turn waits for those before it.
    #[must_use]
    pub fn patience(mut self, limit: Duration) -> Self {
        self.patience = limit;
        self
    }

    /// The id of the conversation.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Asks, returns the text of the answer, and remembers both.
    ///
    /// # Errors
    /// As [`Client::ask`]; when the store fails, or the turns before this one take too long
    /// ([`ErrorKind::Session`](super::ErrorKind::Session)). Nothing is remembered then.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection to the provider, and nothing is remembered,
    /// unless the answer was complete and on its way to the store.
    pub async fn ask(&self, request: impl Into<ChatRequest>) -> Result<String, Error> {
        self.complete(request).await?.into_text()
    }

    /// Asks, and returns the whole answer, which is remembered if it is complete.
    ///
    /// The messages of the request are what is new; a system message among them takes the place of
    /// the conversation's.
    ///
    /// # Errors
    /// Whatever keeps the model from answering, and as [`Session::ask`].
    ///
    /// # Cancel safety
    /// As [`Session::ask`].
    pub async fn complete(&self, request: impl Into<ChatRequest>) -> Result<ChatResponse, Error> {
        let mut open = self.begin().await?;
        let request = open.request(request.into());
        let response = self.client.complete(request).await?;
        if is_answer(&response) {
            open.keep(&response).await?;
        }
        Ok(response)
    }

    /// Asks, and returns the answer as it arrives. It is remembered when it is complete, before
    /// the stream tells so.
    ///
    /// # Errors
    /// Whatever keeps the answer from beginning, and as [`Session::ask`]; later failures are told
    /// in the stream, that of remembering as well.
    ///
    /// # Cancel safety
    /// As [`Session::ask`]; the same holds for dropping the stream.
    pub async fn stream(&self, request: impl Into<ChatRequest>) -> Result<ChatStream, Error> {
        let mut open = self.begin().await?;
        let request = open.request(request.into());
        let answer = self.client.stream(request).await?;
        let (accumulator, open) = (Box::default(), Box::new(open));
        Ok(ChatStream::new(Answering(State::Reading { answer, accumulator, open })))
    }

    /// As [`Session::stream`], but only the pieces of text.
    ///
    /// # Errors
    /// As [`Session::stream`]; the stream ends in an error unless the answer is complete.
    pub async fn stream_text(&self, request: impl Into<ChatRequest>) -> Result<TextStream, Error> {
        Ok(self.stream(request).await?.into_text())
    }

    /// What was said so far, the system message first; without what tools said.
    ///
    /// A turn that is under way is not waited for, and not in it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn history(&self) -> Result<Vec<Message>, Error> {
        let mut messages = self.history_with_tools().await?;
        messages.retain(is_spoken);
        Ok(messages)
    }

    /// As [`Session::history`], with the calls of tools and their results.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn history_with_tools(&self) -> Result<Vec<Message>, Error> {
        let history = self.client.session_store().load(&self.id).await;
        Ok(history.map_err(Error::of_store)?.messages)
    }

    /// Forgets what was said. The system message stays.
    ///
    /// # Errors
    /// When the store fails, or the turns before take too long.
    pub async fn clear(&self) -> Result<(), Error> {
        let mut open = self.begin().await?;
        let system = open.messages.first().filter(|first| first.role == Role::System).cloned();
        match system {
            Some(system) => open.turn.replace(vec![system]).await,
            None => open.turn.forget().await,
        }
        .map_err(Error::of_store)
    }

    /// Adds a message, as a turn of its own. A system message takes the place of the one there was.
    ///
    /// # Errors
    /// As [`Session::clear`].
    pub async fn add_message(&self, message: Message) -> Result<(), Error> {
        let mut open = self.begin().await?;
        open.add([message]);
        open.save().await
    }

    /// Waits for the turns before, and loads what was said in them.
    async fn begin(&self) -> Result<Open, Error> {
        let begun = self.client.session_store().begin(&self.id, self.patience).await;
        let (turn, messages) = begun.map_err(Error::of_store)?;
        let mut open = Open { stored: Some(messages.len()), turn, messages };
        if let Some(system) = &self.system {
            open.system(system.clone());
        }
        Ok(open)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Tells whether an answer is one: what [`Client::ask`] would return.
fn is_answer(response: &ChatResponse) -> bool {
    let refused = response.message.refusal().is_some();
    // A call that nobody has answered cannot stand in a conversation.
    let waits = response.message.tool_calls().next().is_some();
    !refused && !waits && response.finish.check(refused).is_ok()
}

/// Tells whether a message is one that people see: not a call of tools, and not a result.
fn is_spoken(message: &Message) -> bool {
    message.role != Role::Tool && message.tool_calls().next().is_none()
}

/// A conversation that a turn holds.
struct Open {
    turn: Turn,
    messages: Vec<Message>,
    /// How many of the messages are in the store as they are here; `None` when they differ.
    stored: Option<usize>,
}

impl Open {
    /// Adds what the request says, and makes it one that says everything: what was spoken before,
    /// and all that is new, the results of tools that ran elsewhere as well.
    fn request(&mut self, mut request: ChatRequest) -> ChatRequest {
        let new = std::mem::take(&mut request.messages);
        // An instruction takes the place of the one there was, at the front.
        let added = new.iter().filter(|message| message.role != Role::System).count();
        self.add(new);
        let (before, new) = self.messages.split_at(self.messages.len() - added);
        let spoken = before.iter().filter(|told| is_spoken(told));
        request.messages = spoken.chain(new).cloned().collect();
        request
    }

    fn add(&mut self, messages: impl IntoIterator<Item = Message>) {
        for message in messages {
            match message.role {
                Role::System => self.system(message),
                _ => self.messages.push(message),
            }
        }
    }

    fn system(&mut self, system: Message) {
        if self.messages.first() == Some(&system) {
            return;
        }
        if self.stored != Some(0) {
            self.stored = None;
        }
        self.messages.retain(|message| message.role != Role::System);
        self.messages.insert(0, system);
    }

    /// Remembers the turn with its answer, in one step.
    async fn keep(&mut self, response: &ChatResponse) -> Result<(), Error> {
        self.messages.extend(response.steps.iter().cloned());
        self.messages.push(response.message.clone());
        self.save().await
    }

    async fn save(&mut self) -> Result<(), Error> {
        match self.stored {
            Some(stored) => self.turn.commit(self.messages.split_off(stored)).await,
            None => self.turn.replace(std::mem::take(&mut self.messages)).await,
        }
        .map_err(Error::of_store)
    }
}

/// An answer on its way to the reader, with the conversation that it belongs to.
struct Answering(State);

enum State {
    Reading {
        answer: ChatStream,
        accumulator: Box<Accumulator>,
        open: Box<Open>,
    },
    /// The answer is complete and is being remembered; only then the reader is told.
    Saving(Pin<Box<dyn Future<Output = Result<ChatEvent, Error>> + Send>>),
    Over,
}

impl Stream for Answering {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let state = &mut self.get_mut().0;
        let item = loop {
            match state {
                State::Over => return Poll::Ready(None),
                State::Saving(save) => break ready!(save.as_mut().poll(context)),
                State::Reading { answer, accumulator, .. } => {
                    let item = ready!(Pin::new(answer).poll_next(context));
                    match item {
                        Some(Ok(event)) => {
                            accumulator.push(&event);
                            if !accumulator.is_finished() {
                                return Poll::Ready(Some(Ok(event)));
                            }
                            *state = end(std::mem::replace(state, State::Over), event);
                        }
                        Some(Err(error)) => break Err(error),
                        None => *state = State::Over,
                    }
                }
            }
        };
        // The conversation is free before the reader knows that the answer has ended.
        *state = State::Over;
        Poll::Ready(Some(item))
    }
}

/// Begins to remember an answer whose end, `event`, has come.
fn end(state: State, event: ChatEvent) -> State {
    let State::Reading { answer, accumulator, mut open } = state else { return state };
    // The stream of the model goes here: a budget need not wait for the store.
    drop(answer);
    State::Saving(Box::pin(async move {
        let response = accumulator.finish()?;
        if is_answer(&response) {
            open.keep(&response).await?;
        }
        Ok(event)
    }))
}
