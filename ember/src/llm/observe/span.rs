//! Spans by OpenTelemetry's conventions for generative AI (semantic-conventions-genai, "Spans").
//!
//! A span in `tracing` has a name that is known when the program is compiled; `otel.name`, `otel.kind`
//! and `otel.status_code` carry the others to an exporter, as `tracing-opentelemetry` reads them. What was said
//! is recorded only if `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` asks for it.

use super::content;
use crate::base::Env;
use crate::llm::chat::{ChatRequest, ChatResponse, FinishReason, ResponseFormat};
use crate::llm::error::Error;
use crate::llm::message::{ToolCall, ToolResult};
use crate::llm::stream::{Accumulator, ChatEvent, ChatStream};
use crate::llm::tool::ToolRegistry;
use crate::llm::usage::Usage;
use futures_core::Stream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tracing::field::Empty;
use tracing::{Span, field};

/// Providers whose name in the conventions is another than ours.
const PROVIDERS: &[(&str, &str)] =
    &[("gemini", "gcp.gemini"), ("mistral", "mistral_ai"), ("xai", "x_ai")];

/// A model at work.
pub(super) struct ChatSpan {
    span: Span,
    started: Instant,
    /// Whether it may hold what was said.
    content: bool,
}

impl ChatSpan {
    pub(super) fn new(provider: &str, request: &ChatRequest, stream: bool, env: &Env) -> Self {
        let name = PROVIDERS.iter().find(|(ours, _)| *ours == provider);
        let span = tracing::info_span!(
            target: "ember::llm",
            "chat",
            otel.name = Empty,
            otel.kind = "client",
            otel.status_code = Empty,
            error.type = Empty,
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = name.map_or(provider, |(_, name)| name),
            gen_ai.request.model = request.model.as_deref(),
            gen_ai.request.temperature = request.temperature,
            gen_ai.request.top_p = request.top_p,
            gen_ai.request.max_tokens = request.max_tokens,
            gen_ai.request.seed = request.seed,
            gen_ai.request.stop_sequences = Empty,
            gen_ai.request.stream = stream,
            gen_ai.output.type = Empty,
            gen_ai.response.id = Empty,
            gen_ai.response.model = Empty,
            gen_ai.response.finish_reasons = Empty,
            gen_ai.response.time_to_first_chunk = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            gen_ai.usage.cache_read.input_tokens = Empty,
            gen_ai.usage.cache_creation.input_tokens = Empty,
            gen_ai.usage.reasoning.output_tokens = Empty,
            gen_ai.input.messages = Empty,
            gen_ai.output.messages = Empty,
            gen_ai.system_instructions = Empty,
            gen_ai.tool.definitions = Empty,
        );
        let mut this = Self { span, started: Instant::now(), content: false };
        if !this.span.is_disabled() {
            this.content = captures(env);
            this.asked(request);
        }
        this
    }

    pub(super) fn inner(&self) -> Span {
        self.span.clone()
    }

    /// What costs something to say of the request.
    fn asked(&self, request: &ChatRequest) {
        match &request.model {
            Some(model) => self.text("otel.name", &format!("chat {model}")),
            None => self.text("otel.name", "chat"),
        }
        if !request.stop.is_empty() {
            self.span.record("gen_ai.request.stop_sequences", field::debug(&request.stop));
        }
        if request.response_format != ResponseFormat::Text {
            self.text("gen_ai.output.type", "json");
        }
        if self.content {
            self.text("gen_ai.input.messages", &content::input(&request.messages));
            self.text("gen_ai.system_instructions", &content::instructions(&request.messages));
            self.text("gen_ai.tool.definitions", &content::tools(&request.tools));
        }
    }

    pub(super) fn answered(&self, response: &ChatResponse) {
        if self.span.is_disabled() {
            return;
        }
        self.named(response.id.as_deref(), response.model.as_deref());
        self.finished(&response.finish.reason, response.usage.as_ref());
        if self.content {
            let text = content::output(&response.message, &response.finish.reason);
            self.text("gen_ai.output.messages", &text);
        }
    }

    pub(super) fn failed(&self, error: &Error) {
        if !self.span.is_disabled() {
            self.text("otel.status_code", "ERROR");
            self.span.record("error.type", field::debug(error.kind()));
        }
    }

    /// A stream whose course is recorded, if anybody wants to know.
    pub(super) fn around(self, stream: ChatStream) -> ChatStream {
        if self.span.is_disabled() {
            return stream;
        }
        let accumulator = self.content.then(Accumulator::new);
        ChatStream::new(Traced { stream, span: self, usage: None, begun: false, accumulator })
    }

