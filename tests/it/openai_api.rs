//! The OpenAI-compatible API: its shapes, its errors, its keys, and what becomes of it when
//! somebody goes away.
//!
//! Every answer and chunk is held against OpenAI's published schemas, where the folder with them
//! lies beside the project. Where it does not, `openai_answers_fit_the_published_schemas` of the
//! tests of services is reported as ignored, by its name.

use ember::ai::{OpenAiApi, VirtualKey, VirtualKeys};
use ember::base::clock::{ManualClock, secs};
use ember::llm::{ChatEvent, ErrorKind, FakeEmbedder, FakeProvider, FakeReply, FinishReason};
use ember::llm::{HttpProvider, MediaSource, Part, ProviderConfig, ToolChoice, Usage};
use ember::prelude::*;
use ember::testing::{TestClient, TestResponse};
use ember::{Env, serde_json};
use ember_tests::{Reply, Upstream, openai_schema};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::LazyLock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(super) fn app(fake: &FakeProvider, api: impl Into<OpenAiApi>) -> Ember {
    Ember::new().env(Env::of([("X", "y")])).client(Client::new(fake.clone())).openai_api(api)
}

/// A client on the application's own machine.
pub(super) fn local(app: Ember) -> TestClient {
    TestClient::new(app.build().unwrap()).peer(([127, 0, 0, 1], 50_000))
}

fn client(fake: &FakeProvider) -> TestClient {
    local(app(fake, "/v1"))
}

pub(super) fn hello(members: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Hello"}]});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    body
}

/// The published schemas that are looked at, where they are there.
static SCHEMAS: LazyLock<BTreeMap<&str, jsonschema::Validator>> = LazyLock::new(|| {
    let roots = ["chat_response", "chat_chunk", "models", "model", "embedding_response", "error"];
    let schemas = roots.into_iter().filter_map(|root| Some((root, openai_schema(root)?)));
    schemas.map(|(root, schema)| (root, jsonschema::validator_for(&schema).unwrap())).collect()
});

#[track_caller]
fn check_schema(root: &str, value: &Value) {
    if SCHEMAS.is_empty() {
        return;
    }
    let errors: Vec<_> = SCHEMAS[root].iter_errors(value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{root}: {errors:?}: {value}");
}

/// A whole answer that fits its schema.
pub(super) async fn whole(client: &TestClient, body: Value) -> Value {
    let response = client.post("/v1/chat/completions").json(&body).send().await;
    assert_eq!(response.status(), 200);
    let answer: Value = response.json().await;
    check_schema("chat_response", &answer);
    answer
}

/// The data of a streamed answer; each but the last word fits its schema.
pub(super) async fn frames(mut response: TestResponse) -> Vec<Value> {
    assert_eq!(response.status(), 200);
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    let mut frames = Vec::new();
    while let Some(event) = response.next_event().await {
        assert_eq!(event.event, "message");
        let frame = serde_json::from_str(&event.data).unwrap_or(Value::String(event.data));
        match &frame {
            Value::String(text) => assert_eq!(text, "[DONE]"),
            frame if frame.get("error").is_some() => check_schema("error", frame),
            frame => check_schema("chat_chunk", frame),
        }
        frames.push(frame);
    }
    frames
}

pub(super) async fn streamed(client: &TestClient, body: Value) -> Vec<Value> {
    let mut body = body;
    body["stream"] = true.into();
    frames(client.post("/v1/chat/completions").json(&body).send().await).await
}

/// An error that fits its schema.
pub(super) async fn refused(response: TestResponse) -> (u16, Value) {
    let status = response.status().as_u16();
    assert_eq!(response.header("content-type"), Some("application/json"));
    let body: Value = response.json().await;
    check_schema("error", &body);
    (status, body["error"].clone())
}

/// What the chunks of an answer add up to, as clients add them up.
pub(super) fn folded(frames: &[Value]) -> Value {
    let mut message =
        json!({"content": "", "refusal": "", "reasoning_content": "", "tool_calls": []});
    let mut finish = Value::Null;
    for choice in frames.iter().filter_map(|frame| frame["choices"].get(0)) {
        for member in ["content", "refusal", "reasoning_content"] {
            let piece = choice["delta"][member].as_str().unwrap_or_default();
            message[member] = (message[member].as_str().unwrap().to_owned() + piece).into();
        }
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let calls = message["tool_calls"].as_array_mut().unwrap();
            let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            if index == calls.len() {
                calls.push(json!({"id": call["id"], "type": call["type"], "function": {"name": call["function"]["name"], "arguments": ""}}));
            }
            let arguments = &mut calls[index]["function"]["arguments"];
            *arguments = (arguments.as_str().unwrap().to_owned()
                + call["function"]["arguments"].as_str().unwrap())
            .into();
        }
        if !choice["finish_reason"].is_null() {
            assert!(finish.is_null(), "two ends");
            finish = choice["finish_reason"].clone();
        }
    }
    json!({"message": message, "finish_reason": finish})
}

