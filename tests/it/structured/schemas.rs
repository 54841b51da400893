//! How a schema is given to a service, and what is done where it is refused.

use super::*;

fn openai(upstream: &Upstream) -> Client {
    let config = ProviderConfig::new("openai", "small").api_key("k").base_url(upstream.url());
    Client::new(HttpProvider::openai(&config).unwrap())
}

fn message(message: Value) -> Reply {
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    Reply::json(200, json!({"id": "c1", "model": "small", "choices": [choice]}))
}

#[tokio::test]
async fn openai_is_given_the_schema() {
    let upstream = Upstream::start(|seen| match seen.json()["stream"] == true {
        false => message(json!({"role": "assistant", "content": PARIS})),
        true => {
            let delta = |delta: Value, finish: Value| {
                json!({"id": "c1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
            };
            let (start, end) = PARIS.split_at(13);
            Reply::events()
                .data(delta(json!({"content": start}), Value::Null))
                .data(delta(json!({"content": end}), Value::Null))
                .data(delta(json!({}), json!("stop")))
                .data("[DONE]")
        }
    })
    .await;
    let client = openai(&upstream);
    assert_eq!(client.prompt("?").json::<City>().await.unwrap(), paris());
    let mut stream = client.prompt("?").json_stream::<City>().await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    assert_eq!(first, JsonEvent::Partial(json!({"name": "Par"})));
    assert_eq!(stream.value().await.unwrap(), paris());
    for seen in upstream.seen() {
        let format = &seen.json()["response_format"];
        assert_eq!(format["type"], "json_schema");
        let schema = &format["json_schema"];
        assert_eq!((&schema["name"], &schema["strict"]), (&json!("City"), &json!(true)));
        let all = json!(["name", "inhabitants", "twins"]);
        assert_eq!(schema["schema"]["required"], all);
        assert_eq!(schema["schema"]["additionalProperties"], false);
    }
}

#[tokio::test]
async fn a_server_that_refuses_the_schema_is_asked_in_a_plainer_way() {
    let upstream = Upstream::start(|seen| {
        let body = seen.json();
        let error = |text: &str| {
            Reply::json(400, json!({"error": {"message": text, "type": "invalid_request_error"}}))
        };
        if body["response_format"]["type"] == "json_schema" {
            error("response_format json_schema is not supported")
        } else if body.get("tools").is_some() {
            error("unsupported tool_choice")
        } else {
            message(json!({"role": "assistant", "content": PARIS}))
        }
    })
    .await;
    let client = openai(&upstream);
    for _ in 0..2 {
        assert_eq!(client.prompt("?").json::<City>().await.unwrap(), paris());
    }
    let seen = upstream.seen();
    assert_eq!(seen.len(), 5, "the way that worked is remembered");
    let strict = |at: usize| seen[at].json()["response_format"]["json_schema"]["strict"].clone();
    assert_eq!((strict(0), strict(1)), (json!(true), json!(false)));
    let forced = json!({"type": "function", "function": {"name": "City"}});
    assert_eq!(seen[2].json()["tool_choice"], forced);
    for seen in &seen[3..] {
        assert_eq!(seen.json()["response_format"], json!({"type": "json_object"}));
    }
    let fixed = client.prompt("?").json_mode(JsonMode::Schema).json::<City>().await;
    assert_eq!(fixed.unwrap_err().kind(), ErrorKind::InvalidRequest);
}

/// What answers a request, whole or streamed.
fn answer(seen: &Seen, text: &str) -> Reply {
    if seen.json()["stream"] != true {
        return message(json!({"role": "assistant", "content": text}));
    }
    let chunk = |delta: Value, finish: Value| json!({"id": "c1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let reply = Reply::events().data(chunk(json!({"content": text}), Value::Null));
    reply.data(chunk(json!({}), json!("stop"))).data("[DONE]")
}

fn refuses(what: &str) -> Reply {
    Reply::json(400, json!({"error": {"message": what, "type": "invalid_request_error"}}))
}

fn strictness(upstream: &Upstream) -> Vec<Value> {
    let format = |seen: &Seen| seen.json()["response_format"]["json_schema"]["strict"].clone();
    upstream.seen().iter().map(format).collect()
}

#[tokio::test]
async fn a_schema_that_cannot_be_enforced_is_shown() {
    for streamed_first in [false, true] {
        let upstream = Upstream::start(|seen| {
            match seen.json()["response_format"]["json_schema"]["strict"] == true {
                true => refuses("Invalid schema for response_format 'City': too complex"),
                false => answer(seen, PARIS),
            }
        })
        .await;
        let client = openai(&upstream);
        for streamed in [streamed_first, !streamed_first] {
            let prompt = client.prompt("?");
            let city = match streamed {
                false => prompt.json::<City>().await.unwrap(),
                true => prompt.json_stream().await.unwrap().value().await.unwrap(),
            };
            assert_eq!(city, paris());
        }
        assert_eq!(strictness(&upstream), [json!(true), json!(false), json!(false)]);
        let shown = upstream.seen()[1].json()["response_format"]["json_schema"]["schema"].clone();
        assert_eq!(shown["required"], json!(["name", "inhabitants"]), "as it is, and not lowered");
        let other: City = client.prompt("?").model("large").json().await.unwrap();
        assert_eq!(other, paris());
        let number: Sum = match client.prompt("?").json().await {
            Ok(sum) => sum,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Decode);
                Sum { value: 0 }
            }
        };
        assert_eq!(number.value, 0);
        let later = strictness(&upstream).split_off(3);
        assert_eq!(later[..2], [json!(true), json!(false)], "another model is another matter");
        assert_eq!(later[2..4], [json!(true), json!(false)], "and so is another schema");
    }
}

#[tokio::test]
async fn a_way_that_has_not_worked_is_not_kept() {
    let upstream = Upstream::start(|seen| {
        match seen.json()["response_format"]["json_schema"]["strict"] == true {
            true => refuses("response_format: schema is too complex"),
            false => Reply::json(500, json!({"error": {"message": "boom"}})),
        }
    })
    .await;
    let client = openai(&upstream);
    for _ in 0..2 {
        let error = client.prompt("?").json::<City>().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Server);
        let error = client.prompt("?").json_stream::<City>().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Server);
    }
    let [strict, loose] = [json!(true), json!(false)];
    let each = [strict, loose];
    assert_eq!(strictness(&upstream), each.iter().cycle().take(8).cloned().collect::<Vec<_>>());
}