    fn named(&self, id: Option<&str>, model: Option<&str>) {
        if let Some(id) = id {
            self.text("gen_ai.response.id", id);
        }
        if let Some(model) = model {
            self.text("gen_ai.response.model", model);
        }
    }

    fn finished(&self, reason: &FinishReason, usage: Option<&Usage>) {
        self.span.record("gen_ai.response.finish_reasons", field::debug([content::word(reason)]));
        let Some(usage) = usage else { return };
        // The conventions count what was cached as input, and reasoning as output.
        let totals = [
            ("gen_ai.usage.input_tokens", Some(usage.total_input())),
            ("gen_ai.usage.output_tokens", Some(usage.total_output())),
            ("gen_ai.usage.cache_read.input_tokens", usage.cache_read_tokens),
            ("gen_ai.usage.cache_creation.input_tokens", usage.cache_write_tokens),
            ("gen_ai.usage.reasoning.output_tokens", usage.reasoning_tokens),
        ];
        for (name, tokens) in totals {
            if let Some(tokens) = tokens {
                self.span.record(name, tokens);
            }
        }
    }

    fn text(&self, name: &str, text: &str) {
        self.span.record(name, text);
    }
}

/// A stream whose course is recorded.
struct Traced {
    stream: ChatStream,
    span: ChatSpan,
    usage: Option<Usage>,
    begun: bool,
    accumulator: Option<Accumulator>,
}

impl Stream for Traced {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = {
            let Self { stream, span, .. } = &mut *self;
            let _entered = span.span.enter();
            ready!(Pin::new(stream).poll_next(context))
        };
        match &item {
            Some(Ok(event)) => self.event(event),
            Some(Err(error)) => self.span.failed(error),
            None => {}
        }
        Poll::Ready(item)
    }
}

impl Traced {
    fn event(&mut self, event: &ChatEvent) {
        if let Some(accumulator) = &mut self.accumulator {
            accumulator.push(event);
        }
        match event {
            ChatEvent::Start { id, model } => self.span.named(id.as_deref(), model.as_deref()),
            ChatEvent::Usage(usage) => self.usage.get_or_insert_default().update(usage),
            ChatEvent::Dropped(_) => {}
            ChatEvent::Finish(finish) => {
                self.span.finished(&finish.reason, self.usage.as_ref());
                if let Some(Ok(response)) = self.accumulator.take().map(Accumulator::finish) {
                    let text = content::output(&response.message, &response.finish.reason);
                    self.span.text("gen_ai.output.messages", &text);
                }
            }
            _ if !self.begun => {
                self.begun = true;
                let seconds = self.span.started.elapsed().as_secs_f64();
                self.span.span.record("gen_ai.response.time_to_first_chunk", seconds);
            }
            _ => {}
        }
    }
}

/// A tool at work.
pub(super) struct ToolSpan {
    span: Span,
    content: bool,
}

impl ToolSpan {
    pub(super) fn new(tools: &ToolRegistry, call: &ToolCall, env: &Env) -> Self {
        let span = tracing::info_span!(
            target: "ember::llm",
            "execute_tool",
            otel.name = Empty,
            otel.kind = "internal",
            otel.status_code = Empty,
            error.type = Empty,
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = call.name,
            gen_ai.tool.type = "function",
            gen_ai.tool.call.id = call.id,
            gen_ai.tool.description = tools.get(&call.name).map(|tool| tool.description()),
            gen_ai.tool.call.arguments = Empty,
            gen_ai.tool.call.result = Empty,
        );
        let mut content = false;
        if !span.is_disabled() {
            content = captures(env);
            span.record("otel.name", format!("execute_tool {}", call.name));
            if content {
                span.record("gen_ai.tool.call.arguments", &call.arguments);
            }
        }
        Self { span, content }
    }

    pub(super) fn inner(&self) -> Span {
        self.span.clone()
    }

    pub(super) fn answered(&self, result: &ToolResult) {
        if result.is_error {
            self.span.record("otel.status_code", "ERROR");
            self.span.record("error.type", "tool_error");
        }
        if self.content {
            self.span.record("gen_ai.tool.call.result", &result.content);
        }
    }
}

/// Tells whether spans may hold what was said.
fn captures(env: &Env) -> bool {
    let wanted = env.var("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT");
    wanted.is_some_and(|wanted| {
        ["true", "1", "span_only", "span_and_event"]
            .iter()
            .any(|word| wanted.trim().eq_ignore_ascii_case(word))
    })
}
