//! Limits in money where more than one model, or none, gives the answer: routers and caches.

use ember::Env;
use ember::llm::layer::{CacheConfig, CostConfig};
use ember::llm::router::ModelRouterBuilder;
use ember::llm::{
    ChatEvent, ChatRequest, ErrorKind, FakeProvider, FakeReply, FinishReason, Price, SpendLimit,
    TokenCounter, Usage, Usd,
};
use ember::prelude::*;
use ember_tests::{ask, dear, usd};
use futures_util::FutureExt as _;
use futures_util::future::join_all;

/// A thousandth of what is dear.
fn cheap() -> Price {
    Price::per_million("1000", "2000").unwrap()
}

/// A model whose prompts have five tokens, and whose answers are as long as they may be.
fn talker() -> FakeProvider {
    FakeProvider::new().respond(|request| {
        FakeReply::new().text("x").usage(Usage::new(5, request.max_tokens.unwrap_or(60_000)))
    })
}

fn down() -> FakeProvider {
    FakeProvider::new().respond(|_| FakeReply::error(ErrorKind::Overloaded, "busy"))
}

fn replying(reply: FakeReply) -> FakeProvider {
    FakeProvider::new().respond(move |_| reply.clone())
}

/// A router without settings of this process, which asks each model once.
fn router() -> ModelRouterBuilder {
    ModelRouter::builder()
        .env(Env::of::<&str, &str>([]))
        .without_retry()
        .without_circuit_breaker()
        .strategy(RoutingStrategy::Fallback)
}

fn spec(name: &str, provider: &FakeProvider, price: Price) -> ModelSpec {
    ModelSpec::served_by(name, provider.clone()).price(price)
}

#[tokio::test]
async fn a_named_model_is_reserved_at_the_price_of_the_dearest_that_may_take_its_place() {
    for streamed in [false, true] {
        let talker = talker();
        let models = [spec("a", &down(), cheap()), spec("b", &talker, dear())];
        let limit = SpendLimit::per_day(usd("105"));
        let client = router().models(models).build().unwrap().client().budget(limit.clone());
        let answer = ask(&client, ChatRequest::from("Hi").model("a"), streamed).await.unwrap();
        assert_eq!(answer.model.as_deref(), Some("b"));
        assert_eq!(talker.requests()[0].max_tokens, Some(50), "five, and fifty times two");
        assert_eq!(
            (limit.spent(), client.usage().total_cost_usd().unwrap()),
            (usd("105"), usd("105"))
        );
        let error = ask(&client, ChatRequest::from("Hi").model("a"), streamed).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
    }
}

#[tokio::test]
async fn where_no_other_takes_its_place_a_named_model_is_reserved_at_its_own_price() {
    let talker = talker();
    let models = [spec("a", &talker, cheap()), spec("b", &down(), dear())];
    let limit = SpendLimit::per_day(usd("105"));
    let router = router().models(models).named_only().build().unwrap();
    let client = router.client().budget(limit.clone());
    client.complete(ChatRequest::from("Hi").model("a")).await.unwrap();
    assert_eq!(talker.requests()[0].max_tokens, Some(4_096), "no more than was set aside");
    assert_eq!(limit.spent(), usd("8.197"));
}

#[tokio::test]
async fn an_answer_is_no_longer_than_was_set_aside_where_nothing_is_known_of_the_model() {
    for streamed in [false, true] {
        let talker = talker();
        let limit = SpendLimit::per_day(usd("10000"));
        let prices = CostConfig::new().price("fake", dear()).default_model("fake");
        let client = Client::builder().provider(talker.clone()).cost(prices).build().unwrap();
        let client = client.budget(limit.clone());
        ask(&client, "Hi", streamed).await.unwrap();
        assert_eq!(talker.requests()[0].max_tokens, Some(4_096));
        assert_eq!(limit.spent(), usd("8197"));
    }
}

#[tokio::test]
async fn a_router_sets_aside_the_longest_answer_that_its_models_give() {
    let reply = || replying(FakeReply::new().text("x").usage(Usage::new(5, 20)).hang_after(1));
    let (one, other) = (reply(), reply());
    let limit = SpendLimit::per_day(usd("1000"));
    let models = [spec("a", &one, dear()).max_output(20), spec("b", &other, dear()).max_output(90)];
    let client = router().models(models).build().unwrap().client().budget(limit.clone());
    let mut call = Box::pin(client.complete("Hi"));
    assert!(call.as_mut().now_or_never().is_none());
    assert_eq!(limit.account("").left(), usd("815"), "five, and ninety times two");
    assert_eq!(one.requests()[0].max_tokens, None, "each gives no more by itself");
}

