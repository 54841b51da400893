//! The shapes of answers, whole and streamed, and what of a request reaches the model.

use super::*;

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
async fn an_answer_has_the_digits_of_its_request() {
    let client = client(&FakeProvider::new().text("Hello").text("Hello"));
    for stream in [false, true] {
        let body = hello(json!({"stream": stream}));
        let response = client.post("/v1/chat/completions").json(&body).send().await;
        let request = response.header("x-request-id").unwrap().to_owned();
        let answer = match stream {
            true => frames(response).await.remove(0),
            false => response.json().await,
        };
        let digits = answer["id"].as_str().unwrap().strip_prefix("chatcmpl-").unwrap();
        assert!(digits.len() == 32 && request.strip_prefix("req_") == Some(digits), "{request}");
    }
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
