//! Values that are asked for, whole and as they grow.

use super::*;
use futures_util::StreamExt as _;

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

#[tokio::test]
async fn what_the_provider_takes_back_is_no_part_of_the_value() {
    let start = |index, name: &str| ChatEvent::ToolCallStart {
        index,
        id: "c".into(),
        name: name.into(),
        signature: None,
    };
    let piece =
        |arguments: &str| ChatEvent::ToolCallDelta { index: 0, arguments: arguments.into() };
    let text = |text: &str| ChatEvent::Text(text.into());
    let (wrong, cut) = ("{\"name\": \"Rome\", \"inhabitants\"", PARIS.split_at(13));
    let reset = [text(wrong), ChatEvent::Reset, text(cut.0), text(cut.1)];
    let anew = [start(0, "City"), piece(wrong), start(0, "City"), piece(cut.0), piece(cut.1)];
    let reset_call = [
        start(0, "City"),
        piece(wrong),
        ChatEvent::Reset,
        start(1, "add"),
        start(0, "City"),
        piece(PARIS),
    ];
    // The call of another tool under an index takes the place of the answer's.
    let other = [start(0, "City"), piece(wrong), start(0, "add"), piece("{}"), start(1, "City")];
    let last = ChatEvent::ToolCallDelta { index: 1, arguments: PARIS.into() };
    let other: Vec<_> = other.into_iter().chain([last]).collect();
    for (events, mode) in [
        (reset.to_vec(), JsonMode::Schema),
        (anew.to_vec(), JsonMode::Tool),
        (reset_call.to_vec(), JsonMode::Tool),
        (other, JsonMode::Tool),
    ] {
        let reply = events.iter().cloned().fold(FakeReply::new(), FakeReply::event);
        let reply = reply.finish(FinishReason::Stop);
        let client = || Client::new(FakeProvider::new().reply(reply.clone()));
        let prompt = client().prompt("?").json_mode(mode);
        assert_eq!(prompt.json::<City>().await.unwrap(), paris(), "{events:?}");
        let stream = client().prompt("?").json_mode(mode).json_stream::<City>().await.unwrap();
        let seen: Vec<_> = stream.map(Result::unwrap).collect().await;
        let again: Vec<_> = seen.iter().filter(|one| matches!(one, JsonEvent::Again(_))).collect();
        assert_eq!(again.len(), 1, "{seen:?}");
        let parts = seen.split(|one| matches!(one, JsonEvent::Again(_)));
        let parts: Vec<Vec<Value>> = parts
            .map(|events| {
                let value = |event: &_| match event {
                    JsonEvent::Partial(value) => value.clone(),
                    JsonEvent::Done(done) => json!(done.value),
                    other => panic!("{other:?}"),
                };
                events.iter().map(value).collect()
            })
            .collect();
        assert_eq!(parts[0], [json!({"name": "Rome"})], "{seen:?}");
        assert_eq!(parts[1].last(), Some(&json!(paris())));
        for pair in parts[1].windows(2) {
            assert!(is_prefix(&pair[0], &pair[1]), "{pair:?}");
        }
    }
}

#[tokio::test]
async fn a_value_before_tools_ran_is_taken_back() {
    let fake = FakeProvider::new()
        .reply(FakeReply::new().text("{\"value\": 1} ").tool_call("add", json!({"a": 1, "b": 2})))
        .reply(FakeReply::new().text("{\"value\": 3}"));
    let prompt = Client::new(fake).prompt("1 + 2?").tool(add {}).json_mode(JsonMode::Schema);
    let stream = prompt.json_stream::<Sum>().await.unwrap();
    let told = stream.map(|event| match event.unwrap() {
        JsonEvent::Partial(value) => value,
        JsonEvent::Again(_) => Value::Null,
        JsonEvent::Done(done) => done.value.value.into(),
        other => panic!("{:?}", std::mem::discriminant(&other)),
    });
    let told: Vec<_> = told.collect().await;
    let again = told.iter().position(Value::is_null).unwrap();
    assert_eq!(told[again - 1], json!({"value": 1}));
    assert_eq!(told.last(), Some(&json!(3)));
}