#[tokio::test]
async fn a_model_without_a_price_is_never_billed_at_that_of_another() {
    for streamed in [false, true] {
        let talker = talker();
        let unpriced = ModelSpec::served_by("b", talker.clone());
        let limit = SpendLimit::per_day(usd("105"));
        let router = router().models([spec("a", &down(), cheap()), unpriced]).build().unwrap();
        let request = || ChatRequest::from("Hi").model("a");
        let refused =
            ask(&router.client().budget(limit.clone()), request(), streamed).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Config);
        assert!(refused.message().contains("`b`"), "{refused}");
        assert!(talker.requests().is_empty());
        let client = router.client().budget(limit.clone().allow_unpriced());
        ask(&client, request(), streamed).await.unwrap();
        assert_eq!((limit.spent(), client.usage().unpriced_requests()), (Usd::ZERO, 1));
    }
}

#[tokio::test]
async fn prices_of_the_clients_own_bound_whichever_model_of_a_router_answers() {
    let talker = talker();
    let models = [spec("a", &down(), cheap()), spec("b", &talker, cheap())];
    let prices = CostConfig::new().price("a", cheap()).price("b", dear());
    let limit = SpendLimit::per_day(usd("105"));
    let router = router().models(models).build().unwrap();
    let client = Client::builder().router(router.clone()).cost(prices).build().unwrap();
    let client = client.budget(limit.clone());
    client.complete(ChatRequest::from("Hi").model("a")).await.unwrap();
    assert_eq!((talker.requests()[0].max_tokens, limit.spent()), (Some(50), usd("105")));
    let usage = client.usage();
    assert_eq!((usage.total_requests(), usage.total_cost_usd()), (1, Some(usd("105"))));
    // One without a price is let through, and the others are set aside nevertheless.
    let unpriced = CostConfig::new().price("b", dear());
    let limit = SpendLimit::per_day(usd("105")).allow_unpriced();
    let client = Client::builder().router(router).cost(unpriced).build().unwrap();
    client.budget(limit).complete(ChatRequest::from("Hi").model("a")).await.unwrap();
    assert_eq!(talker.requests()[1].max_tokens, Some(50));
}

#[tokio::test]
async fn what_failed_models_have_used_reaches_the_budget() {
    for streamed in [false, true] {
        let used = ChatEvent::Usage(Usage::new(100, 50));
        let breaks =
            FakeReply::new().event(used).text("x").fail_after(1, ErrorKind::Transport, "x");
        let answers = replying(FakeReply::new().text("x").usage(Usage::new(6, 7)));
        let first = spec("a", &replying(breaks), dear()).first_token(secs(60));
        let router = router().models([first, spec("b", &answers, cheap())]).build().unwrap();
        let limit = SpendLimit::per_day(usd("100000"));
        let client = router.client().budget(limit.clone());
        ask(&client, "Hi", streamed).await.unwrap();
        assert_eq!(limit.spent(), usd("200.02"), "streamed: {streamed}");
        assert_eq!(client.usage().total_cost_usd(), Some(limit.spent()), "the bill says the same");
        // Another round is counted from nothing.
        ask(&client, "Hi", streamed).await.unwrap();
        assert_eq!(client.usage().total_cost_usd(), Some(limit.spent()));
    }
}

#[tokio::test(start_paused = true)]
async fn the_prompts_of_models_that_were_too_slow_reach_the_budget_and_of_those_that_refused_do_not()
 {
    for streamed in [false, true] {
        let silent = || replying(FakeReply::new().text("x").hang_after(0));
        let limit = SpendLimit::per_day(usd("100000"));
        let late = spec("a", &silent(), dear()).first_token(secs(5));
        let answers = replying(FakeReply::new().text("x").usage(Usage::new(6, 7)));
        let router = router().models([late.clone(), spec("b", &answers, cheap())]);
        let client = router.build().unwrap().client().budget(limit.clone());
        ask(&client, "Hi", streamed).await.unwrap();
        assert_eq!(limit.spent(), usd("5.02"), "streamed: {streamed}");

        let limit = SpendLimit::per_day(usd("100000"));
        let router = self::router().models([late.clone(), spec("b", &down(), cheap())]);
        let client = router.build().unwrap().client().budget(limit.clone());
        ask(&client, "Hi", streamed).await.unwrap_err();
        assert_eq!(limit.spent(), usd("5"), "once, and not for the call as a whole as well");

        let limit = SpendLimit::per_day(usd("100000"));
        let slow = spec("a", &silent(), cheap());
        let router = self::router().models([slow, spec("b", &down(), dear())]).deadline(secs(9));
        let client = router.build().unwrap().client().budget(limit.clone());
        ask(&client, "Hi", streamed).await.unwrap_err();
        assert_eq!(limit.spent(), usd("0.005"), "at its own price");
    }
}