/// The same of a whole answer.
pub(super) fn folded_whole(answer: &Value) -> Value {
    let choice = &answer["choices"][0];
    let text = |member: &str| choice["message"][member].as_str().unwrap_or_default().to_owned();
    let calls = choice["message"].get("tool_calls").cloned().unwrap_or(json!([]));
    json!({
        "message": {"content": text("content"), "refusal": text("refusal"), "reasoning_content": text("reasoning_content"), "tool_calls": calls},
        "finish_reason": choice["finish_reason"],
    })
}

#[tokio::test]
async fn an_answer_has_openais_shape() {
    let mut usage = Usage::new(40, 15);
    (usage.cache_read_tokens, usage.reasoning_tokens) = (Some(60), Some(5));
    let reply = || FakeReply::new().reasoning("let me think").text("Hello there").usage(usage);
    let client = client(&FakeProvider::new().reply(reply()).reply(reply()));
    let answer = whole(&client, hello(json!({}))).await;
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!("m")));
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    let message = json!({"role": "assistant", "content": "Hello there", "refusal": null, "reasoning_content": "let me think"});
    assert_eq!(answer["choices"][0]["message"], message);
    let told = &answer["usage"];
    assert_eq!(
        (&told["prompt_tokens"], &told["completion_tokens"], &told["total_tokens"]),
        (&json!(100), &json!(20), &json!(120))
    );
    assert_eq!(told["prompt_tokens_details"]["cached_tokens"], 60);
    assert_eq!(told["completion_tokens_details"]["reasoning_tokens"], 5);

    let chunks = streamed(&client, hello(json!({"stream_options": {"include_usage": true}}))).await;
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    assert_eq!(folded(&chunks), folded_whole(&answer));
    let [.., end, last, done] = &chunks[..] else { panic!("{chunks:?}") };
    assert_eq!((&end["choices"][0]["delta"], &end["usage"]), (&json!({}), &Value::Null));
    assert!(end.as_object().unwrap().contains_key("usage"));
    assert_eq!((&last["choices"], &last["usage"]), (&json!([]), told));
    assert_eq!(done, "[DONE]");
    let ids: Vec<_> =
        chunks[..chunks.len() - 1].iter().map(|chunk| (&chunk["id"], &chunk["created"])).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn no_usage_is_told_in_a_stream_unasked_and_what_is_unknown_is_estimated() {
    let client = client(&FakeProvider::new().text("Hello"));
    let chunks = streamed(&client, hello(json!({}))).await;
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
    assert!(chunks.iter().all(|chunk| chunk["choices"] != json!([])));
    struct Silent;
    impl ember::llm::Provider for Silent {
        fn name(&self) -> &str {
            "silent"
        }
        async fn chat(
            &self,
            _: &ember::llm::ChatRequest,
        ) -> Result<ember::llm::ChatResponse, ember::llm::Error> {
            Ok(ember::llm::ChatResponse::text_answer("Good morning"))
        }
        async fn stream(
            &self,
            request: &ember::llm::ChatRequest,
        ) -> Result<ember::llm::ChatStream, ember::llm::Error> {
            Ok(self.chat(request).await?.into_stream())
        }
    }
    let app = Ember::new().env(Env::of([("X", "y")])).client(Client::new(Silent)).openai_api("/v1");
    let client = local(app);
    let answer = whole(&client, hello(json!({}))).await;
    let estimate = ember::base::tokens::estimate_tokens("Good morning");
    assert_eq!(answer["usage"]["completion_tokens"], estimate);
    let chunks = streamed(&client, hello(json!({"stream_options": {"include_usage": true}}))).await;
    assert_eq!(chunks[chunks.len() - 2]["usage"], answer["usage"]);
}

