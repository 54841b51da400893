use super::chat::{Cached, ChatResponse, Dropped, Finish, mark_truncated, refused};
use super::error::{Error, ErrorKind};
use super::message::{Message, Part, Reasoning, Role, Signature, ToolCall, ToolResult};
use super::usage::Usage;
use futures_core::Stream;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// One step of an answer that arrives bit by bit.
///
/// Text, reasoning and refusals arrive as pieces; pieces of one kind that follow each other
/// belong to one part, until [`PartEnd`](ChatEvent::PartEnd) closes it.
#[doc(alias = "LLMStreamChunk")]
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ChatEvent {
    /// The provider has begun to answer. It may come again, with what holds from then on.
    Start {
        /// Its id of the answer.
        id: Option<String>,
        /// The model, in its words.
        model: Option<String>,
    },
    /// The answer is an earlier one that was kept; no model is asked.
    Cached(Cached),
    /// A piece of text.
    Text(String),
    /// A piece of reasoning.
    Reasoning(String),
    /// A piece of a refusal.
    Refusal(String),
    /// Where the open part of text was taken from, as the provider tells it.
    Citation(Value),
    /// The open part ends.
    PartEnd {
        /// The provider's mark on it.
        signature: Option<Signature>,
    },
    /// A call begins; one that has begun before under its index is void.
    ToolCallStart {
        /// Which call of the answer.
        index: usize,
        /// What the result will refer to.
        id: String,
        /// Which tool.
        name: String,
        /// The provider's mark on the call.
        signature: Option<Signature>,
    },
    /// A piece of a call's arguments.
    ToolCallDelta {
        /// Which call of the answer.
        index: usize,
        /// The piece, which is no JSON by itself.
        arguments: String,
    },
    /// A part that arrives whole.
    Part(Part),
    /// What this turn has told so far is void: the provider has begun it anew.
    Reset,
    /// The tokens that this answer has used so far: a snapshot, not a difference.
    Usage(Usage),
    /// What the provider could not be told.
    Dropped(Dropped),
    /// A turn has ended in calls, and this one, which is complete, is being carried out. Its result follows.
    ToolRun(ToolCall),
    /// A tool has answered. The model goes on with that.
    ToolResult(ToolResult),
    /// A turn has ended in calls, whose results have been told; another turn begins.
    StepEnd,
    /// The answer has ended. Nothing follows.
    Finish(Finish),
}

/// An answer that arrives bit by bit.
///
/// It ends in exactly one way: with [`ChatEvent::Finish`], or with an error. A provider that
/// stops without either has been cut off, and that is an error as well
/// ([`ErrorKind::Truncated`]). Dropping the stream closes the connection to the provider.
///
/// ```
/// # use ember::llm::{ChatEvent, Client, FakeProvider};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ember::llm::Error> {
/// let client = Client::new(FakeProvider::new().text("Hello there"));
/// let mut stream = client.stream("Hi").await?;
/// let mut text = String::new();
/// while let Some(event) = stream.next().await {
///     if let ChatEvent::Text(piece) = event? {
///         text += &piece;
///     }
/// }
/// assert_eq!(text, "Hello there");
/// # Ok(()) }
/// ```
pub struct ChatStream {
    state: State,
    /// Events that come before the others.
    held: VecDeque<ChatEvent>,
    /// Until the end, and dropped behind the events.
    watches: Vec<Box<dyn Watch>>,
}

enum State {
    /// Which stream this is, is not decided yet.
    Opening(Pin<Box<dyn Future<Output = Result<Opened, Error>> + Send>>),
    Open(Events),
    Ended,
}

type Events = Pin<Box<dyn Stream<Item = Result<ChatEvent, Error>> + Send>>;

/// A stream, and the events that were read of it already.
type Opened = (VecDeque<ChatEvent>, ChatStream);

