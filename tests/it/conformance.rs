//! The conformance test, over providers of ours and over one that breaks its rules.

use ember::llm::{
    ChatEvent, ChatRequest, ChatResponse, ChatStream, Error, ErrorKind, FakeProvider, FakeReply,
    FinishReason, HttpProvider, Provider, ProviderConfig, Usage,
};
use ember::testing::conformance::{self, Scenario, Subject};
use ember_tests::{Reply, Upstream};
use serde_json::{Value, json};

fn fake(scenario: Scenario) -> Option<FakeReply> {
    Some(match scenario {
        Scenario::Text(text) => {
            FakeReply::new().event(ChatEvent::Usage(Usage::new(1, 1))).text(text)
        }
        Scenario::Cut(text) => FakeReply::new().text(text).finish(FinishReason::Length),
        Scenario::ToolCalls(calls) => {
            calls.iter().fold(FakeReply::new(), |reply, (name, arguments)| {
                reply.tool_call(*name, serde_json::from_str::<Value>(arguments).unwrap())
            })
        }
        Scenario::Failure(kind) => FakeReply::error(kind, "no"),
        Scenario::Broken(text) => FakeReply::new().text(text).cut_after(3),
        Scenario::BrokenCall => FakeReply::new().tool_call("look_up", json!({"n": 1})).cut_after(2),
        // Nothing tells when its streams are dropped.
        _ => return None,
    })
}

#[tokio::test]
async fn the_fake_provider_conforms() {
    let report = conformance::provider(async |scenario| {
        let reply = fake(scenario)?;
        Some(Subject::new(FakeProvider::new().respond(move |_| reply.clone())))
    })
    .await
    .unwrap();
    assert_eq!((report.passed.len(), report.skipped.len()), (16, 2), "{report:?}");
}

/// A provider of a service that knows no streams.
struct Whole(FakeProvider);

impl Provider for Whole {
    fn name(&self) -> &str {
        "whole"
    }

    async fn chat(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        self.0.chat(request).await
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
        Ok(self.chat(request).await?.into_stream())
    }
}

#[tokio::test]
async fn a_provider_that_answers_in_one_piece_conforms_and_is_told() {
    let report = conformance::provider(async |scenario| {
        let reply = fake(scenario)?;
        Some(Subject::new(Whole(FakeProvider::new().respond(move |_| reply.clone()))))
    })
    .await
    .unwrap();
    assert!(report.skipped.contains(&"a stream comes in pieces"), "{report:?}");
}

const MODEL: &str = "small";

fn choice(message: Value, finish: &str) -> Reply {
    let choices = json!([{"index": 0, "message": message, "finish_reason": finish}]);
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 9});
    Reply::json(200, json!({"id": "c1", "model": MODEL, "choices": choices, "usage": usage}))
}

fn delta(delta: Value, finish: Option<&str>) -> Value {
    let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
    json!({"id": "c1", "model": MODEL, "choices": choices})
}

fn words(text: &str) -> Reply {
    text.split_inclusive(' ')
        .fold(Reply::events(), |reply, word| reply.data(delta(json!({"content": word}), None)))
}

fn ended(reply: Reply, finish: &str) -> Reply {
    let usage = |output: u64| {
        let usage = json!({"prompt_tokens": 3, "completion_tokens": output});
        json!({"id": "c1", "model": MODEL, "choices": [], "usage": usage})
    };
    let reply = reply.data(delta(json!({}), Some(finish)));
    reply.data(usage(9)).data("[DONE]")
}