#[tokio::test]
async fn the_tools_of_the_caller_are_called_where_the_caller_is() {
    let calls = || {
        FakeReply::new()
            .text("I look.")
            .tool_call("get_weather", json!({"city": "Paris"}))
            .tool_call("now", json!({}))
    };
    let bare = || {
        FakeReply::new()
            .event(ChatEvent::ToolCallStart {
                index: 0,
                id: "c".into(),
                name: "now".into(),
                signature: None,
            })
            .finish(FinishReason::ToolCalls)
    };
    let fake = FakeProvider::new()
        .reply(calls())
        .reply(calls())
        .reply(bare())
        .reply(bare())
        .text("It is sunny.");
    let client = client(&fake);
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}});
    let body = hello(
        json!({"tools": [tool("get_weather"), tool("now")], "tool_choice": {"type": "function", "function": {"name": "now"}}}),
    );
    let answer = whole(&client, body.clone()).await;
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    let told = answer["choices"][0]["message"]["tool_calls"].clone();
    assert_eq!(
        told[0],
        json!({"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\":\"Paris\"}"}})
    );
    assert_eq!(told[1]["function"]["name"], "now");
    assert_eq!(folded(&streamed(&client, body.clone()).await), folded_whole(&answer));
    // Clients parse the arguments, even those of a call that has none.
    for answer in
        [folded_whole(&whole(&client, body.clone()).await), folded(&streamed(&client, body).await)]
    {
        assert_eq!(answer["message"]["tool_calls"][0]["function"]["arguments"], "{}");
    }
    let mut turn = answer["choices"][0]["message"].clone();
    turn["role"] = "assistant".into();
    let results = ["call_1", "call_2"]
        .map(|id| json!({"role": "tool", "tool_call_id": id, "content": "sunny"}));
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "?"}, turn, results[0], results[1]], "tools": [tool("now")]});
    assert_eq!(whole(&client, body).await["choices"][0]["message"]["content"], "It is sunny.");
    let requests = fake.requests();
    assert_eq!(requests[0].tool_choice, ToolChoice::Tool("now".into()));
    assert_eq!(requests.last().unwrap().messages[2].content.len(), 2);
    assert!(requests.iter().all(|request| request.tools.iter().all(|tool| !tool.runs_here())));
}

/// The weather.
#[tool]
async fn get_weather(city: String) -> String {
    format!("sunny in {city}")
}

#[tokio::test]
async fn tools_of_ours_run_here_and_are_hidden() {
    let script = || {
        let both = FakeReply::new()
            .tool_call("get_weather", json!({"city": "Rome"}))
            .tool_call("theirs", json!({}));
        [
            FakeReply::new().text("I look. ").tool_call("get_weather", json!({"city": "Paris"})),
            FakeReply::new().text("It is sunny."),
            both,
        ]
    };
    let fake = script().into_iter().chain(script()).fold(FakeProvider::new(), FakeProvider::reply);
    let api = OpenAiApi::new("/v1").tools([get_weather {}]);
    let client = local(app(&fake, api));
    let theirs = hello(json!({"tools": [{"type": "function", "function": {"name": "theirs"}}]}));
    let first = folded_whole(&whole(&client, theirs.clone()).await);
    assert_eq!(
        (&first["message"]["content"], &first["finish_reason"]),
        (&json!("I look. It is sunny."), &json!("stop"))
    );
    assert_eq!(first["message"]["tool_calls"], json!([]));
    let after = fake.requests().swap_remove(1);
    let Part::ToolResult(result) = &after.messages.last().unwrap().content[0] else { panic!() };
    assert_eq!(result.content, "sunny in Paris");
    let both = folded_whole(&whole(&client, theirs.clone()).await);
    assert_eq!(both["message"]["tool_calls"].as_array().unwrap().len(), 1);
    assert_eq!(both["message"]["tool_calls"][0]["function"]["name"], "theirs");
    assert_eq!(folded(&streamed(&client, theirs.clone()).await), first);
    assert_eq!(folded(&streamed(&client, theirs).await), both);
}

