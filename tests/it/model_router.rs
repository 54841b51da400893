//! Several models behind one client: which is asked, and what happens when one fails.

use ember::Env;
use ember::base::clock::{ManualClock, millis, secs};
use ember::llm::catalog::{Capability, Catalog, Model};
use ember::llm::events::{ModelFailed, RequestComplete, RequestError};
use ember::llm::layer::{CircuitBreakerConfig, RetryConfig};
use ember::llm::router::{ModelRouterBuilder, ModelState};
use ember::llm::tool::ParameterSchema;
use ember::llm::{
    ChatEvent, ChatRequest, ChatResponse, Error, ErrorKind, FakeProvider, FakeReply, Message, Part,
    Price, ResponseFormat, Tool, Usage,
};
use ember::prelude::*;
use ember::testing::TestClient;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Adds two numbers.
#[tool]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[ai_route("/stream")]
async fn streamed(conversation: ConversationContext, body: String) -> ember::Result<TokenStream> {
    conversation.stream(body).await
}

#[ai_route("/second", model = "second")]
async fn second(mut conversation: ConversationContext, body: String) -> ember::Result<String> {
    conversation.ask(body).await
}

#[ai_route("/which")]
async fn which(router: ModelRouter, body: String) -> ember::Result<String> {
    Ok(router.select(&body.into())?.name)
}

/// A router without settings of this process, which asks each model once.
fn builder() -> ModelRouterBuilder {
    ModelRouter::builder().env(Env::of::<&str, &str>([])).without_retry()
}

fn spec(name: &str, replies: impl IntoIterator<Item = FakeReply>) -> ModelSpec {
    let script = replies.into_iter().fold(FakeProvider::new(), FakeProvider::reply);
    ModelSpec::served_by(name, script.text(name))
}

fn down(name: &str, kind: ErrorKind) -> ModelSpec {
    let provider = FakeProvider::new().respond(move |_| FakeReply::error(kind, "down"));
    ModelSpec::served_by(name, provider)
}

async fn ask(
    router: &ModelRouter,
    request: impl Into<ChatRequest>,
    streamed: bool,
) -> Result<ChatResponse, Error> {
    ember_tests::ask(&router.client(), request, streamed).await
}

fn selected(router: &ModelRouter, request: impl Into<ChatRequest>) -> String {
    router.select(&request.into()).unwrap().name
}

#[tokio::test]
async fn a_failure_of_the_model_moves_the_call_and_one_of_the_request_does_not() {
    use ErrorKind::*;
    let moving = [
        Overloaded,
        RateLimit,
        Quota,
        Timeout,
        Transport,
        Server,
        Auth,
        CircuitOpen,
        Config,
        Truncated,
        Decode,
        ContextLength,
    ];
    let staying = [InvalidRequest, ContentFilter, BudgetExceeded, Cancelled];
    for streamed in [false, true] {
        for kind in moving {
            let router = builder().model(down("a", kind)).model(spec("b", [])).build().unwrap();
            let response = ask(&router, "Hi", streamed).await.unwrap();
            assert_eq!(
                (response.text().as_ref(), response.model.as_deref()),
                ("b", Some("b")),
                "{kind:?}"
            );
            let bill = router.ledger().totals();
            let billed = usize::from(matches!(kind, Truncated | Decode));
            assert_eq!(bill.total_requests() as usize, 1 + billed, "{kind:?}: {bill:?}");
        }
        for kind in staying {
            let router = builder().model(down("a", kind)).model(spec("b", [])).build().unwrap();
            assert_eq!(ask(&router, "Hi", streamed).await.unwrap_err().kind(), kind);
            assert_eq!(router.health()[1].answers, 0);
        }
    }
}

