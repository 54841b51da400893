//! What happens when a model fails.

use super::*;

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