/// Looks at what a stream tells, as it passes.
///
/// A stream around the stream could do the same, but would be asked, and would hand on, once more for each
/// event and each wait.
pub(in crate::llm) trait Watch: Send {
    /// Something passes: an event, or the error that ends the stream.
    fn look(&mut self, item: &Result<ChatEvent, Error>);
}

impl ChatStream {
    /// Wraps a stream of events, and sees to it that it ends in exactly one way.
    pub fn new(events: impl Stream<Item = Result<ChatEvent, Error>> + Send + 'static) -> Self {
        Self::of(State::Open(Box::pin(events)))
    }

    /// A stream that is decided upon as soon as somebody reads it: what was read already, and then the other,
    /// in whose place it stands from then on.
    pub(in crate::llm) fn opening(
        opening: impl Future<Output = Result<Opened, Error>> + Send + 'static,
    ) -> Self {
        Self::of(State::Opening(Box::pin(opening)))
    }

    fn of(state: State) -> Self {
        Self { state, held: VecDeque::new(), watches: Vec::new() }
    }

    /// Lets somebody look at all that passes from here on, behind those who do already. It is dropped at
    /// the end, or with the stream.
    pub(in crate::llm) fn watched(mut self, watch: impl Watch + 'static) -> Self {
        // One that was read to its end already is cut off for whoever expects an answer.
        if let State::Ended = self.state {
            self.state = State::Open(Box::pin(stream::empty()));
        }
        self.watches.push(Box::new(watch));
        self
    }

    /// Waits for the next event; `None` after the end.
    ///
    /// # Cancel safety
    /// No event is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Result<ChatEvent, Error>> {
        StreamExt::next(self).await
    }

    /// Waits for the end, and puts the answer together.
    ///
    /// # Errors
    /// When the stream ends in one.
    pub async fn collect(mut self) -> Result<ChatResponse, Error> {
        let mut accumulator = Accumulator::new();
        while let Some(event) = self.next().await {
            accumulator.push(&event?);
        }
        accumulator.finish()
    }

    fn opened(&mut self, outcome: Result<Opened, Error>) {
        self.state = match outcome {
            Ok((held, stream)) => {
                self.held = held;
                match stream {
                    Self { state: State::Open(events), held, watches }
                        if held.is_empty() && watches.is_empty() =>
                    {
                        State::Open(events)
                    }
                    stream => State::Open(Box::pin(stream)),
                }
            }
            Err(error) => State::Open(Box::pin(stream::iter([Err(error)]))),
        };
    }

    fn close(&mut self) {
        self.state = State::Ended;
        self.held.clear();
        self.watches.clear();
    }

    /// The pieces of text alone.
    pub fn into_text(self) -> TextStream {
        TextStream { events: self, refusal: None, told: false }
    }
}

impl Stream for ChatStream {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let State::Opening(opening) = &mut this.state {
            let outcome = ready!(opening.as_mut().poll(context));
            this.opened(outcome);
        }
        // An item has some hundred bytes; it lies where it is returned from here on.
        let mut polled = match &mut this.state {
            State::Open(events) => match this.held.pop_front() {
                Some(event) => Poll::Ready(Some(Ok(event))),
                None => events.as_mut().poll_next(context),
            },
            State::Opening(_) | State::Ended => Poll::Ready(None),
        };
        if matches!((&polled, &this.state), (Poll::Ready(None), State::Open(_))) {
            polled = Poll::Ready(Some(Err(truncated())));
        }
        if let Poll::Ready(Some(item)) = &polled {
            this.watches.iter_mut().for_each(|watch| watch.look(item));
            if let Ok(ChatEvent::Finish(_)) | Err(_) = item {
                // Nothing follows, and nothing keeps the connection.
                this.close();
            }
        }
        polled
    }
}

impl From<ChatResponse> for ChatStream {
    /// An answer that is whole, as a stream.
    fn from(response: ChatResponse) -> Self {
        Self::new(stream::iter(events_of(response).into_iter().map(Ok)))
    }
}

