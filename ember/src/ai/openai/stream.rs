//! A streamed answer: events of ours become chunks of OpenAI's.

use super::error::{ErrorBody, of_model, undeliverable};
use super::response::{Head, Hidden, WireUsage, finish_word};
use crate::base::json_text::write_json_text;
use crate::base::sse::Event;
use crate::base::tokens::Estimator;
use crate::base::{Error, ErrorKind};
use crate::llm::{ChatEvent, ChatRequest, ChatStream, Dropped, Finish, Part, Usage};
use futures_core::Stream;
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a streamed answer is held back for its first token, so that a failure before it can
/// still be a status. A model that needs longer gets its 200, and comments until it speaks.
const HOLD: Duration = Duration::from_secs(10);

/// An answer on its way to the caller.
///
/// A complete one ends in `[DONE]`. One that breaks ends in a frame with an `error`, which the
/// clients of OpenAI raise as an exception, and never in `[DONE]`.
pub(super) struct Chunks {
    /// Until the end. Dropping it closes the connection to the provider.
    answer: Option<ChatStream>,
    writer: Writer,
}

impl Chunks {
    /// Waits for the first token.
    ///
    /// # Errors
    /// What keeps the answer from beginning.
    pub(super) async fn begin(
        mut answer: ChatStream,
        mut writer: Writer,
        model: Option<&str>,
    ) -> Result<Self, Error> {
        let deadline = Instant::now() + HOLD;
        while writer.ready.is_empty() {
            match timeout_at(deadline, answer.next()).await {
                Ok(Some(event)) => {
                    writer.take(event.map_err(|error| of_model(error, model))?)?;
                }
                Ok(None) => break,
                Err(_) => {
                    writer.begin()?;
                    break;
                }
            }
        }
        Ok(Self { answer: (!writer.ended).then_some(answer), writer })
    }

    /// What the model could not be told, as far as that is known before its first token.
    pub(super) fn dropped(&self) -> &[Dropped] {
        &self.writer.dropped
    }

    /// The frame that ends a stream when the server stops.
    pub(super) fn ending() -> Event {
        let error = Error::unavailable("The server is stopping.");
        Event::json(&ErrorBody::of(&error)).unwrap_or_default()
    }

    /// Tells the caller why nothing more follows.
    fn give_up(&mut self, error: &Error) {
        tracing::warn!(%error, "a streamed answer broke");
        self.answer = None;
        self.writer.ready.extend(Event::json(&ErrorBody::of(error)).ok());
    }
}

impl Stream for Chunks {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let this = &mut *self;
        loop {
            if let Some(event) = this.writer.ready.pop_front() {
                return Poll::Ready(Some(event));
            }
            let Some(answer) = &mut this.answer else { return Poll::Ready(None) };
            match ready!(Pin::new(answer).poll_next(context)) {
                Some(event) => {
                    if let Err(error) = event
                        .map_err(|error| of_model(error, None))
                        .and_then(|event| this.writer.take(event))
                    {
                        this.give_up(&error);
                    }
                }
                None => this.answer = None,
            }
            if this.writer.ended {
                this.answer = None;
            }
        }
    }
}

/// Writes chunks.
pub(super) struct Writer {
    head: Head,
    /// What every chunk begins with, once one is written: most of what stands in it.
    beginning: String,
    hidden: Hidden,
    /// What was asked, if the caller wants to know what was used: it is counted where the provider does
    /// not say.
    asked: Option<ChatRequest>,
    /// Chunks that are written and not sent.
    ready: VecDeque<Event>,
    begun: bool,
    /// The caller has seen something of the present turn.
    told: bool,
    refused: bool,
    /// The calls by our numbers; `None` for one that runs here.
    calls: HashMap<usize, Option<Call>>,
    /// How many calls the caller has been told of.
    told_calls: usize,
    usage: Option<Usage>,
    dropped: Vec<Dropped>,
    /// What was written, of each kind, as far as the caller wants to know.
    written: Written,
    ended: bool,
}

/// A call that the caller is told.
struct Call {
    index: usize,
    has_arguments: bool,
    written: Estimator,
}

/// What the caller was told beside calls, each kind as the one text that it is in a whole answer.
#[derive(Default)]
struct Written {
    content: Estimator,
    reasoning: Estimator,
    refusal: Estimator,
}