#[tokio::test]
async fn what_is_asked_reaches_the_model() {
    let fake = FakeProvider::new().text("{}");
    let client = client(&fake);
    let schema =
        json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]});
    whole(&client, json!({
        "model": "big", "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}]},
        ],
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}, "max_completion_tokens": 9, "temperature": 0,
    }))
    .await;
    let request = &fake.requests()[0];
    assert_eq!(
        (request.model.as_deref(), request.max_tokens, request.temperature),
        (Some("big"), Some(9), Some(0.0))
    );
    assert!(
        matches!(&request.messages[1].content[1], Part::Media(media) if matches!(&media.source, MediaSource::Bytes(bytes) if &bytes[..] == b"ABC"))
    );
    assert!(format!("{:?}", request.response_format).contains("answer"));
}

#[tokio::test]
async fn ends_and_refusals_are_told() {
    let refusal = || {
        FakeReply::new().event(ChatEvent::Refusal("No.".into())).finish(FinishReason::ContentFilter)
    };
    let cut = || FakeReply::new().text("Hel").finish(FinishReason::Length);
    let fake = FakeProvider::new().reply(refusal()).reply(refusal()).reply(cut()).reply(cut());
    let client = client(&fake);
    for (member, text, finish) in [("refusal", "No.", "stop"), ("content", "Hel", "length")] {
        let answer = folded_whole(&whole(&client, hello(json!({}))).await);
        assert_eq!(
            (&answer["message"][member], &answer["finish_reason"]),
            (&json!(text), &json!(finish))
        );
        assert_eq!(folded(&streamed(&client, hello(json!({}))).await), answer);
    }
}

#[tokio::test]
async fn failures_before_the_first_token_are_statuses() {
    let fail = |kind| FakeReply::error(kind, "org-1 says no");
    for (reply, status, kind, code, is_told) in [
        (
            fail(ErrorKind::RateLimit).retry_after(secs(7)),
            429,
            "rate_limit_error",
            json!("rate_limit_exceeded"),
            false,
        ),
        (fail(ErrorKind::InvalidRequest), 400, "invalid_request_error", Value::Null, true),
        (
            fail(ErrorKind::ContextLength),
            400,
            "invalid_request_error",
            json!("context_length_exceeded"),
            true,
        ),
        (
            fail(ErrorKind::ContentFilter),
            400,
            "invalid_request_error",
            json!("content_filter"),
            true,
        ),
        (fail(ErrorKind::Overloaded), 503, "server_error", Value::Null, false),
        (fail(ErrorKind::Auth), 502, "server_error", Value::Null, false),
        (fail(ErrorKind::Timeout), 504, "server_error", Value::Null, false),
        (FakeReply::new().finish(FinishReason::Error), 502, "server_error", Value::Null, false),
    ] {
        for stream in [false, true] {
            let client = client(&FakeProvider::new().reply(reply.clone()));
            let response = client
                .post("/v1/chat/completions")
                .json(&hello(json!({"stream": stream})))
                .send()
                .await;
            assert!(response.header("x-request-id").unwrap().starts_with("req_"));
            let wait = response.header("retry-after").map(str::to_owned);
            assert_eq!(wait.as_deref(), (status == 429).then_some("7"));
            let (found, error) = refused(response).await;
            assert_eq!(
                (found, &error["type"], &error["code"]),
                (status, &json!(kind), &code),
                "{error}"
            );
            assert_eq!(error["message"].as_str().unwrap().contains("org-1"), is_told, "{error}");
        }
    }
}

