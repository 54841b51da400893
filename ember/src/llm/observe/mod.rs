//! Tells what happens in a client: to the bus, and as spans.
//!
//! The client and the tool loop call models and tools through here. Where nobody listens and no
//! span is wanted, the calls pass through as they are, and nothing is allocated.

mod content;
mod span;

use self::span::{ChatSpan, ToolSpan};
use super::chat::{ChatRequest, ChatResponse};
use super::error::Error;
use super::events::{
    CacheHit, EventBus, LifecycleEvent, RequestComplete, RequestError, RequestStart, StreamChunk,
    StreamComplete, StreamError, StreamStart, ToolComplete, ToolFailed, ToolStart,
};
use super::message::{ToolCall, ToolResult};
use super::provider::{BoxProvider, Provider};
use super::stream::{Accumulator, ChatEvent, ChatStream};
use super::tool::{Admission, ToolRegistry};
use crate::base::Env;
use futures_util::stream::unfold;
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument as _;

/// Whom to tell.
#[derive(Clone)]
pub(super) struct Observer {
    pub(super) bus: Option<EventBus>,
    /// Says whether spans may hold what was said.
    pub(super) env: Env,
}

impl Observer {
    /// Asks a model for a whole answer.
    pub(super) async fn chat(
        &self,
        provider: &BoxProvider,
        request: &Arc<ChatRequest>,
    ) -> Result<ChatResponse, Error> {
        self.emit(|| RequestStart { request: request.clone() }).await;
        let started = Instant::now();
        let span = ChatSpan::new(provider.name(), request, false, &self.env);
        let outcome = provider.chat(request).instrument(span.inner()).await;
        let request = || request.clone();
        match &outcome {
            Ok(response) => {
                span.answered(response);
                self.emit(|| RequestComplete {
                    request: request(),
                    response: Arc::new(response.clone()),
                    duration: started.elapsed(),
                })
                .await;
            }
            Err(error) => {
                span.failed(error);
                self.emit(|| RequestError {
                    request: request(),
                    error: Arc::new(error.duplicate()),
                    duration: started.elapsed(),
                })
                .await;
            }
        }
        outcome
    }

    /// Asks a model for a streamed answer: one turn of it.
    pub(super) async fn open(
        &self,
        provider: &BoxProvider,
        request: &ChatRequest,
    ) -> Result<ChatStream, Error> {
        let span = ChatSpan::new(provider.name(), request, true, &self.env);
        match provider.stream(request).instrument(span.inner()).await {
            Ok(stream) => Ok(span.around(stream)),
            Err(error) => {
                span.failed(&error);
                Err(error)
            }
        }
    }

    /// Tells that an earlier answer is given.
    pub(super) async fn cached(&self, request: &ChatRequest, response: &ChatResponse) {
        self.emit(|| CacheHit {
            request: Arc::new(request.clone()),
            response: Arc::new(response.clone()),
        })
        .await;
    }

    /// Runs a tool.
    pub(super) async fn execute(
        &self,
        tools: &ToolRegistry,
        call: &ToolCall,
        admission: Admission,
    ) -> ToolResult {
        self.emit(|| ToolStart { call: Arc::new(call.clone()) }).await;
        let started = Instant::now();
        let span = ToolSpan::new(tools, call, &self.env);
        let result = tools.execute_admitted(call, admission).instrument(span.inner()).await;
        span.answered(&result);
        let both = || (Arc::new(call.clone()), Arc::new(result.clone()));
        if result.is_error {
            self.emit(|| {
                let (call, result) = both();
                ToolFailed { call, result, duration: started.elapsed() }
            })
            .await;
        } else {
            self.emit(|| {
                let (call, result) = both();
                ToolComplete { call, result, duration: started.elapsed() }
            })
            .await;
        }
        result
    }

    /// Tells those who [hear](Observer::hears_streams) of it of a streamed answer as a whole, however many
    /// turns it takes.
    pub(super) async fn stream(
        self,
        request: Arc<ChatRequest>,
        opening: impl Future<Output = Result<ChatStream, Error>>,
    ) -> Result<ChatStream, Error> {
        self.emit(|| StreamStart { request: request.clone() }).await;
        let accumulator = self.hears::<StreamComplete>().then(Accumulator::new);
        let mut told =
            Told { observer: self, request, accumulator, chunks: 0, started: Instant::now() };
        match opening.await {
            Ok(stream) => {
                Ok(ChatStream::new(unfold((told, stream), |(mut told, mut stream)| async {
                    let item = stream.next().await?;
                    match &item {
                        Ok(event) => told.event(event).await,
                        Err(error) => told.failed(error).await,
                    }
                    Some((item, (told, stream)))
                })))
            }
            Err(error) => {
                told.failed(&error).await;
                Err(error)
            }
        }
    }

    /// Tells whether anybody wants to know of streamed answers.
    pub(super) fn hears_streams(&self) -> bool {
        self.hears::<StreamStart>()
            || self.hears::<StreamChunk>()
            || self.hears::<StreamComplete>()
            || self.hears::<StreamError>()
    }

    fn hears<E: LifecycleEvent>(&self) -> bool {
        self.bus.as_ref().is_some_and(EventBus::has::<E>)
    }

    async fn emit<E: LifecycleEvent>(&self, make: impl FnOnce() -> E) {
        if let Some(bus) = &self.bus {
            bus.emit(make).await;
        }
    }
}

/// A streamed answer that is told of.
struct Told {
    observer: Observer,
    request: Arc<ChatRequest>,
    /// Where anybody wants the whole of it.
    accumulator: Option<Accumulator>,
    chunks: usize,
    started: Instant,
}

impl Told {
    async fn event(&mut self, event: &ChatEvent) {
        if let Some(accumulator) = &mut self.accumulator {
            accumulator.push(event);
        }
        match event {
            ChatEvent::Text(text) | ChatEvent::Reasoning(text) | ChatEvent::Refusal(text) => {
                let (index, request) = (self.chunks, &self.request);
                self.chunks += 1;
                let make = || StreamChunk { request: request.clone(), text: text.clone(), index };
                self.observer.emit(make).await;
            }
            ChatEvent::Finish(_) => {
                let Some(Ok(response)) = self.accumulator.take().map(Accumulator::finish) else {
                    return;
                };
                self.observer
                    .emit(|| StreamComplete {
                        request: self.request.clone(),
                        response: Arc::new(response),
                        chunks: self.chunks,
                        duration: self.started.elapsed(),
                    })
                    .await;
            }
            _ => {}
        }
    }

    async fn failed(&mut self, error: &Error) {
        self.observer
            .emit(|| StreamError {
                request: self.request.clone(),
                error: Arc::new(error.duplicate()),
                chunks: self.chunks,
                duration: self.started.elapsed(),
            })
            .await;
    }
}