/// A service that speaks OpenAI's chat completions.
fn openai(scenario: Scenario, streamed: bool) -> Reply {
    match scenario {
        Scenario::Text(text) if streamed => ended(words(text), "stop"),
        Scenario::Text(text) => choice(json!({"role": "assistant", "content": text}), "stop"),
        Scenario::Cut(text) if streamed => ended(words(text), "length"),
        Scenario::Cut(text) => choice(json!({"role": "assistant", "content": text}), "length"),
        Scenario::ToolCalls(calls) if streamed => {
            let reply = calls.iter().enumerate().fold(Reply::events(), |reply, (index, (name, arguments))| {
                let begin = json!({"tool_calls": [{"index": index, "id": format!("call_{index}"), "type": "function", "function": {"name": name, "arguments": ""}}]});
                arguments.chars().fold(reply.data(delta(begin, None)), |reply, piece| {
                    let more = json!({"tool_calls": [{"index": index, "function": {"arguments": piece.to_string()}}]});
                    reply.data(delta(more, None))
                })
            });
            ended(reply, "tool_calls")
        }
        Scenario::ToolCalls(calls) => {
            let calls: Vec<_> = calls.iter().enumerate().map(|(index, (name, arguments))| {
                json!({"id": format!("call_{index}"), "type": "function", "function": {"name": name, "arguments": arguments}})
            }).collect();
            choice(json!({"role": "assistant", "content": null, "tool_calls": calls}), "tool_calls")
        }
        Scenario::Failure(kind) => {
            let (status, code) = match kind {
                ErrorKind::RateLimit => (429, "rate_limit_exceeded"),
                ErrorKind::Auth => (401, "invalid_api_key"),
                ErrorKind::InvalidRequest => (400, "invalid_value"),
                ErrorKind::Overloaded => (503, "overloaded"),
                _ => (500, "server_error"),
            };
            Reply::json(status, json!({"error": {"message": "no", "type": code, "code": code}}))
        }
        Scenario::Broken(text) if streamed => words(text).cut(),
        Scenario::BrokenCall if streamed => {
            let call = json!({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{\"key\""}}]});
            Reply::events().data(delta(call, None)).cut()
        }
        Scenario::Silence(text) if streamed => words(text).hang(),
        Scenario::Silence(_) => Reply::status(200).send("{\"id\":").hang(),
        _ => Reply::status(200).header("content-type", "application/json").send("{\"id\":").cut(),
    }
}

#[tokio::test]
async fn openai_over_http_conforms() {
    let report = conformance::provider(async |scenario| {
        let answer =
            move |seen: &ember_tests::Seen| openai(scenario, seen.json()["stream"] == true);
        let mut upstream = Upstream::start(answer).await;
        let config = ProviderConfig::new("openai", MODEL).api_key("sk").base_url(upstream.url());
        let provider = HttpProvider::openai(&config).unwrap();
        Some(Subject::new(provider).closed(async move { upstream.hung_up().await }))
    })
    .await
    .unwrap();
    assert_eq!((report.passed.len(), report.skipped.len()), (18, 0), "{report:?}");
}

/// A provider whose stream says less than its whole answer, and which names no tool calls.
struct Lesser(FakeProvider);

impl Provider for Lesser {
    fn name(&self) -> &str {
        ""
    }

    async fn chat(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        self.0.chat(request).await.or_else(|_| Ok(ChatResponse::text_answer("fine")))
    }

    async fn stream(&self, _: &ChatRequest) -> Result<ChatStream, Error> {
        let begun = ChatEvent::Text("The quick".into());
        Ok(ChatStream::new(futures_util::stream::iter([Ok(begun)])))
    }
}

#[tokio::test]
async fn what_breaks_the_rules_is_told_which() {
    let broken = conformance::provider(async |scenario| {
        let reply = fake(scenario)?;
        Some(Subject::new(Lesser(FakeProvider::new().respond(move |_| reply.clone()))))
    })
    .await
    .unwrap_err();
    let rules: Vec<_> = broken.broken.iter().map(|(rule, _)| *rule).collect();
    for rule in [
        "a provider has a name",
        "a text is the same both ways",
        "a stream ends once",
        "an answer that is cut is told as one",
        "a call is the same both ways",
        "an answer that breaks is never complete",
        "a call that breaks is never complete",
        "a rate limit is told as one",
    ] {
        assert!(rules.contains(&rule), "{rule}: {broken}");
    }
    assert!(broken.to_string().contains("\n- a provider has a name: its name is empty"));
}