#[tokio::test]
async fn a_failure_later_ends_the_stream_in_an_error_and_never_in_done() {
    let again = || FakeReply::new().text("Hello").event(ChatEvent::Reset).text("Hallo");
    for reply in [
        FakeReply::new().text("Hello there").fail_after(
            1,
            ErrorKind::Transport,
            "reset by 10.0.0.1",
        ),
        FakeReply::new().text("Hello there").cut_after(1),
        FakeReply::new().text("Hello there").finish(FinishReason::Error),
        again(),
    ] {
        let client = client(&FakeProvider::new().reply(reply));
        let frames = streamed(&client, hello(json!({}))).await;
        let last = frames.last().unwrap();
        assert_eq!(last["error"]["type"], "server_error", "{frames:?}");
        assert!(!last.to_string().contains("10.0.0.1"));
        assert!(folded(&frames)["finish_reason"].is_null());
        assert!(!frames.contains(&json!("[DONE]")));
    }
    // What nobody has seen can be taken back.
    let unseen = FakeReply::new().event(ChatEvent::Reset).text("Hallo");
    let client = client(&FakeProvider::new().reply(unseen));
    assert_eq!(folded(&streamed(&client, hello(json!({}))).await)["message"]["content"], "Hallo");
}

#[tokio::test]
async fn whatever_is_wrong_is_told_in_openais_shape() {
    let fake = FakeProvider::new();
    let api = OpenAiApi::new("/v1").models(["m"]).max_body_size(1_000);
    let client = local(app(&fake, api));
    let post = || client.post("/v1/chat/completions");
    let json = |body: Value| post().json(&body).send();
    let (status, error) = refused(json(hello(json!({"n": 2}))).await).await;
    assert_eq!(
        (status, &error["param"], &error["code"]),
        (400, &json!("n"), &json!("unsupported_parameter"))
    );
    let (status, error) = refused(json(hello(json!({"model": "other"}))).await).await;
    assert_eq!((status, &error["code"]), (404, &json!("model_not_found")));
    let (status, error) = refused(json(hello(json!({"tool_choice": "required"}))).await).await;
    assert_eq!((status, &error["param"]), (400, &json!("tool_choice")));
    let malformed = post().header("content-type", "application/json").body("{").send().await;
    assert_eq!(refused(malformed).await.0, 400);
    let plain = post().header("content-type", "text/plain").body("{}").send().await;
    assert_eq!(refused(plain).await.0, 415);
    let large = hello(json!({"user": "x".repeat(2_000)}));
    assert_eq!(refused(json(large).await).await.0, 413);
    assert_eq!(refused(client.get("/v1/chat/completions").send().await).await.0, 405);
    assert_eq!(refused(client.get("/v1/nowhere").send().await).await.0, 404);
    assert_eq!(refused(client.get("/v1/models/other").send().await).await.0, 404);
    // Elsewhere errors are what they were.
    let elsewhere = client.get("/nowhere").send().await;
    assert_eq!(elsewhere.header("content-type"), Some("application/problem+json"));
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn models_are_listed_and_told_one_by_one() {
    let client = Client::new(FakeProvider::new()).model("vendor/small");
    let app = Ember::new().env(Env::of([("X", "y")])).client(client).openai_api("/v1");
    let client = local(app);
    let list: Value = client.get("/v1/models").send().await.json().await;
    check_schema("models", &list);
    assert_eq!(
        (&list["data"][0]["id"], &list["data"][0]["owned_by"]),
        (&json!("vendor/small"), &json!("fake"))
    );
    for path in ["/v1/models/vendor/small", "/v1/models/vendor%2Fsmall"] {
        let one: Value = client.get(path).send().await.json().await;
        check_schema("model", &one);
        assert_eq!(one, list["data"][0]);
    }
}

#[tokio::test]
async fn embeddings_come_as_numbers_or_bytes() {
    let app = app(&FakeProvider::new(), OpenAiApi::new("/v1").embedding_model("e"))
        .embedder(FakeEmbedder::new(4));
    let client = local(app);
    let post = |body: Value| client.post("/v1/embeddings").json(&body).send();
    let numbers: Value =
        post(json!({"model": "e", "input": ["a", "b"], "dimensions": 4})).await.json().await;
    check_schema("embedding_response", &numbers);
    assert_eq!(numbers["data"].as_array().unwrap().len(), 2);
    assert_eq!(numbers["data"][1]["index"], 1);
    let bytes: Value =
        post(json!({"model": "e", "input": "a", "encoding_format": "base64"})).await.json().await;
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let decoded = BASE64_STANDARD.decode(bytes["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let vector: Vec<f32> =
        decoded.chunks(4).map(|chunk| f32::from_le_bytes(chunk.try_into().unwrap())).collect();
    assert_eq!(json!(vector), numbers["data"][0]["embedding"]);
    for (body, status, param) in [
        (json!({"model": "e", "input": [1, 2]}), 400, json!("input[0]")),
        (json!({"model": "e", "input": []}), 400, json!("input")),
        (json!({"model": "e", "input": "a", "dimensions": 5}), 400, Value::Null),
        (
            json!({"model": "e", "input": "a", "encoding_format": "hex"}),
            400,
            json!("encoding_format"),
        ),
        (json!({"model": "x", "input": "a"}), 404, json!("model")),
    ] {
        let (found, error) = refused(post(body).await).await;
        assert_eq!((found, &error["param"]), (status, &param), "{error}");
    }
    let without = local(self::app(&FakeProvider::new(), "/v1"));
    assert!(!without.app().route_table().contains("embeddings"));
    let gone =
        without.post("/v1/embeddings").json(&json!({"model": "e", "input": "a"})).send().await;
    assert_eq!(refused(gone).await.0, 404);
}

#[tokio::test]
async fn keys_are_wanted_and_bound() {
    let hands = ManualClock::new();
    let keys = VirtualKeys::new()
        .key(VirtualKey::new("a", "sk-a").models(["m"]))
        .key(
            VirtualKey::new("b", "sk-b")
                .requests_per_minute(2)
                .token_limits(TokenLimits::per_minute(400)),
        )
        .clock(hands.clock());
    let fake =
        FakeProvider::new().respond(|_| FakeReply::new().text("Hi").usage(Usage::new(10, 20)));
    let env = Env::of([("EMBER_API_KEYS", "c:sk-c,a:sk-a2")]);
    let app = app(&fake, OpenAiApi::new("/v1").keys(keys)).env(env);
    let client = local(app);
    let ask = |key: &str, model: &str| {
        let body = hello(json!({"model": model, "max_tokens": 100}));
        client
            .post("/v1/chat/completions")
            .header("authorization", &format!("Bearer {key}"))
            .json(&body)
            .send()
    };
    for response in [client.get("/v1/models").send().await, ask("sk-x", "m").await] {
        assert_eq!(response.header("www-authenticate"), Some("Bearer"));
        assert!(response.header("x-request-id").is_some());
        let (status, error) = refused(response).await;
        assert_eq!((status, &error["code"]), (401, &json!("invalid_api_key")));
    }
    for key in ["sk-a", "sk-a2", "sk-c"] {
        let response = ask(key, "m").await;
        assert_eq!(
            (response.status().as_u16(), response.header("x-ratelimit-limit-requests")),
            (200, None)
        );
    }
    assert_eq!(refused(ask("sk-a", "other").await).await.1["code"], "model_not_found");
    assert_eq!(ask("sk-c", "other").await.status(), 200);

    let first = ask("sk-b", "m").await;
    let header = |name: &str| first.header(&format!("x-ratelimit-{name}")).unwrap().to_owned();
    assert_eq!((header("limit-requests"), header("remaining-requests")), ("2".into(), "1".into()));
    assert_eq!(header("reset-requests"), "30s");
    // 10 and 20 tokens were used of what had been set aside.
    assert_eq!((header("limit-tokens"), header("remaining-tokens")), ("400".into(), "370".into()));
    assert_eq!(header("reset-tokens"), "4.5s");
    assert_eq!(ask("sk-b", "m").await.status(), 200);
    let third = ask("sk-b", "m").await;
    assert_eq!(third.header("retry-after"), Some("30"));
    assert_eq!(third.header("x-ratelimit-remaining-requests"), Some("0"));
    let (status, error) = refused(third).await;
    assert_eq!(
        (status, &error["type"], &error["code"]),
        (429, &json!("rate_limit_error"), &json!("rate_limit_exceeded"))
    );
    hands.advance(secs(30));
    assert_eq!(ask("sk-b", "m").await.status(), 200);
    hands.advance(secs(60));
    // The limits hold for what is streamed, and by the tokens of the key.
    let messages = json!([{"role": "user", "content": "x".repeat(4_000)}]);
    for stream in [true, false] {
        let long = hello(json!({"messages": messages, "stream": stream}));
        let long = client
            .post("/v1/chat/completions")
            .header("authorization", "Bearer sk-b")
            .json(&long)
            .send()
            .await;
        let (status, error) = refused(long).await;
        assert_eq!((status, &error["code"]), (400, &json!("context_length_exceeded")));
    }
}

#[tokio::test]
async fn a_key_is_a_principal_and_ordinary_middleware_applies() {
    async fn stamp(request: Request, next: Next) -> Response {
        let mut response = next.run(request).await;
        response.headers_mut().insert("x-stamp", HeaderValue::from_static("seen"));
        response
    }
    let api = OpenAiApi::new("/v1").keys(VirtualKey::new("a", "sk-a"));
    let app = app(&FakeProvider::new(), api).middleware(stamp).middleware(ember::RequestIds::new());
    let ready = app.build().unwrap();
    assert!(ready.route_table().contains("POST  /v1/chat/completions"), "{}", ready.route_table());
    let document = ready.openapi();
    let operation = &document["paths"]["/v1/chat/completions"]["post"];
    assert!(operation["security"].to_string().contains("bearer"), "{operation:#}");
    let failures = operation["responses"]["default"]["content"].as_object().unwrap();
    assert_eq!(failures.keys().collect::<Vec<_>>(), ["application/json"]);
    let client = TestClient::new(ready);
    let response = client.get("/v1/models").header("x-request-id", "mine").send().await;
    assert_eq!(
        (response.header("x-stamp"), response.header("x-request-id")),
        (Some("seen"), Some("mine"))
    );
}

#[test]
fn an_open_gateway_is_a_mistake_unless_it_is_meant() {
    let findings = |api: OpenAiApi, env: &[(&str, &str)]| {
        let app = app(&FakeProvider::new(), api).env(Env::of(env.iter().copied()));
        app.build().err().map(|error| error.to_string())
    };
    let everywhere = ("EMBER_HOST", "0.0.0.0");
    let told = findings("/v1".into(), &[everywhere]).unwrap();
    assert!(told.contains("EMBER_API_KEYS") && told.contains("`/v1`"), "{told}");
    assert_eq!(findings("/v1".into(), &[]), None);
    assert_eq!(findings(OpenAiApi::new("/v1").open(), &[everywhere]), None);
    assert_eq!(findings("/v1".into(), &[everywhere, ("EMBER_API_KEYS", "a:sk-a")]), None);
    let told = findings("/v1".into(), &[("EMBER_API_KEYS", "sk-naked")]).unwrap();
    assert!(told.contains("name:secret") && !told.contains("sk-naked"), "{told}");
    let told =
        findings(OpenAiApi::new("/v1").tools([get_weather {}, get_weather {}]), &[]).unwrap();
    assert!(told.contains("two tools of the name `get_weather`"), "{told}");
    let told = findings(OpenAiApi::new("/v1").route_model("x", "/nowhere"), &[]).unwrap();
    assert!(told.contains("`/nowhere`"), "{told}");
}

mod bots {
    use super::get_weather;
    use ember::prelude::*;

    #[ai_route("/support", tools = [get_weather], model = "small", system = "You help.", openai_model = "support-bot",
        token_limits = TokenLimits::new().max_completion_tokens(7))]
    async fn support(
        conversation: ConversationContext,
        body: String,
    ) -> ember::Result<TokenStream> {
        conversation.stream(body).await
    }

    #[ai_route("/other", model = "other")]
    async fn other(mut conversation: ConversationContext, body: String) -> ember::Result<String> {
        conversation.ask(body).await
    }

    pub(super) fn app() -> Ember {
        ember::app!()
    }
}

#[tokio::test]
async fn a_route_is_a_model() {
    let fake = FakeProvider::new().respond(|request| match request.messages.len() {
        3 => FakeReply::new().tool_call("get_weather", json!({"city": "Paris"})),
        _ => FakeReply::new().text("Sunny."),
    });
    let api = OpenAiApi::new("/v1").models(["big"]).route_model("other-bot", "/other");
    let app =
        bots::app().env(Env::of([("X", "y")])).client(Client::new(fake.clone())).openai_api(api);
    let client = local(app);
    let list: Value = client.get("/v1/models").send().await.json().await;
    let ids: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["other-bot", "support-bot", "big"]);
    let messages = json!([{"role": "system", "content": "I am Ada."}, {"role": "user", "content": "Weather?"}]);
    let body = json!({"model": "support-bot", "messages": messages, "max_tokens": 100});
    let answer = whole(&client, body.clone()).await;
    assert_eq!(
        (&answer["model"], &answer["choices"][0]["message"]["content"]),
        (&json!("support-bot"), &json!("Sunny."))
    );
    let chunks = streamed(&client, body).await;
    assert_eq!(chunks[0]["model"], "support-bot");
    assert_eq!(folded(&chunks), folded_whole(&answer));
    let request = &fake.requests()[0];
    let texts: Vec<_> =
        request.messages.iter().map(|message| message.text().into_owned()).collect();
    assert_eq!(texts, ["You help.", "I am Ada.", "Weather?"]);
    assert_eq!((request.model.as_deref(), request.max_tokens), (Some("small"), Some(7)));
    whole(&client, hello(json!({"model": "other-bot"}))).await;
    assert_eq!(fake.requests().last().unwrap().model.as_deref(), Some("other"));
    // The instructions of the route hold for the route itself.
    client.post("/support").body("Hi").send().await.text().await;
    assert_eq!(fake.requests().last().unwrap().messages[0].text(), "You help.");
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_the_call_at_once() {
    for stream in [false, true] {
        let mut upstream = Upstream::start(move |_| match stream {
            true => Reply::events()
                .data(json!({"model": "m", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}))
                .hang(),
            false => Reply::silence(),
        })
        .await;
        let config = ProviderConfig::new("openai", "m").api_key("sk-up").base_url(upstream.url());
        let client = Client::new(HttpProvider::openai(&config).unwrap());
        let app =
            Ember::new().env(Env::of([("X", "y")])).client(client).openai_api("/v1").workers(1);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let running = app.serve(listener).unwrap();
        let mut socket = TcpStream::connect(running.address()).await.unwrap();
        let body = hello(json!({"stream": stream})).to_string();
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        if stream {
            let mut seen = Vec::new();
            while !String::from_utf8_lossy(&seen).contains("\"content\":\"Hi\"") {
                assert_ne!(socket.read_buf(&mut seen).await.unwrap(), 0);
            }
        } else {
            while upstream.seen().is_empty() {
                tokio::task::yield_now().await;
            }
        }
        drop(socket);
        upstream.hung_up().await;
        running.stop().within(secs(0));
        running.join();
    }
}

#[tokio::test]
async fn what_the_provider_says_of_the_callers_request_is_told() {
    let upstream = Upstream::start(|seen| match seen.json()["model"].as_str().unwrap() {
        "gone" => Reply::json(
            404,
            json!({"error": {"message": "No model gone.", "code": "model_not_found"}}),
        ),
        "keyless" => Reply::json(401, json!({"error": {"message": "Bad key sk-up."}})),
        _ => Reply::json(
            400,
            json!({"error": {"message": "Policy.", "code": "content_policy_violation"}}),
        ),
    })
    .await;
    let config = ProviderConfig::new("openai", "m").api_key("sk-up").base_url(upstream.url());
    let client = Client::new(HttpProvider::openai(&config).unwrap());
    let app = Ember::new().env(Env::of([("X", "y")])).client(client).openai_api("/v1");
    let client = local(app);
    for (model, status, code, words) in [
        ("gone", 404, json!("model_not_found"), "No model gone."),
        ("keyless", 502, Value::Null, "The model could not be asked."),
        ("m", 400, json!("content_policy_violation"), "Policy."),
    ] {
        for stream in [false, true] {
            let body = hello(json!({"model": model, "stream": stream}));
            let (found, error) =
                refused(client.post("/v1/chat/completions").json(&body).send().await).await;
            assert_eq!(
                (found, &error["code"], error["message"].as_str().unwrap()),
                (status, &code, words)
            );
        }
    }
}
