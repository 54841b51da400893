//! Model, tools, model: until there is an answer.
//!
//! One round is a turn of the model and the results of the tools that it called. The unary and
//! the streamed loop share the step from one round to the next, so that they cannot differ.

use super::budget::Meter;
use super::chat::{ChatRequest, ChatResponse, FinishReason, ToolChoice};
use super::error::Error;
use super::message::{Message, ToolCall, ToolResult};
use super::observe::Observer;
use super::provider::BoxProvider;
use super::stream::{Accumulator, ChatEvent, ChatStream};
use super::tool::{Tool, ToolContext, ToolRegistry};
use super::usage::Usage;
use futures_core::Stream;
use futures_util::future::join_all;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A request on its way, with everything that it needs.
pub(super) struct Call {
    pub(super) provider: BoxProvider,
    pub(super) observer: Observer,
    pub(super) request: Arc<ChatRequest>,
    /// What the tools can reach.
    pub(super) context: ToolContext,
    pub(super) meter: Meter,
    /// How many turns the model may take.
    pub(super) max_turns: usize,
}

/// Answers all at once.
pub(super) async fn complete(call: Call) -> Result<ChatResponse, Error> {
    let (provider, mut rounds) = Rounds::new(call)?;
    loop {
        rounds.meter.round(&rounds.request)?;
        let answer = rounds.observer.chat(&provider, &rounds.request).await;
        let mut response = answer.inspect_err(|error| rounds.meter.failed(error))?;
        rounds.meter.response(&response)?;
        response.usage = rounds.count(response.usage);
        rounds.asked |= response.cached.is_none();
        match rounds.next_step(&mut response) {
            Step::Over => {
                // A provider that runs tools itself has steps of its own.
                rounds.steps.append(&mut response.steps);
                response.steps = rounds.steps;
                // A part of the answer is none.
                response.cached = response.cached.filter(|_| !rounds.asked);
                return Ok(response);
            }
            Step::Run(calls) => {
                // On the heap, as most answers call nothing, and would have room for it all the same.
                let results = Box::pin(run(&rounds.observer, &rounds.tools, &calls)).await;
                rounds.steps.append(&mut response.steps);
                rounds.go_on(response.message, results);
            }
        }
    }
}

/// Answers bit by bit: one stream, however many rounds it takes.
pub(super) async fn stream(call: Call) -> Result<ChatStream, Error> {
    if !call.observer.hears_streams() {
        return open(call).await;
    }
    let (observer, request) = (call.observer.clone(), call.request.clone());
    Box::pin(observer.stream(request, open(call))).await
}

async fn open(call: Call) -> Result<ChatStream, Error> {
    if !call.meter.is_on() && !call.request.tools.iter().any(Tool::runs_here) {
        // There will be one round: the provider's stream is the whole.
        return call.observer.open(&call.provider, &call.request).await;
    }
    let (provider, mut rounds) = Rounds::new(call)?;
    rounds.meter.round(&rounds.request)?;
    let answer = rounds.observer.open(&provider, &rounds.request).await;
    let first = answer.inspect_err(|error| rounds.meter.failed(error))?;
    Ok(ChatStream::new(LoopStream {
        provider,
        state: State::Reading(first, Box::default()),
        rounds,
        ready: VecDeque::new(),
        first_index: 0,
        next_index: 0,
    }))
}

/// What has happened so far.
struct Rounds {
    /// Shared with the call that is under way, and changed only between calls.
    request: Arc<ChatRequest>,
    observer: Observer,
    tools: ToolRegistry,
    meter: Meter,
    max_turns: usize,
    rounds: usize,
    steps: Vec<Message>,
    usage: Option<Usage>,
    /// Whether a model was asked for any of it.
    asked: bool,
}

enum Step {
    Over,
    Run(Vec<ToolCall>),
}

impl Rounds {
    fn new(call: Call) -> Result<(BoxProvider, Self), Error> {
        let Call { provider, observer, request, context, meter, max_turns } = call;
        let tools = ToolRegistry::of(request.tools.iter().cloned())?.context(context);
        let rounds = Self {
            request,
            observer,
            tools,
            meter,
            max_turns,
            rounds: 0,
            steps: Vec::new(),
            usage: None,
            asked: false,
        };
        Ok((provider, rounds))
    }

    /// Adds the usage of a turn to that of the turns before.
    fn count(&mut self, usage: Option<Usage>) -> Option<Usage> {
        self.usage = match (self.usage, usage) {
            (Some(before), Some(turn)) => Some(before + turn),
            (before, turn) => before.or(turn),
        };
        self.usage
    }

    /// Decides what follows on a turn. Calls of tools that run elsewhere go back to whoever asked.
    fn next_step(&self, response: &mut ChatResponse) -> Step {
        let calls: Vec<_> = response.tool_calls().cloned().collect();
        let elsewhere =
            |call: &ToolCall| self.tools.get(&call.name).is_some_and(|tool| !tool.runs_here());
        // Where nothing runs here, a call of any name is for whoever asked, who knows more of it.
        let nothing_runs = !self.tools.iter().any(Tool::runs_here);
        if calls.is_empty() || nothing_runs || calls.iter().any(elsewhere) {
            return Step::Over;
        }
        if self.rounds + 1 >= self.max_turns {
            response.finish.reason = FinishReason::ToolLimit;
            return Step::Over;
        }
        Step::Run(calls)
    }