#[tokio::test]
async fn a_stream_moves_until_something_was_seen_and_then_ends_in_an_error() {
    let usage = || ChatEvent::Usage(Usage::new(9, 9));
    let unseen =
        FakeReply::new().event(usage()).text("never").fail_after(1, ErrorKind::Transport, "reset");
    let router = builder().model(spec("a", [unseen])).model(spec("b", [])).build().unwrap();
    let mut stream = router.client().stream("Hi").await.unwrap();
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event.unwrap());
    }
    let starts: Vec<_> =
        events.iter().filter(|event| matches!(event, ChatEvent::Start { .. })).collect();
    assert!(
        matches!(starts[..], [ChatEvent::Start { model: Some(model), .. }] if model == "b"),
        "{starts:?}"
    );
    assert!(!events.contains(&usage()), "what the first used is not the answer's");

    let call = || FakeReply::new().tool_call("add", json!({"a": 1}));
    for reply in [FakeReply::new().text("a b c"), FakeReply::new().reasoning("a b c"), call()] {
        let broken = reply.fail_after(1, ErrorKind::Overloaded, "gone");
        let router = builder().model(spec("a", [broken])).model(spec("b", [])).build().unwrap();
        let mut stream = router.client().stream("Hi").await.unwrap();
        let mut last = None;
        while let Some(item) = stream.next().await {
            last = Some(item);
        }
        assert_eq!(last.unwrap().unwrap_err().kind(), ErrorKind::Overloaded);
        let health = router.health();
        assert_eq!((health[0].failures, health[1].answers), (1, 0));
    }
}

#[tokio::test]
async fn a_conversation_that_is_too_long_goes_to_a_larger_window() {
    for streamed in [false, true] {
        let too_long = |name, window| down(name, ErrorKind::ContextLength).context_window(window);
        let small = FakeProvider::new().text("small");
        let router = builder()
            .model(too_long("a", 8_000))
            .model(ModelSpec::served_by("small", small.clone()).context_window(8_000))
            .model(spec("large", []).context_window(100_000))
            .build()
            .unwrap();
        assert_eq!(ask(&router, "Hi", streamed).await.unwrap().text(), "large");
        assert!(small.requests().is_empty());
        let router = builder().models([too_long("a", 9), too_long("b", 9)]).build().unwrap();
        assert_eq!(
            ask(&router, "Hi", streamed).await.unwrap_err().kind(),
            ErrorKind::ContextLength
        );
    }
}

#[tokio::test]
async fn when_all_fail_the_error_tells_of_all() {
    for streamed in [false, true] {
        let all = [down("a", ErrorKind::Auth), down("b", ErrorKind::Overloaded)];
        let router = builder().models(all).build().unwrap();
        let error = ask(&router, "Hi", streamed).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}");
        assert!(error.message().contains("a: ") && error.message().contains("b: "), "{error}");
        // What is told to others has no words of the providers'.
        assert!(!ember::Error::from(error).message().contains("down"));
        // The key is wrong for a while, so only the other is asked.
        let error = ask(&router, "Hi", streamed).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Overloaded, "down"));
    }
    let all = [down("a", ErrorKind::Auth), spec("b", [])];
    let router = builder().models(all).build().unwrap();
    ask(&router, "Hi", false).await.unwrap();
    router.mark_unavailable("b", secs(60));
    let error = ask(&router, "Hi", false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CircuitOpen);
    assert!(error.retry_after().is_some_and(|wait| wait <= secs(30)), "{error:?}");
    assert_eq!(router.select(&"Hi".into()).unwrap_err().kind(), ErrorKind::CircuitOpen);
}

#[tokio::test]
async fn what_was_tried_is_told_and_an_answer_is_told_and_counted_once() {
    let router = builder().models([down("a", ErrorKind::Server), spec("b", [])]).build().unwrap();
    let client = router.client();
    let log = Arc::new(Mutex::new(Vec::new()));
    let (failed, complete, error) = (log.clone(), log.clone(), log.clone());
    let _ = client.on(move |event: &ModelFailed| {
        let line =
            format!("{} failed: {:?}, next {:?}", event.model, event.error.kind(), event.next);
        failed.lock().unwrap().push(line);
    });
    let _ = client.on(move |event: &RequestComplete| {
        complete.lock().unwrap().push(format!("answered by {:?}", event.response.model));
    });
    let _ = client.on(move |_: &RequestError| error.lock().unwrap().push("error".to_owned()));
    client.ask("Hi").await.unwrap();
    let expected = ["a failed: Server, next Some(\"b\")", "answered by Some(\"b\")"];
    assert_eq!(*log.lock().unwrap(), expected);
    let usage = client.usage();
    assert_eq!((usage.total_requests(), usage.by_model.keys().next().unwrap().as_str()), (1, "b"));
    assert_eq!(client.models(), ["a", "b"]);
    let named = Client::new(FakeProvider::new()).model("x");
    assert_eq!(named.models(), ["x"]);
    let wrapped = Client::builder().router(router).cache(Default::default()).build().unwrap();
    assert_eq!(wrapped.models(), ["a", "b"], "decorators pass the names on");
}

