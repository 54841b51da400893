//! Answers that are values of a type: with a fake provider, unary and streamed, and over a socket.

use ember::base::Schema;
use ember::llm::adapter::anthropic::Anthropic;
use ember::llm::adapter::gemini::Gemini;
use ember::llm::adapter::openai::OpenAi;
use ember::llm::adapter::responses::OpenAiResponses;
use ember::llm::adapter::{Adapter as _, Encoded};
use ember::llm::layer::CacheConfig;
use ember::llm::{
    ChatEvent, ChatRequest, Client, Error, ErrorKind, FakeProvider, FakeReply, FinishReason,
    HttpProvider, JsonEvent, JsonMode, PartialJson, ProviderConfig, ResponseFormat, Role,
    Structured, ToolChoice, Usage,
};
use ember::prelude::*;
use ember_tests::{Reply, Seen, Upstream};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A city.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct City {
    name: String,
    inhabitants: u32,
    #[serde(default)]
    twins: Vec<String>,
}

const PARIS: &str = r#"{"name": "Paris", "inhabitants": 2100000, "twins": ["Rome"]}"#;

fn paris() -> City {
    City { name: "Paris".into(), inhabitants: 2_100_000, twins: vec!["Rome".into()] }
}

/// Adds two numbers.
#[tool]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

type Asked = (FakeProvider, Client, Result<Structured<City>, Error>);

/// Asks by a script at once and streamed: it must come to the same.
async fn both(script: &[FakeReply], mode: JsonMode) -> Asked {
    let client = || {
        let fake = script.iter().cloned().fold(FakeProvider::new(), FakeProvider::reply);
        let client = Client::builder().provider(fake.clone()).cache(CacheConfig::new());
        (fake, client.build().unwrap())
    };
    let (unary, streamed) = (client(), client());
    let ask = |client: &Client| client.prompt("The capital?").json_mode(mode);
    let whole = ask(&unary.1).json_response::<City>().await;
    let folded = ask(&streamed.1).json_stream::<City>().await.unwrap().response().await;
    match (&whole, &folded) {
        (Ok(whole), Ok(folded)) => assert_eq!(whole, folded),
        (Err(whole), Err(folded)) => {
            assert_eq!((whole.kind(), whole.message()), (folded.kind(), folded.message()));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(unary.0.requests(), streamed.0.requests());
    assert_eq!(unary.1.usage().total_requests(), streamed.1.usage().total_requests());
    (unary.0, unary.1, whole)
}

fn says(text: &str) -> FakeReply {
    FakeReply::new().text(text).usage(Usage::new(10, 5))
}

#[tokio::test]
async fn an_answer_that_fits_is_a_value() {
    let (fake, _, answer) = both(&[says(PARIS)], JsonMode::Schema).await;
    let answer = answer.unwrap();
    assert_eq!((answer.value, answer.attempts), (paris(), 1));
    let ResponseFormat::Schema { name, schema } = &fake.requests()[0].response_format else {
        panic!("{:?}", fake.requests())
    };
    assert_eq!((&**name, &schema.as_value()["type"]), ("City", &json!("object")));
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_asked_for_once_more() {
    let wrong = says(r#"{"name": 5, "inhabitants": -1}"#);
    let (fake, client, answer) = both(&[wrong, says(PARIS)], JsonMode::Schema).await;
    let answer = answer.unwrap();
    assert_eq!((answer.value, answer.attempts), (paris(), 2));
    assert_eq!(answer.response.usage, Some(Usage::new(20, 10)), "both attempts");
    assert_eq!((client.usage().total_requests(), client.usage().total_input_tokens()), (2, 20));
    let second = fake.requests().pop().unwrap();
    let roles: Vec<_> = second.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::User]);
    let told = second.messages[2].text();
    assert!(told.contains("at `/name`") && told.contains("at `/inhabitants`"), "{told}");
    assert_eq!(answer.response.steps, second.messages[1..]);
}

#[tokio::test]
async fn the_second_answer_is_the_last() {
    let wrong = || says("I would rather not say.");
    let (fake, client, answer) = both(&[wrong(), wrong(), says(PARIS)], JsonMode::Schema).await;
    let error = answer.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Decode, Some("invalid_json")));
    assert!(error.message().contains("no JSON object"), "{error}");
    assert_eq!((fake.requests().len(), client.usage().total_requests()), (2, 2));
    let public = ember::Error::from(error);
    assert_eq!(public.status(), 502);
}

