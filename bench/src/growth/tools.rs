//! Tools in the registry beside those that a request uses. What a request tells a model of tools
//! grows with the tools that it names, so the route names five.

use super::silent::{ANSWER, Asked, Silent};
use super::{Area, Case, Work};
use crate::Result;
use ember::ai::AiOptions;
use ember::http::{Request, StatusCode};
use ember::llm::tool::ParameterSchema;
use ember::llm::{Client, Tool, ToolCall, ToolRegistry};
use ember::web::Route;
use ember::{Body, Ember};

pub(super) const AREA: Area = Area {
    name: "tools",
    title: "One request with so many tools in the registry",
    cases: &[
        Case::new("a question with 5 tools, one of them called"),
        Case::new("a handler that takes the registry and calls a tool"),
    ],
    sizes: &[10, 100, 1_000],
    times: |_| (2_000, 20_000),
    ready,
};

/// How many tools the route names.
const NAMED: usize = 5;

fn ready(case: &str, size: usize, _: usize) -> Result<Work> {
    let parameters = ParameterSchema::object([ParameterSchema::new("n", "integer", "A number.")]);
    let tool = |number: usize| {
        let name = format!("tool_{number}");
        Tool::new(name, "Gives back what it is given.", parameters.clone(), async |n| Ok(n))
    };
    let tools = (0..size).map(tool).collect::<std::result::Result<Vec<_>, _>>()?;
    // Those in the middle: neither the first nor the last.
    let named = tools[size / 2 - NAMED / 2..][..NAMED].to_vec();
    let called = named[NAMED / 2].name().to_owned();
    let name: &'static str = called.clone().leak();
    let question = Route::post("/question", question).with(move |options| {
        AiOptions::of(options).tools(named);
    });
    let app = Ember::new()
        .client(Client::new(Silent { calls: Some(name) }))
        .component(ToolRegistry::of(tools)?)
        .route(question)
        .route(Route::post("/call", call));
    let asked = Asked::new(app)?;
    let (target, body, answer) = match case {
        "a question with 5 tools, one of them called" => ("/question", "What is it?", ANSWER),
        _ => ("/call", name, r#"{"n":1}"#),
    };
    Ok(Box::new(move || {
        let request = Request::post(target).header("host", "localhost").body(Body::from(body))?;
        asked.expect(request, StatusCode::OK, answer).map(drop)
    }))
}

async fn question(client: Client, question: String) -> ember::Result<String> {
    Ok(client.ask(question).await?)
}

async fn call(tools: ToolRegistry, name: String) -> String {
    tools.execute(&ToolCall::new("call_1", name, r#"{"n": 1}"#)).await.content
}
