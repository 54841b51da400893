//! The router as a provider: the call itself moves on.

use super::ModelRouter;
use super::billed::Billed;
use super::origins::Calls;
use super::strategy::RoutingStrategy;
use super::walk::{Attempt, Walk};
use crate::llm::chat::{ChatRequest, ChatResponse};
use crate::llm::error::Error;
use crate::llm::layer::{HELD, is_preliminary};
use crate::llm::provider::Provider;
use crate::llm::stream::{Accumulator, ChatEvent, ChatStream};
use futures_util::stream::unfold;
use std::collections::VecDeque;

impl Provider for ModelRouter {
    fn name(&self) -> &str {
        "router"
    }

    fn models(&self) -> Vec<String> {
        self.names().map(str::to_owned).collect()
    }

    async fn chat(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        let mut walk = Walk::new(self, request)?;
        loop {
            let (attempt, request) = walk.next()?;
            let mut billed = walk.billed(attempt);
            let model = walk.model(attempt);
            let folds = model.folds || self.strategy == RoutingStrategy::Fastest;
            let (provider, name) = (model.provider.clone(), model.model.clone());
            let outcome = match folds {
                true => {
                    let shared = self.shared.clone();
                    let begun = || {
                        let now = shared.clock.now();
                        let time = now.saturating_duration_since(attempt.started());
                        shared.models[attempt.place()].gauge.begun(time);
                    };
                    let note = |event: &ChatEvent| billed.event(event);
                    walk.within(attempt, folded(&provider, &request, begun, note)).await
                }
                false => walk.within(attempt, provider.chat(&request)).await,
            };
            match outcome.flatten() {
                Ok(mut response) => {
                    billed.answers();
                    if !folds {
                        walk.model(attempt).gauge.answered(walk.elapsed(attempt));
                    }
                    response.model.get_or_insert(name);
                    let mut calls = Calls::default();
                    response.tool_calls().for_each(|call| calls.add(&call.id, &call.name));
                    walk.called(attempt, &calls);
                    return Ok(response);
                }
                Err(error) => {
                    billed.failed(&error);
                    walk.failed(attempt, error).await?;
                }
            }
        }
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
        let mut walk = Walk::new(self, request)?;
        let (attempt, stream, billed) = open(&mut walk).await?;
        let (held, calls) = (VecDeque::new(), Calls::default());
        let moving = Moving { walk, attempt, stream, billed, held, begun: false, calls };
        Ok(ChatStream::new(unfold(moving, |mut moving| async {
            moving.next().await.map(|item| (item, moving))
        })))
    }
}

/// Asks for a whole answer as a stream; tells what arrives, and when it has begun.
async fn folded(
    provider: &impl Provider,
    request: &ChatRequest,
    begun: impl FnOnce(),
    mut note: impl FnMut(&ChatEvent),
) -> Result<ChatResponse, Error> {
    let mut stream = provider.stream(request).await?;
    let (mut accumulator, mut begun) = (Accumulator::new(), Some(begun));
    while let Some(event) = stream.next().await {
        let event = event?;
        note(&event);
        if !is_preliminary(&event)
            && let Some(begun) = begun.take()
        {
            begun();
        }
        accumulator.push(&event);
    }
    accumulator.finish()
}

/// Asks for a stream until a model accepts.
async fn open(walk: &mut Walk) -> Result<(Attempt, ChatStream, Billed), Error> {
    loop {
        let (attempt, request) = walk.next()?;
        let billed = walk.billed(attempt);
        let provider = walk.model(attempt).provider.clone();
        match walk.within(attempt, provider.stream(&request)).await.flatten() {
            Ok(stream) => return Ok((attempt, stream, billed)),
            Err(error) => {
                billed.failed(&error);
                walk.failed(attempt, error).await?;
            }
        }
    }
}

/// A streamed answer that can still come from another model, until something of it was seen.
struct Moving {
    walk: Walk,
    attempt: Attempt,
    stream: ChatStream,
    billed: Billed,
    /// What has arrived and tells nothing of the answer; what is seen, once it has begun.
    held: VecDeque<ChatEvent>,
    begun: bool,
    calls: Calls,
}

impl Moving {
    async fn next(&mut self) -> Option<Result<ChatEvent, Error>> {
        while !self.begun {
            if let Err(error) = self.hold().await {
                // Before whoever asked is told.
                drop(std::mem::take(&mut self.billed));
                return Some(Err(error));
            }
        }
        if let Some(event) = self.held.pop_front() {
            self.note(&event);
            return Some(Ok(event));
        }
        let item = self.stream.next().await?;
        match &item {
            Ok(event) => self.note(event),
            Err(error) => self.walk.broken(self.attempt, error).await,
        }
        Some(item)
    }

    fn note(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::ToolCallStart { id, name, .. } => self.calls.add(id, name),
            ChatEvent::Reset => self.calls = Calls::default(),
            ChatEvent::Finish(_) => self.walk.called(self.attempt, &self.calls),
            _ => {}
        }
    }

    /// Takes in the next event of an answer of which nothing was seen, or moves on to another model.
    async fn hold(&mut self) -> Result<(), Error> {
        let item = self.walk.within(self.attempt, self.stream.next()).await;
        match item.unwrap_or_else(|error| Some(Err(error))) {
            Some(Ok(event)) => {
                self.billed.event(&event);
                self.begun = !is_preliminary(&event) || self.held.len() >= HELD;
                self.held.push_back(event);
                if self.begun {
                    self.billed.answers();
                    self.name();
                    let (walk, attempt) = (&self.walk, self.attempt);
                    walk.model(attempt).gauge.begun(walk.elapsed(attempt));
                }
            }
            Some(Err(error)) => {
                self.held.clear();
                std::mem::take(&mut self.billed).failed(&error);
                self.walk.failed(self.attempt, error).await?;
                (self.attempt, self.stream, self.billed) = open(&mut self.walk).await?;
            }
            // Every stream ends in an event or an error of its own.
            None => {
                self.begun = true;
                self.billed.answers();
            }
        }
        Ok(())
    }

    /// Sees to it that the answer says who gives it.
    fn name(&mut self) {
        let said = |event: &ChatEvent| matches!(event, ChatEvent::Start { model: Some(_), .. });
        if self.held.iter().any(said) {
            return;
        }
        let ours = Some(self.walk.model(self.attempt).model.clone());
        let is_start = |event: &ChatEvent| matches!(event, ChatEvent::Start { .. });
        match self.held.iter_mut().find(|event| is_start(event)) {
            Some(ChatEvent::Start { model, .. }) => *model = ours,
            _ => self.held.push_front(ChatEvent::Start { id: None, model: ours }),
        }
    }
}