#[tokio::test]
async fn what_is_cut_or_refused_is_not_asked_for_again() {
    let cut = says(r#"{"name": "Par"#).finish(FinishReason::Length);
    let refused = FakeReply::new()
        .event(ChatEvent::Refusal("I may not.".into()))
        .finish(FinishReason::ContentFilter);
    let cut_call = FakeReply::new()
        .tool_call("City", serde_json::from_str(PARIS).unwrap())
        .finish(FinishReason::Length);
    for (reply, mode, kind) in [
        (cut, JsonMode::Schema, ErrorKind::Truncated),
        (cut_call, JsonMode::Tool, ErrorKind::Truncated),
        (refused.clone(), JsonMode::Schema, ErrorKind::ContentFilter),
        (refused, JsonMode::Tool, ErrorKind::ContentFilter),
        (says(PARIS).cut_after(1), JsonMode::Json, ErrorKind::Truncated),
    ] {
        let (fake, _, answer) = both(&[reply, says(PARIS)], mode).await;
        assert_eq!(answer.unwrap_err().kind(), kind);
        assert_eq!(fake.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_tool_takes_the_answer_where_there_is_no_schema() {
    let right: Value = serde_json::from_str(PARIS).unwrap();
    let script = [
        FakeReply::new().tool_call("City", json!({"name": "Paris"})),
        FakeReply::new().text("Here. ").tool_call("City", right),
    ];
    let (fake, _, answer) = both(&script, JsonMode::Tool).await;
    assert_eq!(answer.unwrap().value, paris());
    let requests = fake.requests();
    assert_eq!(requests[0].tool_choice, ToolChoice::Tool("City".into()));
    assert_eq!(requests[0].response_format, ResponseFormat::Text);
    assert_eq!(requests[1].messages[2].role, Role::Tool, "the call is answered");
}

#[tokio::test]
async fn the_schema_stands_in_the_instructions_of_json_mode() {
    let fenced = format!("Certainly!\n```json\n{PARIS}\n```");
    let (fake, _, answer) = both(&[says(&fenced)], JsonMode::Json).await;
    assert_eq!(answer.unwrap().value, paris());
    let request = &fake.requests()[0];
    assert_eq!(request.response_format, ResponseFormat::Json);
    assert_eq!(request.messages[0].role, Role::System);
    assert!(request.messages[0].text().contains("\"inhabitants\""));
}

#[tokio::test]
async fn tools_run_before_the_answer() {
    for mode in [JsonMode::Schema, JsonMode::Tool] {
        let last = match mode {
            JsonMode::Tool => FakeReply::new().tool_call("Sum", json!({"value": 3})),
            _ => FakeReply::new().text(r#"{"value": 3}"#),
        };
        let fake = FakeProvider::new()
            .reply(FakeReply::new().text("{} ").tool_call("add", json!({"a": 1, "b": 2})))
            .reply(last);
        let prompt = Client::new(fake.clone()).prompt("1 + 2?").tool(add {}).json_mode(mode);
        let answer = match mode {
            JsonMode::Tool => {
                let answer = prompt.json_response::<Sum>().await.unwrap();
                (answer.value.value, answer.response.steps.len())
            }
            _ => {
                let answer = prompt.json_response::<i64>().await.unwrap();
                (answer.value, answer.response.steps.len())
            }
        };
        assert_eq!(answer, (3, 2), "{mode:?}");
    }
}

/// A number.
#[derive(Deserialize, JsonSchema)]
struct Sum {
    value: i64,
}

#[tokio::test]
async fn a_streamed_value_grows() {
    let fake = FakeProvider::new().reply(says("Well: {\"name\": 1}")).reply(says(PARIS));
    let mut stream = Client::new(fake).prompt("?").json_stream::<City>().await.unwrap();
    let mut seen = Vec::new();
    while let Some(event) = stream.next().await {
        seen.push(event.unwrap());
    }
    let Some(JsonEvent::Done(done)) = seen.pop() else { panic!("{seen:?}") };
    assert_eq!(done.value, paris());
    let again = seen.iter().position(|event| matches!(event, JsonEvent::Again(_))).unwrap();
    let partials: Vec<_> = seen[again + 1..]
        .iter()
        .map(|event| match event {
            JsonEvent::Partial(value) => value.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(partials.len() > 2, "{partials:?}");
    for pair in partials.windows(2) {
        assert!(is_prefix(&pair[0], &pair[1]), "{pair:?}");
    }
    assert!(is_prefix(partials.last().unwrap(), &json!(paris())));
    assert!(stream.next().await.is_none());
}

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

/// Tells whether a value may become another by growing at its end.
fn is_prefix(start: &Value, whole: &Value) -> bool {
    match (start, whole) {
        (Value::String(start), Value::String(whole)) => whole.starts_with(start.as_str()),
        (Value::Array(start), Value::Array(whole)) => match start.split_last() {
            None => true,
            Some((last, before)) => {
                start.len() <= whole.len()
                    && before == &whole[..before.len()]
                    && is_prefix(last, &whole[before.len()])
            }
        },
        (Value::Object(start), Value::Object(whole)) => {
            let mut pairs = start.iter().zip(whole).enumerate();
            start.len() <= whole.len()
                && pairs.all(|(index, ((name, value), (whole_name, whole_value)))| {
                    let is_last = index + 1 == start.len();
                    name == whole_name
                        && (value == whole_value || is_last && is_prefix(value, whole_value))
                })
        }
        _ => start == whole,
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        "[\"\\\\\n\u{1F600}é/]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(".{0,4}", inner, 0..5)
                .prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

/// The JSON of a value with every character beyond ASCII escaped.
fn escaped(json: &str) -> String {
    let mut text = String::new();
    for char in json.chars() {
        match char.is_ascii() {
            true => text.push(char),
            false => {
                let mut units = [0; 2];
                for unit in char.encode_utf16(&mut units) {
                    text += &format!("\\u{unit:04x}");
                }
            }
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_a_prefix_of_json_holds_is_a_prefix_of_the_whole(value in any_json()) {
        let compact = value.to_string();
        // As it is read back: the last digit of a number may be another.
        let whole: Value = serde_json::from_str(&compact).unwrap();
        for text in [compact.clone(), escaped(&compact), serde_json::to_string_pretty(&value).unwrap()] {
            let mut json = PartialJson::new();
            let mut before = None;
            for char in text.chars() {
                let changed = json.push(char.encode_utf8(&mut [0; 4]));
                let now = json.value();
                prop_assert!(!json.is_broken(), "{text}");
                if let Some(now) = &now {
                    prop_assert!(is_prefix(now, &whole), "{now} of {whole}");
                }
                if let (Some(before), Some(now)) = (&before, &now) {
                    prop_assert!(is_prefix(before, now), "{before} then {now}");
                }
                prop_assert!(changed || now == before, "a change must be told");
                before = now;
            }
            // A space ends a number that stands alone.
            json.push(" ");
            prop_assert!(json.is_complete());
            prop_assert_eq!(json.value(), Some(whole.clone()));
        }
    }

    #[test]
    fn no_text_brings_it_down(text in "[\\[\\]{}\",:0-9a-z\\\\u\\-. ]{0,60}") {
        let mut json = PartialJson::new();
        json.push(&text);
        let valid = serde_json::from_str::<Value>(&text);
        if let Ok(valid) = valid {
            json.push(" ");
            prop_assert_eq!(json.value(), Some(valid));
        }
    }
}
