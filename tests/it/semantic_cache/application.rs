//! The caches of routes, and of the client of an application.

use self::routes::app;
use super::*;

/// In a module of its own, so that the application has these routes and no others.
mod routes {
    use super::cache;
    use ember::llm::{Client, SemanticCache, Sharing};
    use ember::prelude::{ConversationContext, TokenStream, ai_route};
    use ember::testing::TestClient;
    use ember_tests::Trusting;
    use std::sync::LazyLock;

    /// The caches of the routes; a test with routes of its own has a caller of its own.
    static ANSWERS: LazyLock<SemanticCache> = LazyLock::new(cache);
    static OPEN: LazyLock<SemanticCache> = LazyLock::new(|| cache().sharing(Sharing::Anonymous));

    #[ai_route("/cached", semantic_cache = ANSWERS.clone())]
    async fn cached(
        conversation: ConversationContext,
        message: String,
    ) -> ember::Result<TokenStream> {
        conversation.stream(message).await
    }

    #[ai_route("/cached-whole", semantic_cache = ANSWERS.clone())]
    async fn cached_whole(
        mut conversation: ConversationContext,
        message: String,
    ) -> ember::Result<String> {
        conversation.ask(message).await
    }

    #[ai_route("/open", semantic_cache = OPEN.clone(), token_limits = ember::TokenLimits::per_day(300))]
    async fn open(client: Client, message: String) -> ember::Result<String> {
        Ok(client.ask(message).await?)
    }

    #[ai_route("/plain")]
    async fn plain(client: Client, message: String) -> ember::Result<String> {
        Ok(client.ask(message).await?)
    }

    pub(super) fn app(client: Client) -> TestClient {
        TestClient::new(ember::app!().client(client).middleware(Trusting).build().unwrap())
    }
}

async fn post(app: &TestClient, target: &str, user: &str, message: &'static str) -> TestResponse {
    let request = app.post(target).body(message);
    let request = if user.is_empty() { request } else { request.header("x-user", user) };
    request.send().await
}

fn told(response: &TestResponse) -> String {
    response.header("x-semantic-cache").unwrap_or("-").to_owned()
}

#[tokio::test]
async fn a_route_tells_what_came_of_it_and_keeps_callers_apart() {
    let fake = counting();
    let app = app(Client::new(fake.clone()));
    for (target, user, other) in [("/cached", "ada", "eve"), ("/cached-whole", "bob", "mallory")] {
        let first = post(&app, target, user, RESET).await;
        assert_eq!(told(&first), "miss");
        let text = first.text().await;
        let again = post(&app, target, user, RESET_AGAIN).await;
        let header = told(&again);
        assert!(header.starts_with("hit; similarity=0."), "{header}");
        let again = again.text().await;
        let tokens = |text: &str| text.replace("data: ", "").replace("\n\n", "");
        assert_eq!(tokens(&again), tokens(&text), "in other pieces");
        assert_eq!(told(&post(&app, target, user, RESET).await), "hit; similarity=1.00");
        let others = post(&app, target, other, RESET).await;
        assert_eq!(told(&others), "miss", "what one has asked is not found out by another");
        others.text().await;
        for _ in 0..2 {
            let unknown = post(&app, target, "", RESET).await;
            assert_eq!(told(&unknown), "skip; reason=anonymous");
            unknown.text().await;
        }
    }
    assert_eq!(fake.requests().len(), 8);
}

#[tokio::test]
async fn callers_that_are_not_known_share_only_where_the_route_says_so() {
    let fake = counting();
    let app = app(Client::new(fake.clone()));
    let left = |response: &TestResponse| response.header("ratelimit-remaining").unwrap().to_owned();
    let first = post(&app, "/open", "", RESET).await;
    let second = post(&app, "/open", "", RESET_AGAIN).await;
    assert_eq!(told(&first), "miss");
    assert!(told(&second).starts_with("hit; "));
    assert_eq!(left(&first), left(&second), "a hit takes nothing from the limit");
    assert_eq!(told(&post(&app, "/open", "carol", RESET).await), "miss", "a known one has its own");
    assert_eq!(told(&post(&app, "/plain", "carol", RESET).await), "-");
}

#[tokio::test]
async fn the_cache_of_the_applications_client_is_each_callers_own_as_well() {
    let client = Client::new(counting()).semantic_cache(cache());
    client.ask(RESET).await.unwrap();
    let app = app(client);
    for user in ["ada", "eve"] {
        assert_eq!(told(&post(&app, "/plain", user, RESET).await), "miss");
        assert_eq!(told(&post(&app, "/plain", user, RESET).await), "hit; similarity=1.00");
    }
    assert_eq!(told(&post(&app, "/plain", "", RESET).await), "skip; reason=anonymous");
}

mod wrong {
    use super::{NgramEmbedder, SemanticCache};
    use ember::prelude::*;

    #[ai_route("/wrong", semantic_cache = SemanticCache::new(NgramEmbedder::new()).threshold(92.0))]
    async fn wrong(client: Client, message: String) -> ember::Result<String> {
        Ok(client.ask(message).await?)
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_at_start_up() {
        let client = Client::new(ember::testing::FakeProvider::new());
        let refused = ember::app!().client(client).build().unwrap_err().to_string();
        assert!(refused.contains("above 0 and at most 1, not 92"), "{refused}");
        assert!(refused.contains("semantic_cache/application.rs"), "{refused}");
    }
}