#[test]
fn fallback_takes_the_first_that_is_available() {
    let router = builder().models([spec("a", []), spec("b", [])]).build().unwrap();
    assert_eq!(selected(&router, "Hi"), "a");
    assert!(router.mark_unavailable("a", secs(60)) && !router.mark_unavailable("c", secs(60)));
    assert_eq!(selected(&router, "Hi"), "b");
    assert!(matches!(router.health()[0].state, ModelState::Unavailable(_)));
    assert!(router.mark_available("a"));
    assert_eq!(
        (selected(&router, "Hi").as_str(), router.health()[0].state),
        ("a", ModelState::Available)
    );
}

#[test]
fn turns_go_by_weight() {
    let router = builder()
        .models([spec("a", []).weight(2), spec("b", [])])
        .strategy(RoutingStrategy::RoundRobin)
        .build()
        .unwrap();
    let turns: Vec<_> = (0..6).map(|_| selected(&router, "Hi")).collect();
    assert_eq!(turns, ["a", "b", "a", "a", "b", "a"]);
}

#[test]
fn the_cheapest_is_that_of_this_request() {
    let priced =
        |name, input, output| spec(name, []).price(Price::per_million(input, output).unwrap());
    let router = builder()
        .models([spec("unknown", []), priced("reader", "0.1", "9"), priced("writer", "1", "1")])
        .strategy(RoutingStrategy::Cheapest)
        .build()
        .unwrap();
    let long = "x".repeat(40_000);
    assert_eq!(selected(&router, ChatRequest::from(long).max_tokens(10)), "reader");
    assert_eq!(selected(&router, ChatRequest::from("Hi").max_tokens(1_000)), "writer");
    router.mark_unavailable("reader", secs(9));
    router.mark_unavailable("writer", secs(9));
    assert_eq!(selected(&router, "Hi"), "unknown");
}

#[tokio::test]
async fn the_fastest_is_measured_again_and_again() {
    let hands = ManualClock::new();
    let speed = Arc::new(Mutex::new([100, 50]));
    let served = |name: &'static str, place: usize| {
        let (clock, speed) = (hands.clock(), speed.clone());
        ModelSpec::served_by(
            name,
            FakeProvider::new().respond(move |_| {
                let delay = millis(speed.lock().unwrap()[place]);
                FakeReply::new().text(name).delay(delay).clock(clock.clone())
            }),
        )
    };
    let router = builder()
        .models([served("a", 0), served("b", 1)])
        .strategy(RoutingStrategy::Fastest)
        .clock(hands.clock())
        .build()
        .unwrap();
    let ask = async |streamed| {
        let (answer, _) = ember_tests::in_no_time(&hands, ask(&router, "Hi", streamed)).await;
        answer.unwrap().text().into_owned()
    };
    assert_eq!([ask(true).await, ask(false).await], ["a", "b"], "each is measured first");
    assert_eq!([ask(true).await, ask(false).await], ["b", "b"]);
    *speed.lock().unwrap() = [10, 50];
    assert_eq!(ask(true).await, "b");
    hands.advance(secs(60));
    assert_eq!(ask(false).await, "a", "it gets another chance");
    let again = [ask(true).await, ask(true).await];
    assert_eq!(again, ["b", "a"], "so does the other, and then the faster one is asked");
    let health = router.health();
    assert!(health[0].time_to_first_token < health[1].time_to_first_token, "{health:?}");
}