    /// Puts a turn and its results into the conversation.
    fn go_on(&mut self, turn: Message, results: Vec<ToolResult>) {
        self.rounds += 1;
        let messages = [turn, Message::tool_results(results)];
        self.steps.extend(messages.iter().cloned());
        let request = Arc::make_mut(&mut self.request);
        request.messages.extend(messages);
        // The tool that had to be called has been; a model that had to call it again would never
        // come to an answer.
        if request.tool_choice != ToolChoice::None {
            request.tool_choice = ToolChoice::Auto;
        }
    }
}

/// Runs the calls of one turn at the same time; the results are in the order of the calls.
async fn run(observer: &Observer, tools: &ToolRegistry, calls: &[ToolCall]) -> Vec<ToolResult> {
    let admitted = calls.iter().map(|call| (call, tools.admit(call)));
    join_all(admitted.map(|(call, admission)| observer.execute(tools, call, admission))).await
}

struct LoopStream {
    provider: BoxProvider,
    state: State,
    rounds: Rounds,
    ready: VecDeque<ChatEvent>,
    /// What is added to the provider's number of a call, so that the numbers of all rounds differ.
    first_index: usize,
    next_index: usize,
}

enum State {
    Reading(ChatStream, Box<Accumulator>),
    Running(Pin<Box<dyn Future<Output = (Message, Vec<ToolResult>)> + Send>>),
    Opening(Pin<Box<dyn Future<Output = Result<ChatStream, Error>> + Send>>),
    /// A budget is used up; the connection to the provider is closed, and the reader is told.
    Stopped(Error),
    Over,
}

impl Stream for LoopStream {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(event) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            match &mut this.state {
                State::Reading(stream, accumulator) => {
                    let Some(item) = ready!(Pin::new(stream).poll_next(context)) else {
                        return Poll::Ready(None);
                    };
                    let event = item.inspect_err(|error| this.rounds.meter.failed(error))?;
                    let allowed = this.rounds.meter.event(&event);
                    accumulator.push(&event);
                    match (event, allowed) {
                        (ChatEvent::Finish(_), Ok(())) => this.end_turn()?,
                        (ChatEvent::Finish(_), Err(error)) => {
                            this.state = State::Over;
                            return Poll::Ready(Some(Err(error)));
                        }
                        (event, allowed) => {
                            let event = this.renumbered(event);
                            // What has arrived is paid for.
                            if let Err(error) = allowed {
                                this.state = State::Stopped(error);
                            }
                            return Poll::Ready(Some(Ok(event)));
                        }
                    }
                }
                State::Running(work) => {
                    let (turn, results) = ready!(work.as_mut().poll(context));
                    this.ready.extend(results.iter().cloned().map(ChatEvent::ToolResult));
                    this.ready.push_back(ChatEvent::StepEnd);
                    this.rounds.go_on(turn, results);
                    this.first_index = this.next_index;
                    if let Err(error) = this.rounds.meter.round(&this.rounds.request) {
                        this.state = State::Stopped(error);
                        continue;
                    }
                    let (provider, request) = (this.provider.clone(), this.rounds.request.clone());
                    let observer = this.rounds.observer.clone();
                    this.state = State::Opening(Box::pin(async move {
                        observer.open(&provider, &request).await
                    }));
                }
                State::Opening(work) => {
                    let answer = ready!(work.as_mut().poll(context));
                    let stream = answer.inspect_err(|error| this.rounds.meter.failed(error))?;
                    this.state = State::Reading(stream, Box::default());
                }
                State::Stopped(_) => {
                    let State::Stopped(error) = std::mem::replace(&mut this.state, State::Over)
                    else {
                        return Poll::Ready(None);
                    };
                    return Poll::Ready(Some(Err(error)));
                }
                State::Over => return Poll::Ready(None),
            }
        }
    }
}

impl LoopStream {
    /// A turn of the model is complete: either the answer is, or tools run.
    fn end_turn(&mut self) -> Result<(), Error> {
        let State::Reading(_, accumulator) = std::mem::replace(&mut self.state, State::Over) else {
            return Ok(());
        };
        let mut response = accumulator.finish()?;
        self.rounds.count(response.usage);
        match self.rounds.next_step(&mut response) {
            Step::Over => self.ready.push_back(ChatEvent::Finish(response.finish)),
            Step::Run(calls) => {
                self.ready.extend(calls.iter().cloned().map(ChatEvent::ToolRun));
                let (observer, tools) = (self.rounds.observer.clone(), self.rounds.tools.clone());
                self.state = State::Running(Box::pin(async move {
                    let results = run(&observer, &tools, &calls).await;
                    (response.message, results)
                }));
            }
        }
        Ok(())
    }

    /// The event as it stands in the whole: calls of all rounds are counted through, and the
    /// usage is that of all rounds.
    fn renumbered(&mut self, event: ChatEvent) -> ChatEvent {
        match event {
            ChatEvent::ToolCallStart { index, id, name, signature } => {
                let index = self.first_index + index;
                self.next_index = self.next_index.max(index + 1);
                ChatEvent::ToolCallStart { index, id, name, signature }
            }
            ChatEvent::ToolCallDelta { index, arguments } => {
                ChatEvent::ToolCallDelta { index: self.first_index + index, arguments }
            }
            ChatEvent::Usage(usage) => ChatEvent::Usage(match self.rounds.usage {
                Some(before) => before + usage,
                None => usage,
            }),
            event => event,
        }
    }
}
