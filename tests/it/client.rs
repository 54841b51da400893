//! The client with a fake provider: the tool loop, unary and streamed.

use ember::Env;
use ember::llm::tool::ParameterSchema;
use ember::llm::{
    ChatEvent, ChatRequest, ChatResponse, ChatStream, Client, Error as LlmError, ErrorKind,
    FakeProvider, FakeReply, FinishReason, Message, Part, Provider, Role, Tool, ToolCall,
    ToolChoice, ToolResult, Usage,
};
use ember::prelude::*;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Barrier;

/// Adds two numbers.
#[tool]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

/// Fails.
#[tool]
async fn fail() -> Result<String, ToolError> {
    Err(ToolError::new("out of order"))
}

/// Searches by itself before it answers, and only knows whole answers.
struct Searching(FakeProvider);

impl Provider for Searching {
    fn name(&self) -> &str {
        "searching"
    }

    async fn chat(&self, request: &ChatRequest) -> Result<ChatResponse, LlmError> {
        let mut response = self.0.chat(request).await?;
        let call = ToolCall::new("s", "search", "{}");
        let result = ToolResult::new(&call, "found");
        response.steps.push(Message::new(Role::Assistant, [Part::ToolCall(call)]));
        response.steps.push(Message::tool_results([result]));
        Ok(response)
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, LlmError> {
        Ok(self.chat(request).await?.into_stream())
    }
}

#[tokio::test]
async fn the_steps_of_a_provider_are_steps_of_the_answer() {
    let script = || {
        let first = FakeProvider::new().reply(sum_of(1, 2));
        Client::new(Searching(first.reply(FakeReply::new().text("3"))))
    };
    let request = || ChatRequest::from("1 + 2?").tool(add {});
    let whole = script().complete(request()).await.unwrap();
    let folded = script().stream(request()).await.unwrap().collect().await.unwrap();
    assert_eq!(whole, folded);
    let names = whole.steps.iter().flat_map(Message::tool_calls).map(|call| &*call.name);
    assert!(names.eq(["search", "add", "search"]), "{:?}", whole.steps);
    // Where no tool of ours can run, there is no loop.
    let script = || Client::new(Searching(FakeProvider::new().text("3")));
    let whole = script().complete("1 + 2?").await.unwrap();
    let folded = script().stream("1 + 2?").await.unwrap().collect().await.unwrap();
    assert_eq!((&whole, whole.steps.len()), (&folded, 2));
}

/// What the client does with a script, asked at once and streamed: it must be the same.
async fn both(
    script: &[FakeReply],
    request: impl Into<ChatRequest>,
) -> (FakeProvider, ChatResponse) {
    let request = request.into();
    let provider = || script.iter().cloned().fold(FakeProvider::new(), FakeProvider::reply);
    let (unary, streamed) = (provider(), provider());
    let whole = Client::new(unary.clone()).complete(request.clone()).await.unwrap();
    let folded =
        Client::new(streamed.clone()).stream(request).await.unwrap().collect().await.unwrap();
    assert_eq!(whole, folded);
    assert_eq!(unary.requests(), streamed.requests());
    (unary, whole)
}

fn sum_of(a: i64, b: i64) -> FakeReply {
    FakeReply::new().tool_call("add", json!({"a": a, "b": b}))
}

#[tokio::test]
async fn an_answer_without_tools_is_one_call() {
    let (fake, response) = both(&[FakeReply::new().text("Hello my friend")], "Hi there").await;
    assert_eq!(response.text(), "Hello my friend");
    assert_eq!(
        (response.finish.reason, response.usage),
        (FinishReason::Stop, Some(Usage::new(2, 3)))
    );
    assert_eq!(fake.requests(), [ChatRequest::from("Hi there").temperature(0.7)]);
}

#[tokio::test]
async fn tools_run_until_there_is_an_answer() {
    let script = [
        FakeReply::new()
            .text("Let me add those. ")
            .tool_call("add", json!({"a": 17, "b": 25}))
            .usage(Usage::new(10, 5)),
        sum_of(42, 1).usage(Usage::new(20, 6)),
        FakeReply::new().text("The answer is 43.").usage(Usage::new(30, 7)),
    ];
    let (fake, response) = both(&script, ChatRequest::from("17 + 25 + 1?").tool(add {})).await;
    assert_eq!(response.text(), "The answer is 43.");
    assert_eq!(response.usage, Some(Usage::new(60, 18)), "the usage of all rounds");
    let roles: Vec<_> = response.steps.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::Assistant, Role::Tool, Role::Assistant, Role::Tool]);
    assert_eq!(response.steps[0].text(), "Let me add those. ");
    let last = fake.requests().pop().unwrap();
    let Part::ToolResult(result) = &last.messages.last().unwrap().content[0] else {
        panic!("{last:?}")
    };
    assert_eq!((result.content.as_str(), result.is_error), ("43", false));
}

