//! A conversation moves from one provider to another, and stays acceptable to it.

use ember::llm::adapter::Adapter;
use ember::llm::adapter::anthropic::Anthropic;
use ember::llm::adapter::gemini::Gemini;
use ember::llm::adapter::openai::OpenAi;
use ember::llm::adapter::responses::OpenAiResponses;
use ember::llm::{
    ChatRequest, Message, Opaque, Part, Reasoning, Role, Signature, ToolCall, ToolResult,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::HashSet;

const PROVIDERS: [&str; 4] = ["openai", "openai-responses", "anthropic", "gemini"];

fn marked() -> impl Strategy<Value = Option<Signature>> {
    let value = json!({"id": "i", "encrypted_content": "e"}).to_string();
    prop::option::of(
        prop::sample::select(&PROVIDERS[..]).prop_map(move |name| Signature::new(name, &value)),
    )
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof!["call_[0-3]", "toolu_[a-b]", "functions\\.f:[0-1]", "x{90}"]
}

fn part() -> impl Strategy<Value = Part> {
    let call = (id(), marked(), any::<bool>()).prop_map(|(id, signature, truncated)| {
        let mut call = ToolCall::new(id, "f", "{\"a\":1}");
        call.signature = signature;
        call.truncated = truncated;
        Part::ToolCall(call)
    });
    let result =
        id().prop_map(|id| Part::ToolResult(ToolResult::new(&ToolCall::new(id, "f", ""), "1")));
    let thought = marked().prop_map(|signature| {
        let mut thought = Reasoning::new("hm");
        thought.signature = signature;
        Part::Reasoning(thought)
    });
    let opaque = prop::sample::select(&PROVIDERS[1..]).prop_map(|name| {
        let value = match name {
            "gemini" => json!({"executableCode": {"code": "1"}}),
            _ => json!({"type": "opaque"}),
        };
        Part::Opaque(Opaque::new(name, value))
    });
    prop_oneof![
        "[a-z]{0,3}".prop_map(Part::from),
        call,
        result,
        thought,
        opaque,
        Just(Part::Refusal("No.".into())),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let role = prop_oneof![
        Just(Role::System),
        Just(Role::User),
        Just(Role::Assistant),
        Just(Role::Assistant),
        Just(Role::Tool)
    ];
    (role, vec(part(), 0..4)).prop_map(|(role, parts)| Message::new(role, parts))
}

fn body(adapter: &impl Adapter, messages: &[Message]) -> (Value, usize) {
    let request = ChatRequest::new(messages.to_vec());
    let encoded = adapter.encode(&request, "model", false).unwrap();
    (serde_json::from_slice(&encoded.body).unwrap(), encoded.dropped.len())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The marks of other providers must not be told.
fn assert_own(body: &Value, name: &str) {
    let text = body.to_string();
    let mark = text.contains("encrypted_content");
    assert!(!mark || name != "openai", "{text}");
}

fn check_anthropic(messages: &[Message]) {
    let (body, _) = body(&Anthropic::new(), messages);
    assert_own(&body, "anthropic");
    let turns = list(&body["messages"]);
    let ids = |turn: &Value, kind: &str, name: &str| -> Vec<String> {
        let blocks = list(&turn["content"]).iter().filter(|block| block["type"] == kind);
        blocks.map(|block| block[name].as_str().unwrap().to_owned()).collect()
    };
    for (at, turn) in turns.iter().enumerate() {
        assert_eq!(turn["role"], if at % 2 == 0 { "user" } else { "assistant" }, "{body:#}");
        assert!(!list(&turn["content"]).is_empty());
        let calls = ids(turn, "tool_use", "id");
        assert!(calls.iter().all(|id| {
            (1..=64).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        }));
        let answers = turns.get(at + 1).map(|next| ids(next, "tool_result", "tool_use_id"));
        assert_eq!(calls, if at % 2 == 1 { answers.unwrap_or_default() } else { calls.clone() });
        let first_other =
            list(&turn["content"]).iter().position(|block| block["type"] != "tool_result");
        let after = first_other.map_or(&[][..], |place| &list(&turn["content"])[place..]);
        assert!(after.iter().all(|block| block["type"] != "tool_result"), "{body:#}");
        for block in list(&turn["content"]) {
            assert!(block["type"] != "thinking" || block["signature"].is_string());
            assert!(block["type"] != "text" || block["text"] != "");
        }
    }
}

fn check_gemini(messages: &[Message]) {
    let (body, _) = body(&Gemini::new(), messages);
    for (at, turn) in list(&body["contents"]).iter().enumerate() {
        assert_eq!(turn["role"], if at % 2 == 0 { "user" } else { "model" }, "{body:#}");
        let count = |turn: &Value, kind: &str| {
            list(&turn["parts"]).iter().filter(|part| part.get(kind).is_some()).count()
        };
        let calls = count(turn, "functionCall");
        let answers = body["contents"].get(at + 1).map(|next| count(next, "functionResponse"));
        if at % 2 == 1 {
            assert_eq!(calls, answers.unwrap_or_default(), "{body:#}");
        }
        // The first call of a turn is signed, be it by somebody else.
        let mut calls =
            list(&turn["parts"]).iter().filter(|part| part.get("functionCall").is_some());
        assert!(calls.next().is_none_or(|call| call["thoughtSignature"].is_string()), "{body:#}");
        assert!(!list(&turn["parts"]).is_empty());
    }
}

fn check_responses(messages: &[Message]) {
    let (body, _) = body(&OpenAiResponses::new(), messages);
    let items = list(&body["input"]);
    let ids = |kind: &str| -> Vec<&str> {
        let items = items.iter().filter(|item| item["type"] == kind);
        items.map(|item| item["call_id"].as_str().unwrap()).collect()
    };
    let (calls, answers) = (ids("function_call"), ids("function_call_output"));
    assert_eq!(calls.len(), answers.len(), "{body:#}");
    let (mut open, mut seen) = (Vec::new(), HashSet::new());
    for item in items {
        match item["type"].as_str().unwrap() {
            "function_call" => open.push(item["call_id"].as_str().unwrap()),
            "function_call_output" => {
                let id = item["call_id"].as_str().unwrap();
                assert!(id.len() <= 64 && open.contains(&id), "{body:#}");
                open.retain(|known| *known != id);
                seen.insert(id);
            }
            "reasoning" => assert!(item["encrypted_content"].is_string()),
            _ => {}
        }
    }
    // A thought stands before what it led to.
    for at in (0..items.len()).filter(|at| items[*at]["type"] == "reasoning") {
        let next = items[at..].iter().find(|item| item["type"] != "reasoning");
        assert!(next.is_some_and(|item| item["id"].is_string()), "{body:#}");
    }
    assert!(open.is_empty(), "{body:#}");
}

fn check_openai(messages: &[Message]) {
    let (body, _) = body(&OpenAi::new(), messages);
    assert_own(&body, "openai");
    let mut open: Vec<&str> = Vec::new();
    for message in list(&body["messages"]) {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().unwrap();
            assert!(id.len() <= 40 && open.contains(&id), "{body:#}");
            open.retain(|known| *known != id);
        } else {
            assert!(open.is_empty(), "something stands between calls and results: {body:#}");
        }
        open.extend(list(&message["tool_calls"]).iter().map(|call| call["id"].as_str().unwrap()));
    }
    assert!(open.is_empty(), "{body:#}");
}

/// What is not said is listed: of texts, calls and results, none is lost in silence.
fn check_nothing_is_lost(messages: &[Message]) {
    let count = |wanted: fn(&Part) -> bool| {
        messages.iter().flat_map(|message| &message.content).filter(|part| wanted(part)).count()
    };
    let calls = count(|part| matches!(part, Part::ToolCall(_)));
    let results = count(|part| matches!(part, Part::ToolResult(_)));
    let said = |adapter: &dyn Fn() -> (Value, usize), call: &str, result: &str| {
        let (body, dropped) = adapter();
        let text = body.to_string();
        let found = text.matches(call).count() + text.matches(result).count();
        assert!(
            found + dropped >= calls + results,
            "{dropped} dropped of {calls} and {results}: {body:#}"
        );
    };
    said(&|| body(&Anthropic::new(), messages), "\"tool_use\"", "\"tool_result\"");
    said(&|| body(&Gemini::new(), messages), "\"functionCall\"", "\"functionResponse\"");
    said(
        &|| body(&OpenAiResponses::new(), messages),
        "\"function_call\"",
        "\"function_call_output\"",
    );
    said(&|| body(&OpenAi::new(), messages), "\"function\":{", "\"tool_call_id\"");
}

proptest! {
    // A failure is told with its smallest input; no file is left behind.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_is_acceptable_to_every_provider(messages in vec(message(), 0..8)) {
        check_anthropic(&messages);
        check_gemini(&messages);
        check_responses(&messages);
        check_openai(&messages);
        check_nothing_is_lost(&messages);
    }
}
