//! What is made of a request, and what is refused.

use super::*;

#[tokio::test]
async fn what_nobody_knows_is_passed_over_and_the_rest_is_bounded() {
    let client = local(app(&unasked(), "/v1"));
    let send = |body: String, path: &str| {
        client.post(path).header("content-type", "application/json").body(body).send()
    };
    let many = "0,".repeat(300_000);
    let unknown = format!(r#"{{"messages":[{{"role":"user","content":"Hi"}}],"x":[{many}0]}}"#);
    assert_eq!(send(unknown, CHAT).await.status(), 200);
    let known = format!(r#"{{"messages":[{{"role":"user","content":"Hi","x":[{many}0]}}]}}"#);
    let (status, error) = refused(send(known, CHAT).await).await;
    assert_eq!(status, 413, "{error}");
    assert!(error["message"].as_str().unwrap().contains("100000 values"), "{error}");
}

#[tokio::test]
async fn an_invented_tool_is_told_alike_in_whole_and_streamed_answers() {
    /// The time.
    #[tool]
    async fn now() -> &'static str {
        "noon"
    }
    let invented = || FakeReply::new().tool_call("hallucinated", json!({}));
    let theirs =
        || FakeReply::new().tool_call("hallucinated", json!({})).tool_call("theirs", json!({}));
    let declared = json!({"tools": [{"type": "function", "function": {"name": "theirs"}}]});
    for (ours, body, script) in [
        (true, json!({}), vec![invented(), FakeReply::new().text("Noon.")]),
        (true, declared.clone(), vec![theirs()]),
        (false, declared, vec![theirs()]),
        (false, json!({}), vec![invented()]),
    ] {
        let twice = [script.clone(), script].concat();
        let fake = twice.into_iter().fold(FakeProvider::new(), FakeProvider::reply);
        let api = OpenAiApi::new("/v1");
        let api = if ours { api.tools([now {}]) } else { api };
        let client = local(app(&fake, api));
        let told = folded_whole(&whole(&client, hello(body.clone())).await);
        assert_eq!(folded(&streamed(&client, hello(body)).await), told);
        let calls = told["message"]["tool_calls"].to_string();
        assert_eq!(calls.contains("hallucinated"), !ours, "{told}");
    }
}

#[tokio::test]
async fn a_tool_choice_names_a_tool_of_the_callers() {
    /// The time.
    #[tool]
    async fn now() -> &'static str {
        "noon"
    }
    let fake = unasked();
    let client = local(app(&fake, OpenAiApi::new("/v1").tools([now {}])));
    for choice in [json!({"type": "function", "function": {"name": "now"}}), json!("required")] {
        for stream in [false, true] {
            let body = hello(json!({"tool_choice": choice, "stream": stream}));
            let (status, error) = refused(client.post(CHAT).json(&body).send().await).await;
            assert_eq!((status, &error["param"]), (400, &json!("tool_choice")));
        }
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_schema_reaches_openai_as_strict_as_it_was_sent() {
    let mut upstream = Upstream::start(|_| {
        let message = json!({"role": "assistant", "content": "{}"});
        Reply::json(200, json!({"id": "c", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}))
    })
    .await;
    let config = ProviderConfig::new("openai", "m").api_key("sk-up").base_url(upstream.url());
    let client = Client::new(HttpProvider::openai(&config).unwrap());
    let client = local(Ember::new().env(Env::of([("X", "y")])).client(client).openai_api("/v1"));
    let properties = json!({"a": {"type": "integer"}, "note": {"type": "string"}});
    let schema = json!({"type": "object", "properties": properties, "required": ["a"]});
    for (strict, sent) in [(json!(null), false), (json!(false), false), (json!(true), true)] {
        let described = json!({"name": "x", "schema": schema, "strict": strict});
        let format = json!({"type": "json_schema", "json_schema": described});
        whole(&client, hello(json!({"response_format": format}))).await;
        let format =
            upstream.seen().last().unwrap().json()["response_format"]["json_schema"].clone();
        assert_eq!(format["strict"], sent);
        assert_eq!(format["schema"] == schema, !sent, "{format}");
    }
    let body = upstream.seen().last().unwrap().json();
    assert!(body.get("temperature").is_none(), "nobody asked for one: {body}");
    let _ = &mut upstream;
}

#[tokio::test]
async fn what_the_model_cannot_be_told_is_refused_or_named() {
    let dropped = |names: &[&str]| {
        let event = |name: &&str| ChatEvent::Dropped(Dropped::new(*name, "it knows none"));
        names.iter().map(event).fold(FakeReply::new(), FakeReply::event).text("Hello")
    };
    for stream in [false, true] {
        for (names, param) in [
            (&["seed", "top_p"][..], None),
            (&["seed", "response_format"], Some("response_format")),
            (&["tool_choice"], Some("tool_choice")),
        ] {
            let client = local(app(&FakeProvider::new().reply(dropped(names)), "/v1"));
            let body = hello(json!({"stream": stream}));
            let response = client.post(CHAT).json(&body).send().await;
            match param {
                None => {
                    assert_eq!(response.header("x-ember-dropped"), Some("seed, top_p"));
                    assert_eq!(response.status(), 200);
                }
                Some(param) => {
                    let (status, error) = refused(response).await;
                    assert_eq!((status, &error["param"]), (400, &json!(param)));
                    assert!(error["message"].as_str().unwrap().contains("it knows none"));
                }
            }
        }
    }
    let client = local(app(&unasked(), "/v1"));
    let plain = client.post(CHAT).json(&hello(json!({}))).send().await;
    assert_eq!(plain.header("x-ember-dropped"), None);
}

#[tokio::test]
async fn tools_of_the_caller_are_held_to_their_schemas_where_the_caller_says_so() {
    let parameters = json!({
        "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
        "additionalProperties": false,
    });
    for stream in [false, true] {
        let fake = unasked();
        let client = local(app(&fake, "/v1"));
        let tool = |name: &str, strict: Value| {
            json!({"type": "function", "function": {
                "name": name, "parameters": parameters, "strict": strict,
            }})
        };
        let tools =
            json!([tool("a", true.into()), tool("b", false.into()), tool("c", Value::Null)]);
        let body = hello(json!({"stream": stream, "tools": tools}));
        assert_eq!(client.post(CHAT).json(&body).send().await.status(), 200);
        let strict: Vec<_> =
            fake.requests()[0].tools.iter().map(|tool| tool.options().strict).collect();
        assert_eq!(strict, [true, false, false]);
        let body = hello(json!({"stream": stream, "tools": [tool("a", 1.into())]}));
        let (status, error) = refused(client.post(CHAT).json(&body).send().await).await;
        assert_eq!((status, &error["param"]), (400, &json!("tools[0].function.strict")));
    }
}