#[test]
fn a_model_that_lacks_what_is_needed_is_passed_over() {
    let with =
        |name, capabilities: &[Capability]| spec(name, []).capabilities(capabilities.to_vec());
    use Capability::{JsonSchema as Json, Reasoning, Tools, Vision};
    let router = builder()
        .models([
            with("plain", &[]).context_window(1_000),
            with("tools", &[Tools, Json]).context_window(10_000),
            with("eyes", &[Vision, Reasoning]).context_window(10_000),
        ])
        .build()
        .unwrap();
    let picture =
        || Message::new(Role::User, [Part::Media(ember::llm::Media::image_url("http://x/y.png"))]);
    let format = ResponseFormat::Schema { name: "n".into(), schema: ember::Schema::of::<i64>() };
    assert_eq!(selected(&router, "Hi"), "plain");
    assert_eq!(selected(&router, ChatRequest::from("Hi").tool(add {})), "tools");
    assert_eq!(selected(&router, ChatRequest::from("Hi").response_format(format)), "tools");
    assert_eq!(selected(&router, ChatRequest::from(picture())), "eyes");
    assert_eq!(selected(&router, ChatRequest::from("Hi").reasoning_effort("low")), "eyes");
    assert_eq!(selected(&router, "x".repeat(20_000)), "tools", "by the window");
    let error = router.select(&ChatRequest::from(picture()).tool(add {})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(
        error.message().contains("`tools` lacks images")
            && error.message().contains("`eyes` lacks tools"),
        "{error}"
    );
    let error = router.select(&"x".repeat(400_000).into()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContextLength);
    let unsure = builder()
        .models([spec("unknown", []), with("sure", &[Tools]).context_window(10_000)])
        .build()
        .unwrap();
    let request = ChatRequest::from("Hi").tool(add {});
    assert_eq!(selected(&unsure, request.clone()), "unknown");
    assert_eq!(selected(&unsure.strategy(RoutingStrategy::Capability), request), "sure");
}

#[tokio::test]
async fn a_name_is_asked_first_and_an_unknown_one_is_told() {
    let fakes = [FakeProvider::new().text("a"), FakeProvider::new().text("b")];
    let served =
        |index: usize, name| ModelSpec::served_by(name, fakes[index].clone()).model("large-1");
    let build = || builder().models([served(0, "a"), served(1, "b")]);
    let router = build().build().unwrap();
    for streamed in [false, true] {
        let answer = ask(&router, ChatRequest::from("Hi").model("b"), streamed).await.unwrap();
        assert_eq!(answer.text(), "b");
    }
    assert_eq!(fakes[1].requests()[0].model.as_deref(), Some("large-1"), "its provider's word");
    assert_eq!(
        selected(&router, ChatRequest::from("Hi").model("large-1")),
        "a",
        "by that word as well"
    );
    router.mark_unavailable("b", secs(60));
    assert_eq!(selected(&router, ChatRequest::from("Hi").model("b")), "a");
    let strict = build().named_only().build().unwrap();
    strict.mark_unavailable("b", secs(60));
    let error = strict.select(&ChatRequest::from("Hi").model("b")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CircuitOpen);
    let error = router.select(&ChatRequest::from("Hi").model("large-2")).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::InvalidRequest, Some("model_not_found")));
    assert!(error.message().contains("`large-2`") && error.message().contains("a, b"), "{error}");
}