#[tokio::test]
async fn several_calls_of_one_turn_are_answered_in_order() {
    let calls = sum_of(1, 1).tool_call("fail", json!({})).tool_call("add", json!({"a": 2, "b": 2}));
    let script = [calls.tool_call("nobody", json!({})), FakeReply::new().text("Done.")];
    let request = ChatRequest::from("Go").tools([Tool::from(add {}), Tool::from(fail {})]);
    let (_, response) = both(&script, request).await;
    let results: Vec<_> = response.steps[1]
        .content
        .iter()
        .map(|part| match part {
            Part::ToolResult(result) => {
                (result.call_id.as_str(), result.content.as_str(), result.is_error)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        results[..3],
        [("call_1", "2", false), ("call_2", "out of order", true), ("call_3", "4", false)]
    );
    assert!(results[3].1.contains("there is no tool `nobody`"));
}

#[tokio::test]
async fn a_runaway_loop_is_stopped() {
    let env = Env::of([("LLM_PROVIDER", "fake"), ("EMBER_MAX_TOOL_ITERATIONS", "3")]);
    let run_away = || FakeProvider::new().respond(|_| sum_of(1, 1));
    for (client, rounds) in [(Client::new(run_away()), 10), (Client::new(run_away()).env(env), 3)] {
        let request = || ChatRequest::from("Go").tool(add {});
        let whole = client.complete(request()).await.unwrap();
        let folded = client.stream(request()).await.unwrap().collect().await.unwrap();
        assert_eq!(whole.finish.reason, FinishReason::ToolLimit);
        assert_eq!(whole.steps.len(), 2 * (rounds - 1));
        assert_eq!(whole, folded);
        let own = client.complete(request().max_turns(2)).await.unwrap();
        assert_eq!(own.steps.len(), 2, "a request's own limit goes before that of the environment");
    }
}

#[tokio::test]
async fn a_tool_that_must_be_called_is_called_once() {
    // A model that does as it is told: it calls as long as it must.
    let obedient = |request: &ChatRequest| match request.tool_choice {
        ToolChoice::Auto => FakeReply::new().text("3."),
        _ => sum_of(1, 2),
    };
    for choice in [ToolChoice::Required, ToolChoice::Tool("add".into())] {
        let request = || ChatRequest::from("Go").tool(add {}).tool_choice(choice.clone());
        let client = Client::new(FakeProvider::new().respond(obedient));
        assert_eq!(client.complete(request()).await.unwrap().into_text().unwrap(), "3.");
        let streamed = client.stream(request()).await.unwrap().collect().await.unwrap();
        assert_eq!(streamed.into_text().unwrap(), "3.");
    }
    let never = FakeProvider::new().reply(sum_of(1, 2)).text("3.");
    let request = ChatRequest::from("Go").tool(add {}).tool_choice(ToolChoice::None);
    Client::new(never.clone()).complete(request).await.unwrap();
    assert_eq!(never.requests()[1].tool_choice, ToolChoice::None);
}

#[tokio::test]
async fn an_answer_that_is_broken_is_no_answer() {
    let refusal = FakeReply::new().event(ChatEvent::Refusal("No.".into()));
    for (reply, kind) in [
        (FakeReply::new().text("a ").finish(FinishReason::Length), ErrorKind::Truncated),
        (FakeReply::new().text("a ").finish(FinishReason::Error), ErrorKind::Server),
        (FakeReply::new().finish(FinishReason::ContentFilter), ErrorKind::ContentFilter),
        (refusal.clone().finish(FinishReason::ContentFilter), ErrorKind::ContentFilter),
        (refusal, ErrorKind::ContentFilter),
        (sum_of(1, 1), ErrorKind::ToolLimit),
    ] {
        let client = || {
            Client::new(FakeProvider::new().respond({
                let reply = reply.clone();
                move |_| reply.clone()
            }))
        };
        let request = || ChatRequest::from("Go").tool(add {});
        assert_eq!(client().ask(request()).await.unwrap_err().kind(), kind);
        assert_eq!(client().prompt(request()).text().await.unwrap_err().kind(), kind);
        let mut text = client().stream_text(request()).await.unwrap();
        let mut last = None;
        while let Some(piece) = text.next().await {
            last = Some(piece);
        }
        assert_eq!(last.unwrap().unwrap_err().kind(), kind);
        let whole = client().complete(request()).await.unwrap();
        assert_ne!(whole.finish.reason, FinishReason::ToolCalls, "how it ended is data");
    }
}

#[tokio::test]
async fn ids_of_calls_differ_in_all_rounds() {
    let script = [
        sum_of(1, 1),
        sum_of(2, 2).tool_call("add", json!({"a": 3, "b": 3})),
        FakeReply::new().text("Done."),
    ];
    let (_, response) = both(&script, ChatRequest::from("Go").tool(add {})).await;
    let ids: Vec<_> =
        response.steps.iter().flat_map(Message::tool_calls).map(|call| call.id.as_str()).collect();
    assert_eq!(ids, ["call_1", "call_2", "call_3"]);
}

#[tokio::test]
async fn calls_of_one_turn_overlap_in_time() {
    // Each call waits for the other, so one after the other they would wait for ever.
    let barrier = Arc::new(Barrier::new(2));
    let meet = Tool::new("meet", "Waits for another.", ParameterSchema::object([]), move |_| {
        let barrier = barrier.clone();
        async move {
            barrier.wait().await;
            Ok("met")
        }
    });
    let calls = FakeReply::new().tool_call("meet", json!({})).tool_call("meet", json!({}));
    let script = [calls, FakeReply::new().text("Done.")];
    let (_, response) = both(&script, ChatRequest::from("Go").tool(meet.unwrap())).await;
    assert_eq!(response.text(), "Done.");
}

#[tokio::test]
async fn a_client_can_be_given_defaults() {
    let fake = FakeProvider::new().text("ok");
    let client = Client::new(fake.clone()).model("small").tools([add {}]);
    client.ask("Hi").await.unwrap();
    let own = Tool::declared("add", "Another.", ParameterSchema::object([])).unwrap();
    client.ask(ChatRequest::from("Hi").model("large").tool(own)).await.unwrap();
    let [first, second] = &fake.requests()[..] else { panic!() };
    assert_eq!((first.model.as_deref(), first.tools.len()), (Some("small"), 1));
    assert_eq!((second.model.as_deref(), second.tools.len()), (Some("large"), 1));
    assert_eq!(second.tools[0].description(), "Another.");
}

#[tokio::test]
async fn calls_of_tools_that_run_elsewhere_go_back() {
    let elsewhere =
        Tool::declared("open_window", "Opens a window.", ParameterSchema::object([])).unwrap();
    let script = [FakeReply::new().tool_call("open_window", json!({}))];
    let (_, response) = both(&script, ChatRequest::from("Go").tool(elsewhere).tool(add {})).await;
    assert_eq!(response.finish.reason, FinishReason::ToolCalls);
    assert_eq!(response.tool_calls().next().unwrap().name, "open_window");
}

#[tokio::test]
async fn calls_of_a_cut_turn_never_run() {
    let script = [sum_of(1, 1).finish(FinishReason::Length)];
    let (fake, response) = both(&script, ChatRequest::from("Go").tool(add {})).await;
    assert_eq!(response.finish.reason, FinishReason::Length);
    assert!(response.message.tool_calls().all(|call| call.truncated));
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn a_streamed_loop_is_one_stream() {
    let script = [
        FakeReply::new()
            .text("Let me ")
            .tool_call("add", json!({"a": 1, "b": 2}))
            .tool_call("add", json!({"a": 3, "b": 4})),
        sum_of(3, 7),
        FakeReply::new().text("It is 10."),
    ];
    let fake = script.into_iter().fold(FakeProvider::new(), FakeProvider::reply);
    let client = Client::new(fake);
    let mut stream = client.prompt("Go").tool(add {}).stream().await.unwrap();
    let mut seen = Vec::new();
    while let Some(event) = stream.next().await {
        seen.push(match event.unwrap() {
            ChatEvent::Text(text) => text,
            ChatEvent::ToolCallStart { index, .. } => format!("call {index}"),
            ChatEvent::ToolResult(result) => format!("result {}", result.content),
            ChatEvent::StepEnd => "step".to_owned(),
            ChatEvent::Usage(usage) => format!("usage {}", usage.total_output()),
            ChatEvent::Finish(finish) => format!("{:?}", finish.reason),
            _ => continue,
        });
    }
    let expected = [
        "Let ",
        "me ",
        "call 0",
        "call 1",
        "usage 2",
        "result 3",
        "result 7",
        "step",
        "call 2",
        "usage 2",
        "result 10",
        "step",
        "It ",
        "is ",
        "10.",
        "usage 5",
        "Stop",
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn text_alone_can_be_streamed() {
    let script = [
        FakeReply::new().text("Let me add. ").tool_call("add", json!({"a": 1, "b": 2})),
        FakeReply::new().text("3."),
    ];
    let client = Client::new(script.into_iter().fold(FakeProvider::new(), FakeProvider::reply));
    let mut text = client.stream_text(ChatRequest::from("1 + 2?").tool(add {})).await.unwrap();
    let mut all = String::new();
    while let Some(piece) = text.next().await {
        all += &piece.unwrap();
    }
    assert_eq!(all, "Let me add. 3.");
}

#[tokio::test]
async fn failures_in_any_round_are_errors() {
    let failing = [
        FakeReply::error(ErrorKind::Overloaded, "busy"),
        FakeReply::new().text("a b").fail_after(1, ErrorKind::Overloaded, "busy"),
    ];
    for second in failing {
        let fake = || FakeProvider::new().reply(sum_of(1, 1)).reply(second.clone());
        let request = || ChatRequest::from("Go").tool(add {});
        let unary = Client::new(fake()).complete(request()).await.unwrap_err();
        let streamed =
            Client::new(fake()).stream(request()).await.unwrap().collect().await.unwrap_err();
        assert_eq!((unary.kind(), streamed.kind()), (ErrorKind::Overloaded, ErrorKind::Overloaded));
    }
    let cut = FakeProvider::new().reply(FakeReply::new().text("a b c").cut_after(2));
    let error = Client::new(cut).stream("Go").await.unwrap().collect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Truncated);
}

#[tokio::test]
async fn a_prompt_is_put_together_step_by_step() {
    let fake = FakeProvider::new().text("ok");
    let client = Client::new(fake.clone());
    let prompt =
        client.prompt([Message::system("old"), Message::user("Hi")]).system("new").model("m");
    prompt
        .temperature(0.5)
        .max_tokens(9)
        .tool(add {})
        .with(|request| request.seed(7))
        .text()
        .await
        .unwrap();
    let request = fake.requests().pop().unwrap();
    assert_eq!(request.messages, [Message::system("new"), Message::user("Hi")]);
    assert_eq!(
        (request.model.as_deref(), request.temperature, request.max_tokens),
        (Some("m"), Some(0.5), Some(9))
    );
    assert_eq!((request.seed, request.tools.len()), (Some(7), 1));
}

#[tokio::test]
async fn the_environment_chooses_the_provider() {
    let fake = Client::with_env(Env::of([("LLM_PROVIDER", "fake")])).unwrap();
    assert!(fake.ask("Who are you?").await.unwrap().contains("Who are you?"));
    let missing = Client::with_env(Env::of::<&str, &str>([])).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Config);
    assert_eq!(missing.message(), "the provider `openai` needs a key: set OPENAI_API_KEY");
    let unknown = Client::with_env(Env::of([("LLM_PROVIDER", "x")])).unwrap_err();
    assert!(
        unknown
            .message()
            .starts_with("there is no provider `x`; did you mean `xai`? LLM_PROVIDER can be"),
        "{unknown}"
    );
}

/// Looks something up.
#[tool(max_calls = 2, timeout = secs(1))]
async fn look_up(key: u8) -> u8 {
    key
}

#[tokio::test]
async fn a_tool_is_called_so_often_and_no_more() {
    let look_up_twice = |a: u8, b: u8| {
        let reply = FakeReply::new().tool_call("look_up", json!({"key": a}));
        reply.tool_call("look_up", json!({"key": b}))
    };
    let script = [
        look_up_twice(1, 2).tool_call("look_up", json!({"key": 3})),
        look_up_twice(4, 5).tool_call("add", json!({"a": 1, "b": 2})),
        FakeReply::new().text("Enough."),
    ];
    let request = || ChatRequest::from("x").tool(look_up {}).tool(add {});
    let (_, response) = both(&script, request()).await;
    let parts = response.steps.iter().flat_map(|step| step.content.iter());
    let results = parts.filter_map(|part| match part {
        Part::ToolResult(result) => Some((result.content.as_str(), result.is_error)),
        _ => None,
    });
    let refused = ("the tool `look_up` can be called 2 times and no more: go on without", true);
    let expected = [("1", false), ("2", false), refused, refused, refused, ("3", false)];
    assert_eq!(results.collect::<Vec<_>>(), expected);
    // The next request counts anew, and so does a tool that is made by hand.
    let hand = Tool::from(look_up {}).max_calls(1);
    assert_eq!((hand.options().max_calls, hand.options().timeout), (Some(1), Some(secs(1))));
    let (_, again) = both(
        &[look_up_twice(7, 8), FakeReply::new().text("So.")],
        ChatRequest::from("x").tool(hand),
    )
    .await;
    let told = format!("{:?}", again.steps);
    assert!(told.contains("can be called once and no more"), "{told}");
}
