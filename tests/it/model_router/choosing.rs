//! Which model is asked.

use super::*;

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