#[tokio::test]
async fn who_enforces_every_schema_is_not_shown_a_loose_one() {
    let upstream = Upstream::start(|seen| match seen.json().get("output_config") {
        Some(_) => Reply::json(
            400,
            json!({"type": "error", "error": {
                "type": "invalid_request_error", "message": "The compiled grammar is too large.",
            }}),
        ),
        None => {
            let input: Value = serde_json::from_str(PARIS).unwrap();
            let call = json!({"type": "tool_use", "id": "t1", "name": "City", "input": input});
            Reply::json(200, json!({"id": "m1", "content": [call], "stop_reason": "tool_use"}))
        }
    })
    .await;
    let config = ProviderConfig::new("anthropic", "c").api_key("k").base_url(upstream.url());
    let client = Client::new(HttpProvider::anthropic(&config).unwrap());
    assert_eq!(client.prompt("?").json::<City>().await.unwrap(), paris());
    let seen = upstream.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].json()["tool_choice"], json!({"type": "tool", "name": "City"}));
}

#[tokio::test]
async fn a_model_that_takes_either_tools_or_a_form_is_given_a_tool() {
    let upstream = Upstream::start(|seen| {
        let body = seen.json();
        // Gemini 2.5, where tools are declared.
        if body["generationConfig"]["responseMimeType"].is_string() {
            let message =
                "Function calling with a response mime type: 'application/json' is unsupported";
            let error = json!({"code": 400, "message": message, "status": "INVALID_ARGUMENT"});
            return Reply::json(400, json!({"error": error}));
        }
        let arguments: Value = serde_json::from_str(PARIS).unwrap();
        let part = json!({"functionCall": {"name": "City", "args": arguments}});
        let content = json!({"role": "model", "parts": [part]});
        let answer = json!({"candidates": [{"content": content, "finishReason": "STOP"}]});
        match seen.target.contains("stream") {
            true => Reply::events().data(answer),
            false => Reply::json(200, answer),
        }
    })
    .await;
    let config =
        ProviderConfig::new("gemini", "gemini-2.5-flash").api_key("k").base_url(upstream.url());
    for streamed in [false, true] {
        let client = Client::new(HttpProvider::gemini(&config).unwrap());
        let prompt = client.prompt("?").tool(add {});
        let city = match streamed {
            false => prompt.json::<City>().await.unwrap(),
            true => prompt.json_stream().await.unwrap().value().await.unwrap(),
        };
        assert_eq!(city, paris());
    }
    let forms = upstream.seen().into_iter().map(|seen| seen.json()["generationConfig"].take());
    let forms: Vec<_> = forms.map(|config| config["responseMimeType"].clone()).collect();
    let json = json!("application/json");
    let once = [json.clone(), json, Value::Null];
    assert_eq!(forms, [once.clone(), once].concat());
}

#[test]
fn a_loose_schema_is_written_as_it_is() {
    let schema = Schema::of::<City>();
    let format = ResponseFormat::LooseSchema { name: "City".into(), schema: schema.clone() };
    let request = ChatRequest::from("?").response_format(format);
    let body = |encoded: Encoded| -> (Value, usize) {
        (serde_json::from_slice(&encoded.body).unwrap(), encoded.dropped.len())
    };
    let raw = schema.as_value();
    let shown = json!({"name": "City", "schema": raw, "strict": false});
    let (chat, dropped) = body(OpenAi::new().encode(&request, "m", false).unwrap());
    let expected = json!({"type": "json_schema", "json_schema": shown});
    assert_eq!((&chat["response_format"], dropped), (&expected, 0));
    let (responses, dropped) = body(OpenAiResponses::new().encode(&request, "m", false).unwrap());
    let expected = json!({"type": "json_schema", "name": "City", "schema": raw, "strict": false});
    assert_eq!((&responses["text"]["format"], dropped), (&expected, 0));
    let (gemini, dropped) = body(Gemini::new().encode(&request, "m", false).unwrap());
    let config = &gemini["generationConfig"];
    assert_eq!((&config["responseJsonSchema"], dropped), (raw, 0));
    assert_eq!(config["responseMimeType"], "application/json");
    // Who has no such thing says so.
    let (anthropic, dropped) = body(Anthropic::new().encode(&request, "m", false).unwrap());
    assert_eq!((anthropic.get("output_config"), dropped), (None, 1));
    let deepseek = OpenAi::named("deepseek").encode(&request, "m", false).unwrap();
    let (deepseek, dropped) = body(deepseek);
    assert_eq!((&deepseek["response_format"]["type"], dropped), (&json!("json_object"), 1));
}