impl Writer {
    /// The usage is told if what was asked is given.
    pub(super) fn new(head: Head, hidden: Hidden, asked: Option<ChatRequest>) -> Self {
        Self {
            head,
            beginning: String::new(),
            hidden,
            asked,
            ready: VecDeque::new(),
            begun: false,
            told: false,
            refused: false,
            calls: HashMap::new(),
            told_calls: 0,
            usage: None,
            dropped: Vec::new(),
            written: Written::default(),
            ended: false,
        }
    }

    /// Takes in an event, and writes what the caller gets to see of it.
    fn take(&mut self, event: ChatEvent) -> Result<(), Error> {
        match event {
            ChatEvent::Start { model, .. } => {
                self.head.answered_by(model.as_deref());
                self.beginning.clear();
            }
            ChatEvent::Text(text) => {
                self.count(|written| &mut written.content, &text);
                self.piece("content", &text)?;
            }
            ChatEvent::Reasoning(text) => {
                self.count(|written| &mut written.reasoning, &text);
                // As DeepSeek and vLLM have it.
                self.piece("reasoning_content", &text)?;
            }
            ChatEvent::Refusal(text) => {
                self.refused = true;
                self.count(|written| &mut written.refusal, &text);
                self.piece("refusal", &text)?;
            }
            ChatEvent::ToolCallStart { index, id, name, .. } => self.call(index, &id, &name)?,
            ChatEvent::ToolCallDelta { index, arguments } => self.arguments(index, &arguments)?,
            ChatEvent::Part(part) => self.part(part)?,
            // What the caller has seen cannot be taken back.
            ChatEvent::Reset if self.told => return Err(begun_anew()),
            ChatEvent::Reset => {
                self.refused = false;
                self.calls.clear();
            }
            ChatEvent::Usage(snapshot) => self.usage.get_or_insert_default().update(&snapshot),
            ChatEvent::StepEnd => self.told = false,
            // They come before the first token, for which the caller may have waited so long that the
            // headers are gone; those of later rounds are the same.
            ChatEvent::Dropped(dropped) => match undeliverable(&dropped) {
                Some(refusal) => return Err(refusal),
                None if !self.begun => self.dropped.push(dropped),
                None => {}
            },
            ChatEvent::Finish(finish) => self.finish(&finish)?,
            _ => {}
        }
        Ok(())
    }

    /// Counts a piece that is written, if anybody wants to know.
    fn count(&mut self, kind: fn(&mut Written) -> &mut Estimator, piece: &str) {
        if self.asked.is_some() {
            kind(&mut self.written).push(piece);
        }
    }

    /// The first chunk, which says who speaks.
    fn begin(&mut self) -> Result<(), Error> {
        if !self.begun {
            self.begun = true;
            let delta = Delta { role: Some("assistant"), content: Some(""), ..Delta::default() };
            self.chunk(&[Choice { index: 0, delta, finish_reason: None }], None)?;
        }
        Ok(())
    }

