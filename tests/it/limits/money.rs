//! Limits in money.

use super::*;

#[ai_route("/ask")]
async fn ask(client: Client, message: String) -> ember::Result<String> {
    Ok(client.ask(message).await?)
}

#[ai_route("/stream")]
async fn stream(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
    conversation.stream(message).await
}

#[tokio::test]
async fn a_running_stream_is_stopped_at_the_cap_and_billed() {
    // It takes no notice of how long its answer may be.
    let fake = FakeProvider::new().text("word ".repeat(50));
    let limit = SpendLimit::per_day(usd("45"));
    let client = priced(fake.clone());
    let app: Ember = ember::app!().client(client.clone()).spend_limit(limit.clone());
    let app = TestClient::new(app.build().unwrap());
    let events = post(&app, "/stream", "").await.events().await;
    assert_eq!(fake.requests()[0].max_tokens, Some(20), "five for the prompt, twenty times two");
    let (last, tokens) = events.split_last().unwrap();
    assert_eq!(last.event, "error");
    assert!(last.data.contains("429") && last.data.contains("used up"), "{}", last.data);
    assert_eq!(tokens.len(), 21, "what was sent when the money was gone");
    assert_eq!(limit.spent(), usd("47"));
    assert_eq!(client.usage().total_cost_usd(), Some(usd("47")), "the bill says the same");
    let refused = post(&app, "/stream", "").await;
    assert_eq!(refused.status(), 429);
    assert!(number(&refused, "retry-after") >= 1);
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn a_whole_answer_that_is_too_dear_is_withheld_and_billed() {
    let limit = SpendLimit::per_day(usd("45"));
    let client = priced(FakeProvider::new().text("word ".repeat(50)));
    let app: Ember = ember::app!().client(client.clone()).spend_limit(limit.clone());
    let app = TestClient::new(app.build().unwrap());
    let refused = post(&app, "/ask", "").await;
    assert_eq!(refused.status(), 429);
    let problem = refused.text().await;
    assert!(!problem.contains("45") && !problem.contains("fake"), "{problem}");
    assert_eq!(limit.spent(), client.usage().total_cost_usd().unwrap());
    assert!(limit.spent() > usd("45"));
}

#[tokio::test(start_paused = true)]
async fn a_crowd_never_spends_more_than_there_is_beyond_what_models_exceed_their_bound_by() {
    for (streamed, exceeds) in [(false, 0), (false, 3), (true, 0), (true, 3)] {
        let limit = SpendLimit::per_day(usd("1000"));
        let provider = FakeProvider::new().respond(move |request| {
            let tokens = request.max_tokens.unwrap() + exceeds;
            // All are under way at the same time.
            FakeReply::new().text("x").usage(Usage::new(5, tokens)).delay(secs(1))
        });
        let client = priced(provider.clone()).budget(limit.clone());
        let asked = (0..500).map(|_| async {
            let request = ChatRequest::from("Hi").max_tokens(40);
            match streamed {
                false => client.complete(request).await,
                true => client.stream(request).await?.collect().await,
            }
        });
        let outcomes = join_all(asked).await;
        // Eleven times five and forty times two; of what is left, five and thirty times two.
        assert_eq!(provider.requests().len(), 12);
        let bounds: Vec<_> = provider.requests().iter().map(|one| one.max_tokens).collect();
        assert_eq!((bounds[0], bounds[11]), (Some(40), Some(30)));
        let served = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert!(if exceeds == 0 { served == 12 } else { served < 12 }, "{served}");
        let beyond = usd("2").times(12 * exceeds);
        assert_eq!(limit.spent(), usd("1000") + beyond, "streamed: {streamed}");
        assert_eq!(Some(limit.spent()), client.usage().total_cost_usd());
        assert_eq!(client.ask("Hi").await.unwrap_err().kind(), ErrorKind::BudgetExceeded);
        assert_eq!(limit.account("").left(), Usd::ZERO);
    }
}

/// Adds two numbers.
#[tool]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[tokio::test]
async fn the_next_round_of_tools_is_not_sent_without_money() {
    for streamed in [false, true] {
        let round = FakeReply::new()
            .tool_call("add", serde_json::json!({"a": 1, "b": 2}))
            .usage(Usage::new(60, 10));
        let fake = FakeProvider::new().reply(round).text("3");
        let limit = SpendLimit::per_hour(usd("120"));
        let client = priced(fake.clone()).tools([add {}]).budget(limit.clone());
        let request = ChatRequest::from("1 + 2?").max_tokens(10);
        let error = match streamed {
            false => client.complete(request).await.unwrap_err(),
            true => client.stream(request).await.unwrap().collect().await.unwrap_err(),
        };
        assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
        assert_eq!(fake.requests().len(), 1);
        assert_eq!(limit.spent(), usd("80"));
    }
}

#[tokio::test]
async fn a_limit_of_nothing_does_not_start() {
    let app: Ember = ember::app!().client(priced(FakeProvider::new()));
    let error = app.spend_limit(SpendLimit::per_day(Usd::ZERO)).build().unwrap_err();
    assert!(error.to_string().contains("spend limit of zero"), "{error}");
    let app: Ember = ember::app!().client(priced(FakeProvider::new()));
    let error = app.token_limits(TokenLimits::per_minute(0)).build().unwrap_err();
    assert!(error.to_string().contains("token limits of zero"), "{error}");
    let bucket = GlobalTokenBucket::per_minute("empty", 0);
    let app: Ember = ember::app!().client(priced(FakeProvider::new()));
    let error = app.middleware(RateLimit::tokens(bucket)).build().unwrap_err();
    assert!(error.to_string().contains("`empty`"), "{error}");
}
