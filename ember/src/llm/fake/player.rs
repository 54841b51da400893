use super::reply::{FakeReply, Fault, Step};
use crate::base::Clock;
use crate::llm::chat::{ChatRequest, FinishReason};
use crate::llm::error::Error;
use crate::llm::message::{Message, Role};
use crate::llm::stream::ChatEvent;
use crate::llm::usage::Usage;
use std::collections::VecDeque;
use std::time::Duration;

/// A reply being played.
pub(super) struct Player {
    steps: VecDeque<Step>,
    played: usize,
    delay: Duration,
    clock: Clock,
    fault: Option<(usize, Fault)>,
}

impl Player {
    pub(super) fn new(reply: FakeReply, request: &ChatRequest) -> Self {
        let model = request.model.clone().unwrap_or_else(|| "fake".to_owned());
        let start = ChatEvent::Start { id: Some("fake-1".to_owned()), model: Some(model) };
        let input = last_question(request).split_whitespace().count();
        let usage = reply.usage.unwrap_or_else(|| Usage::new(input as u64, reply.words));
        let natural = if reply.calls > 0 { FinishReason::ToolCalls } else { FinishReason::Stop };
        let finish = reply.finish.unwrap_or(natural);
        // The start is no event that a fault counts.
        let mut known = request.messages.iter().flat_map(Message::tool_calls).count();
        let numbered = reply.steps.into_iter().map(|Step(mut event)| {
            if let ChatEvent::ToolCallStart { id, .. } = &mut event {
                known += 1;
                if id.is_empty() {
                    *id = format!("call_{known}");
                }
            }
            Step(event)
        });
        let steps: VecDeque<_> = std::iter::once(Step(start)).chain(numbered).collect();
        let steps = steps.into_iter();
        let steps =
            steps.chain([Step(ChatEvent::Usage(usage)), Step(ChatEvent::Finish(finish.into()))]);
        let fault =
            reply.fault.map(|(events, fault)| (if events == 0 { 0 } else { events + 1 }, fault));
        Self { steps: steps.collect(), played: 0, delay: reply.delay, clock: reply.clock, fault }
    }

    pub(super) fn fails_at_once(&self) -> bool {
        matches!(self.fault, Some((0, Fault::Fail(..))))
    }

    pub(super) async fn next(&mut self) -> Option<Result<ChatEvent, Error>> {
        if let Some((at, fault)) = &self.fault
            && *at == self.played
        {
            match fault {
                Fault::Cut => return None,
                Fault::Hang => std::future::pending().await,
                Fault::Fail(kind, message, hint) => {
                    let error = Error::new(*kind, message.clone()).with_provider("fake");
                    return Some(Err(match hint {
                        Some(wait) => error.with_retry_after(*wait),
                        None => error,
                    }));
                }
            }
        }
        if !self.delay.is_zero() {
            self.clock.sleep(self.delay).await;
        }
        self.played += 1;
        self.steps.pop_front().map(|Step(event)| Ok(event))
    }
}

/// The last thing that the user said.
pub(super) fn last_question(request: &ChatRequest) -> String {
    let from_user = |message: &&Message| message.role == Role::User;
    request
        .messages
        .iter()
        .rfind(from_user)
        .map(|message| message.text().into_owned())
        .unwrap_or_default()
}