    /// A piece of a text, which is what nearly every chunk holds.
    fn piece(&mut self, member: &str, text: &str) -> Result<(), Error> {
        if text.is_empty() {
            return Ok(());
        }
        self.begin()?;
        self.told = true;
        let mut chunk = self.open();
        for part in [r#"[{"index":0,"delta":{""#, member, r#"":"#] {
            chunk.push_str(part);
        }
        write_json_text(text, &mut chunk);
        chunk.push_str(r#"},"finish_reason":null}]"#);
        self.send(chunk, None);
        Ok(())
    }

    fn delta(&mut self, delta: Delta<'_>) -> Result<(), Error> {
        self.begin()?;
        self.told = true;
        self.chunk(&[Choice { index: 0, delta, finish_reason: None }], None)
    }

    /// A call begins.
    fn call(&mut self, number: usize, id: &str, name: &str) -> Result<(), Error> {
        if let Some(Some(_)) = self.calls.get(&number) {
            return Err(begun_anew());
        }
        if self.hidden.contains(name) {
            self.calls.insert(number, None);
            return Ok(());
        }
        let index = self.told_calls;
        self.told_calls += 1;
        self.calls.insert(
            number,
            Some(Call { index, has_arguments: false, written: Estimator::default() }),
        );
        let function = FunctionDelta { name: Some(name), arguments: "" };
        let call = CallDelta { index, id: Some(id), r#type: Some("function"), function };
        self.delta(Delta { tool_calls: Some([call]), ..Delta::default() })
    }

    fn arguments(&mut self, number: usize, arguments: &str) -> Result<(), Error> {
        let Some(Some(call)) = self.calls.get_mut(&number) else { return Ok(()) };
        if arguments.is_empty() {
            return Ok(());
        }
        if self.asked.is_some() {
            call.written.push(arguments);
        }
        call.has_arguments |= !arguments.trim().is_empty();
        let function = FunctionDelta { name: None, arguments };
        let call = CallDelta { index: call.index, id: None, r#type: None, function };
        self.delta(Delta { tool_calls: Some([call]), ..Delta::default() })
    }

    /// A part that arrives whole.
    fn part(&mut self, part: Part) -> Result<(), Error> {
        match part {
            Part::Text(text) => self.take(ChatEvent::Text(text.text)),
            Part::Reasoning(reasoning) => self.take(ChatEvent::Reasoning(reasoning.text)),
            Part::Refusal(text) => self.take(ChatEvent::Refusal(text)),
            Part::ToolCall(call) => {
                // It has no number of its own; those that are given count from 0.
                let number = usize::MAX - self.calls.len();
                self.call(number, &call.id, &call.name)?;
                self.arguments(number, &call.arguments)
            }
            _ => Ok(()),
        }
    }

    /// The answer is over.
    fn finish(&mut self, finish: &Finish) -> Result<(), Error> {
        let word = finish_word(finish, self.told_calls > 0, self.refused)?;
        self.begin()?;
        // Clients parse the arguments, and an empty text is no JSON.
        let bare = self.calls.iter().filter(|_| finish.reason.is_whole());
        let bare = bare.filter(|(_, call)| call.as_ref().is_some_and(|call| !call.has_arguments));
        let mut bare: Vec<_> = bare.map(|(number, _)| *number).collect();
        bare.sort_unstable();
        for number in bare {
            self.arguments(number, "{}")?;
        }
        let choice = Choice { index: 0, delta: Delta::default(), finish_reason: Some(word) };
        self.chunk(&[choice], None)?;
        if let Some(asked) = &self.asked {
            let estimated = || {
                let Written { content, reasoning, refusal } = &self.written;
                let calls = self.calls.values().flatten().map(|call| &call.written);
                let tokens = calls.chain([content, reasoning, refusal]).map(Estimator::tokens);
                WireUsage::estimated(asked.estimate_tokens(), tokens.fold(0, u64::saturating_add))
            };
            let usage = self.usage.as_ref().map_or_else(estimated, WireUsage::of);
            self.chunk(&[], Some(usage))?;
        }
        self.ready.push_back(Event::data("[DONE]"));
        self.ended = true;
        Ok(())
    }

    fn chunk(&mut self, choices: &[Choice<'_>], usage: Option<WireUsage>) -> Result<(), Error> {
        let mut chunk = self.open();
        chunk.push_str(&serde_json::to_string(choices)?);
        self.send(chunk, usage);
        Ok(())
    }

    /// Begins a `chat.completion.chunk` of OpenAI's API reference, up to its choices. That is the same for all of
    /// an answer.
    fn open(&mut self) -> String {
        if self.beginning.is_empty() {
            self.beginning = self.head.begin("chat.completion.chunk", 0);
        }
        let mut chunk = String::with_capacity(self.beginning.len() + CHOICE_LENGTH);
        chunk.push_str(&self.beginning);
        chunk
    }

    /// Ends a chunk behind its choices. The usage is in the last one, if it was asked for, and `null` in all
    /// others.
    fn send(&mut self, mut chunk: String, usage: Option<WireUsage>) {
        if self.asked.is_some() {
            chunk.push_str(r#","usage":"#);
            match usage {
                Some(usage) => usage.write(&mut chunk),
                None => chunk.push_str("null"),
            }
        }
        chunk.push('}');
        self.ready.push_back(Event::data(chunk));
    }
}

fn begun_anew() -> Error {
    Error::new(ErrorKind::BadGateway, "The model began its answer anew in the middle of it.")
}

/// How many bytes a choice with a piece of text mostly has, and a little more.
const CHOICE_LENGTH: usize = 128;

#[derive(Serialize)]
struct Choice<'a> {
    index: u64,
    delta: Delta<'a>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallDelta<'a>; 1]>,
}

#[derive(Serialize)]
struct CallDelta<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    function: FunctionDelta<'a>,
}

#[derive(Serialize)]
struct FunctionDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}