#[tokio::test]
async fn the_results_of_tools_go_back_to_the_model_that_has_called_them() {
    for streamed in [false, true] {
        let caller =
            |name| spec(name, [FakeReply::new().tool_call("add", json!({"a": 1, "b": 2}))]);
        let router = builder()
            .models([caller("a"), caller("b")])
            .strategy(RoutingStrategy::RoundRobin)
            .build()
            .unwrap();
        for name in ["a", "b"] {
            let request = ChatRequest::from(format!("1 + 2, {name}?")).tool(add {});
            assert_eq!(ask(&router, request, streamed).await.unwrap().text(), name);
        }
        assert_eq!(router.ledger().totals().total_requests(), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn all_models_together_have_a_deadline() {
    for streamed in [false, true] {
        let hanging = |name| spec(name, [FakeReply::new().hang_after(0)]).first_token(secs(6));
        let router = builder()
            .models([hanging("a"), hanging("b"), hanging("c")])
            .deadline(secs(10))
            .build()
            .unwrap();
        let log = failures(&router);
        let started = tokio::time::Instant::now();
        let error = ask(&router, "Hi", streamed).await.unwrap_err();
        assert_eq!((error.kind(), started.elapsed()), (ErrorKind::Timeout, secs(10)));
        assert!(error.message().contains("10 seconds together, which have passed"), "{error}");
        assert_eq!(
            *log.lock().unwrap(),
            ["a: Timeout after 5", "b: Timeout after 2.5", "c: Timeout after 2.5"]
        );
        let [a, b, c] = &router.health()[..] else { unreachable!() };
        for model in [a, b, c] {
            assert_eq!((model.failures, model.last_error), (1, Some(ErrorKind::Timeout)));
        }
        assert!(matches!(
            (a.state, b.state),
            (ModelState::Unavailable(_), ModelState::Unavailable(_))
        ));
        assert_eq!(c.state, ModelState::Available, "there is none in its place");
        assert_eq!(ask(&router, "Hi", streamed).await.unwrap().text(), "c");
    }
}

/// How models fail from now on, and after how many seconds.
fn failures(router: &ModelRouter) -> Arc<Mutex<Vec<String>>> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let (told, last) = (log.clone(), Mutex::new(tokio::time::Instant::now()));
    let _ = router.events().on(move |event: &ModelFailed| {
        let mut last = last.lock().unwrap();
        let seconds = last.elapsed().as_secs_f64();
        *last = tokio::time::Instant::now();
        let line = format!("{}: {:?} after {seconds}", event.model, event.error.kind());
        told.lock().unwrap().push(line);
    });
    log
}

#[tokio::test(start_paused = true)]
async fn a_model_that_hangs_leaves_time_for_the_next_and_is_left_alone() {
    for streamed in [false, true] {
        for strategy in [RoutingStrategy::Fallback, RoutingStrategy::Fastest] {
            let hanging = FakeProvider::new().respond(|_| FakeReply::new().hang_after(0));
            let router = builder()
                .models([ModelSpec::served_by("a", hanging.clone()), spec("b", [])])
                .strategy(strategy)
                .deadline(secs(20))
                .build()
                .unwrap();
            let log = failures(&router);
            let started = tokio::time::Instant::now();
            for _ in 0..8 {
                assert_eq!(ask(&router, "Hi", streamed).await.unwrap().text(), "b");
            }
            assert_eq!((hanging.requests().len(), started.elapsed()), (1, secs(10)));
            assert_eq!(*log.lock().unwrap(), ["a: Timeout after 10"]);
            let health = &router.health()[0];
            assert_eq!((health.failures, health.last_error), (1, Some(ErrorKind::Timeout)));
            assert!(matches!(health.state, ModelState::Unavailable(_)), "{health:?}");
        }
    }
}

#[test]
fn the_tools_of_a_request_are_counted_once_against_a_window() {
    let large = |length: usize| {
        let parameters =
            ParameterSchema::object([ParameterSchema::new("n", "integer", &*"x".repeat(length))]);
        let tool =
            Tool::new("large", "For tests.", parameters, |_| async { Ok(json!(1)) }).unwrap();
        ChatRequest::from("Hi").tool(tool)
    };
    let request = large(32_000);
    assert!((7_900..8_500).contains(&request.estimate_tokens()), "{}", request.estimate_tokens());
    let router = builder().model(spec("a", []).context_window(10_000)).build().unwrap();
    assert_eq!(selected(&router, request), "a");
    let error = router.select(&large(60_000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContextLength);
}

#[tokio::test]
async fn a_circuit_that_stays_open_for_good_is_told_as_one() {
    let router = builder()
        .circuit_breaker(CircuitBreakerConfig::new().failures(1).recovery(Duration::MAX))
        .models([down("a", ErrorKind::Server), spec("b", [])])
        .build()
        .unwrap();
    for streamed in [false, true] {
        assert_eq!(ask(&router, "Hi", streamed).await.unwrap().text(), "b");
        assert!(
            matches!(router.health()[0].state, ModelState::Unavailable(left) if left > secs(1_000_000))
        );
    }
}

#[tokio::test]
async fn an_open_circuit_is_passed_over_and_probed() {
    let hands = ManualClock::new();
    let flaky = (0..2)
        .fold(FakeProvider::new(), |fake, _| fake.reply(FakeReply::error(ErrorKind::Server, "no")));
    let flaky = flaky.text("a");
    let router = builder()
        .retry(RetryConfig::new().max_retries(0))
        .circuit_breaker(CircuitBreakerConfig::new().failures(2).recovery(secs(10)))
        .models([ModelSpec::served_by("a", flaky.clone()), spec("b", [])])
        .clock(hands.clock())
        .build()
        .unwrap();
    for _ in 0..5 {
        assert_eq!(ask(&router, "Hi", false).await.unwrap().text(), "b");
    }
    assert_eq!(flaky.requests().len(), 2);
    assert_eq!(router.health()[0].state, ModelState::Unavailable(secs(10)));
    hands.advance(secs(10));
    assert_eq!(router.health()[0].state, ModelState::Recovering);
    assert_eq!(ask(&router, "Hi", true).await.unwrap().text(), "a");
    assert_eq!(router.health()[0].state, ModelState::Available);
}

#[tokio::test]
async fn each_model_gets_what_suits_it_and_is_billed_at_its_own_price() {
    let catalog = Catalog::new();
    catalog.add(Model::new("fake", "thinker").capability(Capability::Reasoning).max_output(100));
    let fake = FakeProvider::new().reply(FakeReply::error(ErrorKind::Server, "no"));
    let (thinker, plain) = (fake.clone(), FakeProvider::new().text("one two"));
    let price = Price::per_million("1", "2").unwrap();
    let router = builder()
        .model(ModelSpec::served_by("thinker", thinker.clone()))
        .model(ModelSpec::served_by("plain", plain.clone()).price(price).model("by-another-name"))
        .catalog(catalog)
        .build()
        .unwrap();
    let client = router.client();
    client.complete(ChatRequest::from("one two three").max_tokens(5_000)).await.unwrap();
    let (first, second) = (&thinker.requests()[0], &plain.requests()[0]);
    assert_eq!((first.temperature, first.max_tokens), (None, Some(100)));
    assert_eq!((second.temperature, second.max_tokens), (Some(0.7), Some(5_000)));
    assert_eq!(client.usage().total_cost_usd().unwrap().to_string(), "0.000007");
}

#[test]
fn the_environment_describes_a_router_and_mistakes_are_told_together() {
    let keys = [("OPENAI_API_KEY", "k"), ("ANTHROPIC_API_KEY", "k")];
    let env = |more: &[(&'static str, &'static str)]| {
        Env::of(keys.into_iter().chain(more.iter().copied()))
    };
    let models = ("EMBER_MODELS", " openai/gpt-5-mini, anthropic/claude-sonnet-4-6, ");
    let router = ModelRouter::from_env(&env(&[models, ("EMBER_ROUTING", "Round-Robin")])).unwrap();
    assert_eq!(
        router.names().collect::<Vec<_>>(),
        ["openai/gpt-5-mini", "anthropic/claude-sonnet-4-6"]
    );
    assert_eq!(router.routing(), RoutingStrategy::RoundRobin);
    let first = router.select(&ChatRequest::from("Hi").model("claude-sonnet-4-6")).unwrap();
    assert_eq!((first.provider.as_str(), first.model.as_str()), ("anthropic", "claude-sonnet-4-6"));
    let wrong =
        [("EMBER_MODELS", "opnai/x, groq/y, fake/z, fake/z"), ("EMBER_ROUTING", "cheepest")];
    let error = ModelRouter::from_env(&env(&wrong)).unwrap_err();
    for part in [
        "did you mean `cheapest`?",
        "did you mean `openai`?",
        "set GROQ_API_KEY",
        "two models have the name `fake/z`",
    ] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    assert!(ModelRouter::from_env(&env(&[])).unwrap_err().message().contains("at least one model"));
    let missing = ModelRouter::builder().model("gpt-5-mimi").env(env(&[])).build().unwrap_err();
    assert!(missing.message().contains("did you mean `gpt-5-mini`?"), "{missing}");
}

#[tokio::test]
async fn an_application_asks_through_its_router() {
    let router = builder()
        .models([down("first", ErrorKind::Overloaded), spec("second", [])])
        .build()
        .unwrap();
    let app = ember::app!().env(Env::of::<&str, &str>([])).models(router.clone()).build().unwrap();
    assert_eq!(app.provider(), Some("first, second (fallback)"));
    let client = TestClient::new(app);
    assert_eq!(client.post("/second").body("Hi").send().await.text().await, "second");
    assert_eq!(router.health()[0].failures, 0, "the route's model is asked first");
    let stream = client.post("/stream").body("Hi").send().await.text().await;
    assert_eq!(stream, "data: second\n\ndata: [DONE]\n\n");
    assert_eq!(client.post("/which").body("Hi").send().await.text().await, "first");
}

#[test]
fn mistakes_of_an_applications_router_are_findings() {
    let build = |models: &str, routing: &str| {
        let env = Env::of([("EMBER_MODELS", models), ("EMBER_ROUTING", routing)]);
        ember::app!().env(env).build().map(drop).map_err(|error| error.to_string())
    };
    // The route's `second` is what the provider calls the second model.
    assert_eq!(build("fake/first, fake/second", ""), Ok(()));
    let error = build("fake/first, fake/secnd", "").unwrap_err();
    assert!(
        error.contains(
            "a route asks for a model that the router does not have: there is no model `second`"
        ),
        "{error}"
    );
    assert!(error.contains("tests/it/model_router.rs"), "{error}");
    let error = build("fak/second, groq/second", "fastet").unwrap_err();
    for part in ["did you mean `fake`?", "set GROQ_API_KEY", "did you mean `fastest`?"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}