#[tokio::test]
async fn a_call_that_is_abandoned_costs_what_its_models_have_used() {
    for streamed in [false, true] {
        let used = ChatEvent::Usage(Usage::new(100, 50));
        let breaks =
            FakeReply::new().event(used).text("x").fail_after(1, ErrorKind::Transport, "x");
        let first = spec("a", &replying(breaks), dear()).first_token(secs(60));
        let silent = replying(FakeReply::new().text("x").hang_after(0));
        let router = router().models([first, spec("b", &silent, cheap())]).build().unwrap();
        let limit = SpendLimit::per_day(usd("100000"));
        let client = router.client().budget(limit.clone());
        assert!(ask(&client, "Hi", streamed).now_or_never().is_none());
        assert_eq!(limit.spent(), usd("200.005"), "streamed: {streamed}");
        assert_eq!(limit.account("").left(), usd("99799.995"), "nothing is left set aside");
    }
}

/// A client of the provider that keeps answers, at the dear price.
fn caching(provider: &FakeProvider) -> Client {
    let prices = CostConfig::new().price("fake", dear()).default_model("fake");
    let builder = Client::builder().provider(provider.clone()).cost(prices).without_retry();
    builder.cache(CacheConfig::new()).build().unwrap()
}

#[tokio::test]
async fn what_a_cache_replays_costs_nothing_however_much_a_budget_has_left() {
    for streamed in [false, true] {
        let fake = replying(FakeReply::new().text("a b").usage(Usage::new(5, 10)));
        // So little that each request is bounded, and differently once something was spent.
        let limit = SpendLimit::per_day(usd("105"));
        let client = caching(&fake).budget(limit.clone());
        for turn in 0..3 {
            let answer = ask(&client, "Hi", streamed ^ (turn == 2)).await.unwrap();
            assert_eq!((answer.text().as_ref(), answer.cached.is_some()), ("a b", turn > 0));
            assert_eq!((limit.spent(), fake.requests().len()), (usd("25"), 1));
        }
        assert_eq!(client.usage().total_cost_usd(), Some(usd("25")));
        let mut stream = client.stream("Hi").await.unwrap();
        while !matches!(stream.next().await.unwrap().unwrap(), ChatEvent::Text(_)) {}
        drop(stream);
        assert_eq!(limit.spent(), usd("25"), "of a replay that is not read to its end, too");
        ask(&client, ChatRequest::from("Hi").max_tokens(9), streamed).await.unwrap();
        assert_eq!(fake.requests().len(), 2, "what the caller asks for is another request");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_a_budget_has_cut_short_is_not_given_to_others() {
    let cut = FakeReply::new().text("a").finish(FinishReason::Length).delay(secs(1));
    let fake = replying(cut.clone().usage(Usage::new(5, 5)));
    let shared = caching(&fake);
    let answers = join_all(["Hi"; 3].map(|text| shared.complete(text))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(fake.requests().len(), 1, "without a budget it is");
    let fake = replying(cut.usage(Usage::new(5, 5)));
    let rich = caching(&fake);
    let poor = rich.clone().budget(SpendLimit::per_day(usd("50")));
    let (first, second) = tokio::join!(poor.complete("Hi"), rich.complete("Hi"));
    assert!(first.is_ok() && second.is_ok());
    let bounds: Vec<_> = fake.requests().iter().map(|request| request.max_tokens).collect();
    assert_eq!(bounds, [Some(22), None]);
}

/// A thousand tokens for every text.
struct Thousands;

impl TokenCounter for Thousands {
    fn count(&self, _: Option<&str>, _: &str) -> u64 {
        1_000
    }
}

#[tokio::test]
async fn a_bill_and_a_budget_count_prompts_alike() {
    for streamed in [false, true] {
        let fake = replying(FakeReply::new().text("a b c").cut_after(2));
        let limit = SpendLimit::per_day(usd("100000"));
        let prices = CostConfig::new().price("fake", dear()).default_model("fake");
        let builder = Client::builder().provider(fake).cost(prices).without_retry();
        let client = builder.build().unwrap().token_counter(Thousands).budget(limit.clone());
        ask(&client, "Hi", streamed).await.unwrap_err();
        assert!(limit.spent() >= usd("1004"), "{}", limit.spent());
        assert_eq!(client.usage().total_cost_usd(), Some(limit.spent()), "streamed: {streamed}");
    }
}

mod at_the_start {
    use super::*;

    #[ai_route("/ask")]
    async fn answer(client: Client, message: String) -> ember::Result<String> {
        Ok(client.ask(message).await?)
    }

    #[test]
    fn a_router_with_a_model_without_a_price_does_not_start_under_a_limit() {
        let build = |model: ModelSpec, limit: SpendLimit| {
            let router = router().models([spec("a", &talker(), cheap()), model]).build().unwrap();
            let app: Ember = ember::app!().client(router.client());
            app.spend_limit(limit).build().map(drop)
        };
        let limit = || SpendLimit::per_day(usd("1"));
        let unpriced = || ModelSpec::served_by("b", talker());
        let error = build(unpriced(), limit()).unwrap_err().to_string();
        assert!(error.contains("`b`") && error.contains("allow_unpriced"), "{error}");
        build(unpriced(), limit().allow_unpriced()).unwrap();
        build(unpriced().price(cheap()), limit()).unwrap();
    }
}
