//! Limits whose store is away.

use super::*;

/// The limits that there are, each by itself, on an application whose store may be away.
fn limited(store: &Flaky, policy: OnStoreFailure) -> Vec<(&'static str, TestClient)> {
    let app = || process(store.clone(), priced(model(10)));
    let bucket = || GlobalTokenBucket::per_minute("b", 10_000).on_store_failure(policy);
    let money = SpendLimit::per_day(usd("10000")).name("m").on_store_failure(policy);
    let tokens = TokenLimits::per_minute(10_000).on_store_failure(policy);
    vec![
        ("tokens", built(app().token_limits(tokens))),
        ("callers", built(app().token_limits(tokens.per_principal()))),
        ("bucket", built(app().token_limits(bucket()))),
        ("money", built(app().spend_limit(money))),
        ("bodies", built(app().middleware(RateLimit::tokens(bucket())))),
        (
            "requests",
            built(app().middleware(RateLimit::per_minute(100).name("r").on_store_failure(policy))),
        ),
    ]
}

#[tokio::test]
async fn without_the_store_nothing_passes_unless_it_is_said_and_then_everything_does() {
    for (policy, status) in [(OnStoreFailure::Deny, 503), (OnStoreFailure::Allow, 200)] {
        let store = flaky();
        for (name, app) in limited(&store, policy) {
            for target in ["/ask", "/stream"] {
                store.go_away(false);
                assert_eq!(post(&app, target, "Hi").await.status(), 200, "{name} {target}");
                store.go_away(true);
                let answer = post(&app, target, "Hi").await;
                assert_eq!(answer.status(), status, "{name} {target} {policy:?}");
                if policy == OnStoreFailure::Deny {
                    assert_eq!(number(&answer, "retry-after"), 1, "{name} {target}");
                    assert!(!answer.text().await.contains("flaky"));
                } else {
                    assert!(answer.text().await.contains('a'), "{name} {target}");
                }
                // It needs no restart.
                store.go_away(false);
                assert_eq!(post(&app, target, "Hi").await.status(), 200, "{name} {target}");
            }
        }
    }
}

#[tokio::test]
async fn a_store_that_goes_away_in_the_middle_of_an_answer_does_not_end_it() {
    let store = MemoryStore::new().clock(ManualClock::new().clock());
    let store = flaky().memory(store);
    let app = process(store.clone(), Client::new(model(10)));
    let app = built(app.token_limits(TokenLimits::per_minute(1_000)));
    let response = post(&app, "/stream", "Hi").await;
    assert_eq!(response.status(), 200);
    store.go_away(true);
    assert!(response.text().await.contains("[DONE]"));
    store.go_away(false);
    // It is given back as soon as the store is there, and once.
    let bucket = Bucket::refilling(1_000, secs(60));
    until(async || left(&store, OF_APPLICATION, bucket).await == 990).await;
}
