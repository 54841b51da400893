//! What is told of limits when an application starts.

use super::*;

#[tokio::test]
async fn what_is_not_shared_is_told_once_and_a_store_needs_a_name() {
    let app = |store: Option<MemoryStore>| {
        let app = Ember::new().route(ask {}).route(stream {}).client(priced(model(10)));
        let app =
            app.middleware(RateLimit::per_minute(7)).middleware(RateLimit::per_hour(9).name("x"));
        let app = app.spend_limit(SpendLimit::per_day(usd("5")));
        match store {
            Some(store) => app.store(store),
            None => app,
        }
    };
    assert!(app(None).build().unwrap().notes().is_empty(), "there is nothing to share");
    let of_memory = app(None).env(ember::Env::of([("EMBER_STORE", "memory")]));
    assert!(of_memory.build().unwrap().notes().is_empty(), "nor in the memory of the process");
    let ready = app(Some(MemoryStore::new())).build().unwrap();
    let notes = ready.notes();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].contains("`RateLimit` of 7 requests") && notes[0].contains(".name("));
    assert!(notes[1].contains("`SpendLimit` of $5 per day") && notes[1].contains(".name("));
    let wrong = Ember::new().middleware(RateLimit::per_minute(7).store(MemoryStore::new()));
    assert!(wrong.build().unwrap_err().to_string().contains("has a store, and no name"));
    let limit = SpendLimit::per_day(usd("5")).store(MemoryStore::new());
    let wrong = Ember::new().route(ask {}).client(priced(model(10))).spend_limit(limit);
    assert!(wrong.build().unwrap_err().to_string().contains("has a store, and no name"));
}

#[tokio::test]
async fn limits_of_one_name_and_different_numbers_are_found() {
    let app = |requests, money, tokens, of_key| {
        let key = ember::ai::VirtualKey::new("team", "sk-team").requests_per_minute(of_key);
        process(MemoryStore::new(), priced(model(10)))
            .middleware(RateLimit::per_minute(4).name("r"))
            .middleware(RateLimit::per_minute(requests).name("r"))
            .middleware(RateLimit::tokens(GlobalTokenBucket::per_minute("b", 100)))
            .token_limits(GlobalTokenBucket::per_minute("b", tokens))
            .spend_limit(SpendLimit::per_day(usd("5")).name("m"))
            .spend_limit(SpendLimit::per_day(usd(money)).name("m"))
            .spend_limit(SpendLimit::per_month(usd("50")).name("m"))
            .openai_api(ember::ai::OpenAiApi::new("/v1").keys(key.clone()))
            .openai_api(ember::ai::OpenAiApi::new("/v2").keys(key.requests_per_minute(3)))
    };
    assert!(app(4, "5", 100, 3).build().is_ok(), "the same limits");
    let wrong = app(5, "6", 101, 2).build().unwrap_err().to_string();
    for part in [
        "the `RateLimit` `r` stands",
        "4 in 60s, and 5 in 60s",
        "the bucket `b` stands",
        "the `SpendLimit` `m` per day stands",
        "$5, and $6",
        "of the API key `team` stands",
        // And where each of them stands.
        "at the middleware of the application, with 4 in 60s",
        "at the middleware of the application, with 5 in 60s",
        "at the middleware of the application, with 100 in 60s",
        "at `ask` (tests/it/shared_limits/mod.rs:",
        "), with 101 in 60s",
        "), with $6",
        "of `/v1/chat/completions`, with 2",
        "of `/v2/chat/completions`, with 3",
    ] {
        assert!(wrong.contains(part), "{part}: {wrong}");
    }
    assert!(!wrong.contains("per month"), "{wrong}");
}

#[tokio::test]
async fn money_in_a_store_that_forgets_is_told() {
    let limit = || SpendLimit::per_day(usd("5")).name("m");
    let notes = |app: Ember| app.spend_limit(limit()).build().unwrap().notes().to_vec();
    let memory = notes(process(MemoryStore::new(), priced(model(10))));
    assert!(memory.len() == 1 && memory[0].contains("`m` is kept in memory"), "{memory:?}");
    assert!(notes(process(flaky(), priced(model(10)))).is_empty());
}