impl ChatResponse {
    /// The answer as a stream, for providers that only know whole answers.
    pub fn into_stream(self) -> ChatStream {
        self.into()
    }
}

impl fmt::Debug for ChatStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatStream").field("ended", &matches!(self.state, State::Ended)).finish()
    }
}

/// The pieces of text of an answer.
///
/// After the last piece of a complete answer comes the end. An answer that breaks, is cut, is
/// withheld or is a refusal ends in an error, as [`ChatResponse::into_text`] tells it.
#[derive(Debug)]
pub struct TextStream {
    events: ChatStream,
    refusal: Option<String>,
    /// Whether this turn has told any text.
    told: bool,
}

impl TextStream {
    /// Waits for the next piece; `None` after the end.
    ///
    /// # Cancel safety
    /// No piece is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Result<String, Error>> {
        StreamExt::next(self).await
    }

    /// Tells whether the answer that has ended so is a text.
    fn check(&self, finish: &Finish) -> Result<(), Error> {
        finish.check(self.refusal.is_some())?;
        match &self.refusal {
            Some(refusal) => Err(refused(refusal)),
            None => Ok(()),
        }
    }
}

impl Stream for TextStream {
    type Item = Result<String, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(self.events.poll_next_unpin(context)) {
                Some(Ok(ChatEvent::Text(text))) => {
                    self.told = true;
                    return Poll::Ready(Some(Ok(text)));
                }
                // Text that has been handed out cannot be taken back.
                Some(Ok(ChatEvent::Reset)) if self.told => {
                    self.events.close();
                    return Poll::Ready(Some(Err(begun_anew())));
                }
                Some(Ok(ChatEvent::Reset)) => self.refusal = None,
                Some(Ok(ChatEvent::Refusal(piece))) => {
                    self.refusal.get_or_insert_default().push_str(&piece);
                }
                // What was refused in a turn before the last is not the answer.
                Some(Ok(ChatEvent::StepEnd)) => {
                    self.refusal = None;
                    self.told = false;
                }
                Some(Ok(ChatEvent::Part(Part::Refusal(text)))) => self.refusal = Some(text),
                Some(Ok(ChatEvent::Finish(finish))) => {
                    return Poll::Ready(self.check(&finish).err().map(Err));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

/// Puts an answer together from its events: folding a stream gives what the unary call gives.
#[derive(Debug, Default)]
pub struct Accumulator {
    id: Option<String>,
    model: Option<String>,
    content: Vec<Part>,
    /// Whether the last part may still grow.
    open: bool,
    /// Where the calls of this turn stand in the content.
    calls: Vec<(usize, usize)>,
    results: Vec<ToolResult>,
    steps: Vec<Message>,
    usage: Option<Usage>,
    dropped: Vec<Dropped>,
    cached: Option<Cached>,
    /// Whether a model was asked for a turn before this one.
    asked: bool,
    finish: Option<Finish>,
}

impl Accumulator {
    /// An accumulator that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next event.
    pub fn push(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::Start { id, model } => {
                self.id = id.clone().or(self.id.take());
                self.model = model.clone().or(self.model.take());
            }
            ChatEvent::Text(piece) => match self.open_part() {
                Some(Part::Text(text)) => text.text.push_str(piece),
                _ => self.grow(Part::text(piece.as_str())),
            },
            ChatEvent::Reasoning(piece) => match self.open_part() {
                Some(Part::Reasoning(reasoning)) => reasoning.text.push_str(piece),
                _ => self.grow(Part::Reasoning(Reasoning::new(piece.as_str()))),
            },
            ChatEvent::Refusal(piece) => match self.open_part() {
                Some(Part::Refusal(text)) => text.push_str(piece),
                _ => self.grow(Part::Refusal(piece.clone())),
            },
            ChatEvent::Citation(citation) => {
                if let Some(Part::Text(text)) = self.open_part() {
                    text.citations.push(citation.clone());
                }
            }
            ChatEvent::PartEnd { signature } => {
                match self.open_part() {
                    Some(Part::Text(text)) => {
                        text.signature = signature.clone().or(text.signature.take())
                    }
                    Some(Part::Reasoning(reasoning)) => {
                        reasoning.signature = signature.clone().or(reasoning.signature.take());
                    }
                    _ => {}
                }
                self.open = false;
            }
            ChatEvent::ToolCallStart { index, id, name, signature } => {
                let mut call = ToolCall::new(id.as_str(), name.as_str(), "");
                call.signature.clone_from(signature);
                let call = Part::ToolCall(call);
                match self.calls.iter().find(|(known, _)| known == index) {
                    Some((_, place)) => self.content[*place] = call,
                    None => {
                        self.calls.push((*index, self.content.len()));
                        self.whole(call);
                    }
                }
            }
            ChatEvent::Reset => {
                self.content.clear();
                self.calls.clear();
                self.open = false;
            }
            ChatEvent::ToolCallDelta { index, arguments } => {
                let place = self
                    .calls
                    .iter()
                    .rev()
                    .find(|(known, _)| known == index)
                    .map(|(_, place)| *place);
                if let Some(Part::ToolCall(call)) =
                    place.and_then(|place| self.content.get_mut(place))
                {
                    call.arguments.push_str(arguments);
                }
            }
            ChatEvent::Part(part) => self.whole(part.clone()),
            ChatEvent::Usage(snapshot) => self.usage.get_or_insert_default().update(snapshot),
            ChatEvent::Dropped(dropped) => self.dropped.push(dropped.clone()),
            // The call is known by its pieces.
            ChatEvent::ToolRun(_) => {}
            ChatEvent::ToolResult(result) => self.results.push(result.clone()),
            ChatEvent::StepEnd => self.end_step(),
            ChatEvent::Cached(cached) => self.cached = Some(*cached),
            ChatEvent::Finish(finish) => self.finish = Some(finish.clone()),
        }
    }

    /// The answer, once its stream has ended.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] when no [`ChatEvent::Finish`] was among the events.
    pub fn finish(mut self) -> Result<ChatResponse, Error> {
        let finish = self.finish.take().ok_or_else(truncated)?;
        mark_truncated(&mut self.content, &finish.reason);
        Ok(ChatResponse {
            id: self.id,
            model: self.model,
            message: Message::new(Role::Assistant, self.content),
            finish,
            usage: self.usage,
            steps: self.steps,
            dropped: self.dropped,
            // A part of the answer is none.
            cached: self.cached.filter(|_| !self.asked),
        })
    }

    /// What the present turn of the model has said so far.
    pub fn content(&self) -> &[Part] {
        &self.content
    }

    /// Tells whether the answer has ended.
    pub fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// What the usage is so far.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn open_part(&mut self) -> Option<&mut Part> {
        if self.open { self.content.last_mut() } else { None }
    }

    fn grow(&mut self, part: Part) {
        self.content.push(part);
        self.open = true;
    }

    fn whole(&mut self, part: Part) {
        self.content.push(part);
        self.open = false;
    }

    fn end_step(&mut self) {
        self.steps.push(Message::new(Role::Assistant, std::mem::take(&mut self.content)));
        self.steps.push(Message::tool_results(std::mem::take(&mut self.results)));
        self.calls.clear();
        self.open = false;
        self.asked |= self.cached.take().is_none();
    }
}

fn begun_anew() -> Error {
    Error::new(ErrorKind::Truncated, "the provider began its answer anew in the middle of it")
}

fn truncated() -> Error {
    Error::new(ErrorKind::Truncated, "the answer ended before it was complete")
}

/// Turns an answer that is whole into the events that would have brought it.
fn events_of(response: ChatResponse) -> Vec<ChatEvent> {
    let mut events = vec![ChatEvent::Start { id: response.id, model: response.model }];
    events.extend(response.cached.map(ChatEvent::Cached));
    events.extend(response.dropped.into_iter().map(ChatEvent::Dropped));
    for (index, part) in response.message.content.iter().cloned().enumerate() {
        match part {
            Part::Text(text) => {
                events.push(ChatEvent::Text(text.text));
                events.extend(text.citations.into_iter().map(ChatEvent::Citation));
                events.push(ChatEvent::PartEnd { signature: text.signature });
            }
            Part::Reasoning(reasoning) => {
                events.push(ChatEvent::Reasoning(reasoning.text));
                events.push(ChatEvent::PartEnd { signature: reasoning.signature });
            }
            Part::Refusal(text) => {
                events.push(ChatEvent::Refusal(text));
                events.push(ChatEvent::PartEnd { signature: None });
            }
            Part::ToolCall(ToolCall { id, name, arguments, signature, .. }) => {
                events.push(ChatEvent::ToolCallStart { index, id, name, signature });
                events.push(ChatEvent::ToolCallDelta { index, arguments });
            }
            part => events.push(ChatEvent::Part(part)),
        }
    }
    events.extend(response.usage.map(ChatEvent::Usage));
    events.push(ChatEvent::Finish(response.finish));
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::chat::FinishReason;
    use crate::llm::message::{Opaque, Text};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    fn text(piece: &str) -> Result<ChatEvent, Error> {
        Ok(ChatEvent::Text(piece.to_owned()))
    }

    fn finish(reason: FinishReason) -> Result<ChatEvent, Error> {
        Ok(ChatEvent::Finish(reason.into()))
    }

    async fn all(events: Vec<Result<ChatEvent, Error>>) -> Vec<Result<ChatEvent, ErrorKind>> {
        let stream = ChatStream::new(stream::iter(events));
        stream.map(|item| item.map_err(|error| error.kind())).collect().await
    }

    #[tokio::test]
    async fn a_stream_ends_in_exactly_one_way() {
        let stop = ChatEvent::Finish(FinishReason::Stop.into());
        assert_eq!(all(vec![finish(FinishReason::Stop), text("late")]).await, [Ok(stop)]);
        let cut = all(vec![text("a")]).await;
        assert_eq!(cut, [Ok(ChatEvent::Text("a".into())), Err(ErrorKind::Truncated)]);
        let broken =
            vec![Err(Error::new(ErrorKind::Transport, "reset")), finish(FinishReason::Stop)];
        assert_eq!(all(broken).await, [Err(ErrorKind::Transport)]);
    }

    /// Counts what passes.
    struct Count(Arc<AtomicUsize>);

    impl Watch for Count {
        fn look(&mut self, _: &Result<ChatEvent, Error>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[tokio::test]
    async fn whoever_looks_sees_each_event_once() {
        let counts = [(); 4].map(|()| Arc::new(AtomicUsize::new(0)));
        let [of_inner, of_outer, of_failed, of_ended] = counts.clone().map(Count);
        let events = vec![text("a"), text("b"), finish(FinishReason::Stop)];
        let mut inner = ChatStream::new(stream::iter(events)).watched(of_inner);
        let opening = async move {
            let first = inner.next().await.transpose()?;
            Ok((first.into_iter().collect(), inner))
        };
        let outer = ChatStream::opening(opening).watched(of_outer);
        assert_eq!(outer.collect().await.unwrap().text(), "ab");
        let fails = async { Err(Error::new(ErrorKind::Transport, "reset")) };
        let failed = ChatStream::opening(fails).watched(of_failed).collect().await;
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Transport);
        let mut ended = ChatStream::new(stream::iter([finish(FinishReason::Stop)]));
        assert!(ended.next().await.is_some() && ended.next().await.is_none());
        let ended = ended.watched(of_ended).collect().await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Truncated);
        assert_eq!(counts.map(|count| count.load(Relaxed)), [3, 3, 1, 1]);
    }

    #[tokio::test]
    async fn pieces_of_a_kind_make_one_part() {
        let signature = Some(Signature::new("x", "s"));
        let events = vec![
            Ok(ChatEvent::Reasoning("h".into())),
            Ok(ChatEvent::Reasoning("m".into())),
            Ok(ChatEvent::PartEnd { signature: signature.clone() }),
            text("a"),
            text("b"),
            Ok(ChatEvent::PartEnd { signature: None }),
            text("c"),
            Ok(ChatEvent::ToolCallStart {
                index: 0,
                id: "1".into(),
                name: "f".into(),
                signature: None,
            }),
            Ok(ChatEvent::ToolCallStart {
                index: 1,
                id: "2".into(),
                name: "g".into(),
                signature: None,
            }),
            Ok(ChatEvent::ToolCallDelta { index: 0, arguments: "{\"a\"".into() }),
            Ok(ChatEvent::ToolCallDelta { index: 1, arguments: "{}".into() }),
            Ok(ChatEvent::ToolCallDelta { index: 0, arguments: ":1}".into() }),
            finish(FinishReason::ToolCalls),
        ];
        let response = ChatStream::new(stream::iter(events)).collect().await.unwrap();
        assert_eq!(
            response.message.content,
            [
                Part::Reasoning(Reasoning { text: "hm".into(), signature }),
                Part::text("ab"),
                Part::text("c"),
                Part::ToolCall(ToolCall::new("1", "f", "{\"a\":1}")),
                Part::ToolCall(ToolCall::new("2", "g", "{}")),
            ]
        );
    }

    #[tokio::test]
    async fn calls_of_a_cut_turn_are_truncated() {
        let events = vec![
            Ok(ChatEvent::ToolCallStart {
                index: 0,
                id: "1".into(),
                name: "f".into(),
                signature: None,
            }),
            Ok(ChatEvent::ToolCallDelta { index: 0, arguments: "{}".into() }),
            finish(FinishReason::Length),
        ];
        let response = ChatStream::new(stream::iter(events)).collect().await.unwrap();
        assert_eq!(response.message.tool_calls().count(), 1);
        assert_eq!(response.tool_calls().count(), 0);
    }

    #[tokio::test]
    async fn an_answer_survives_being_streamed() {
        let marked = Some(Signature::new("x", "s"));
        let mut cited = Text { text: "b".into(), signature: marked.clone(), ..Text::default() };
        cited.citations.push("page 7".into());
        let content = [
            Part::Reasoning(Reasoning { text: "hm".into(), signature: marked.clone() }),
            Part::text("a"),
            Part::ToolCall(ToolCall { signature: marked, ..ToolCall::new("1", "f", "{}") }),
            Part::Text(cited),
            Part::text("c"),
            Part::Refusal("No.".into()),
            Part::Opaque(Opaque::new("x", 7.into())),
        ];
        let mut response =
            ChatResponse::new(Message::new(Role::Assistant, content), FinishReason::Stop);
        response.usage = Some(Usage::new(3, 4));
        response.cached = Some(Cached::new(0.5, None));
        let events = events_of(response.clone()).into_iter().map(Ok);
        assert_eq!(ChatStream::new(stream::iter(events)).collect().await.unwrap(), response);
    }

    #[test]
    fn an_answer_of_which_a_part_was_asked_for_is_not_a_cached_one() {
        for (first, second, cached) in
            [(true, true, true), (true, false, false), (false, true, false), (false, false, false)]
        {
            let mut whole = Accumulator::new();
            let mark = || ChatEvent::Cached(Cached::new(1.0, None));
            let finish = || ChatEvent::Finish(FinishReason::Stop.into());
            for event in
                [first.then(mark), Some(ChatEvent::StepEnd), second.then(mark), Some(finish())]
            {
                event.iter().for_each(|event| whole.push(event));
            }
            assert_eq!(whole.finish().unwrap().cached.is_some(), cached, "{first} {second}");
        }
    }
}
