//! Tools by their names, calls with checked arguments, and values in a store.

use crate::{Area, Work};
use ember::base::clock::secs;
use ember::base::tokens::estimate_tokens;
use ember::llm::tool::ParameterSchema;
use ember::llm::{PromptTemplate, Tool, ToolCall, ToolRegistry};
use ember::prelude::*;
use ember::store::{MemoryStore, Store as _};
use futures_util::FutureExt as _;
use std::hint::black_box;

pub(crate) const ALL: Area = &[
    ("registry/find one of 1,000 tools", find),
    ("registry/call a tool", call),
    ("registry/specs of 100 tools", specs),
    ("store/set and get", store),
    ("prompt/render", render),
    ("tokens/estimate 1,000 words", estimate),
];

/// Tells the weather of some days.
#[tool]
async fn weather(
    /// Name of the city.
    city: String,
    /// How many days.
    days: u32,
) -> String {
    format!("{city}: sunny for {days} days")
}

fn tools(count: usize) -> ToolRegistry {
    let parameters = ParameterSchema::object([ParameterSchema::new("n", "integer", "A number.")]);
    let tool = |number| {
        let (name, parameters) = (format!("tool_{number}"), parameters.clone());
        Tool::new(name, "Doubles.", parameters, async |n| Ok(n)).expect("a name")
    };
    ToolRegistry::of((0..count).map(tool)).expect("each has a name of its own")
}

fn find() -> Work {
    let tools = tools(1_000);
    Box::new(move || assert!(tools.get(black_box("tool_500")).is_some()))
}

fn call() -> Work {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime starts");
    let mut tools = tools(100);
    tools.register(weather {}).expect("no other has its name");
    let call = ToolCall::new("call_1", "weather", r#"{"city": "Paris", "days": 3}"#);
    Box::new(move || {
        let result = runtime.block_on(tools.execute(black_box(&call)));
        assert_eq!(result.content, "Paris: sunny for 3 days");
    })
}

fn specs() -> Work {
    let tools = tools(100);
    Box::new(move || assert_eq!(black_box(&tools).to_openai_specs().len(), 100))
}

fn store() -> Work {
    let store = MemoryStore::new();
    let value = Bytes::from_static(b"a value that is not very long");
    Box::new(move || {
        let set = store.set(black_box("key"), value.clone(), secs(60)).now_or_never();
        set.expect("memory answers at once").expect("there is room");
        let got = store.get(black_box("key")).now_or_never();
        let got = got.expect("memory answers at once").expect("memory does not fail");
        assert_eq!(got.as_ref(), Some(&value));
    })
}

fn render() -> Work {
    let template = PromptTemplate::new("Answer in {language}, for {reader}: {question}");
    let values = [("language", "English"), ("reader", "a child"), ("question", "Why?")];
    Box::new(move || {
        let text = template.render(black_box(values)).expect("every variable is filled");
        assert_eq!(text.len(), 36);
    })
}

fn estimate() -> Work {
    let text = "The model says that it goes on. ".repeat(125);
    Box::new(move || assert!(estimate_tokens(black_box(&text)) > 900))
}
