//! Who is let in, and within which limits.

use super::*;

#[tokio::test]
async fn without_keys_only_this_machine_is_answered() {
    let fake = unasked();
    let anywhere = TestClient::new(app(&fake, "/v1").build().unwrap());
    let at =
        |address: &str| anywhere.clone().peer(address.parse::<std::net::SocketAddr>().unwrap());
    let here = at("127.0.0.1:5000");
    let ask = |client: &TestClient, headers: &[(&str, &str)], stream: bool| {
        let request = client.post(CHAT).json(&hello(json!({"stream": stream})));
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        async { request.send().await.status().as_u16() }
    };
    for stream in [false, true] {
        for (peer, status) in [
            ("127.0.0.1:5000", 200),
            ("[::1]:5000", 200),
            ("[::ffff:127.0.0.1]:5000", 200),
            ("203.0.113.9:5000", 401),
            ("192.168.0.7:5000", 401),
        ] {
            assert_eq!(ask(&at(peer), &[], stream).await, status, "{peer}");
        }
        // Behind a Unix socket, or mounted elsewhere.
        assert_eq!(ask(&anywhere, &[("host", "localhost")], stream).await, 401);
        for (headers, status) in [
            (&[("host", "localhost:8000")][..], 200),
            (&[("host", "127.0.0.1:8000"), ("origin", "http://localhost:3000")], 200),
            // A page whose name was made to lead here.
            (&[("host", "evil.example"), ("origin", "http://evil.example")], 401),
            (&[("host", "evil.example:8000")], 401),
            (&[("forwarded", "for=203.0.113.9")], 401),
            (&[("x-forwarded-for", "203.0.113.9")], 401),
            (&[("x-forwarded-for", "127.0.0.1")], 401),
            (&[("x-real-ip", "203.0.113.9")], 401),
            (&[("via", "1.1 proxy")], 401),
        ] {
            assert_eq!(ask(&here, headers, stream).await, status, "{headers:?}");
        }
    }
    let asked = fake.requests().len();
    assert_eq!(refused(anywhere.get("/v1/models").send().await).await.0, 401);
    assert_eq!(fake.requests().len(), asked);
    // Where something else keeps watch, all are let in.
    let open = TestClient::new(app(&fake, OpenAiApi::new("/v1").open()).build().unwrap());
    assert_eq!(ask(&open, &[("host", "api.example"), ("via", "1.1 proxy")], true).await, 200);
    let signed_in = async |mut request: Request, next: Next| {
        request.extensions_mut().insert(Principal::new("ada"));
        next.run(request).await
    };
    let known = TestClient::new(app(&fake, "/v1").middleware(signed_in).build().unwrap());
    assert_eq!(ask(&known, &[("host", "api.example")], false).await, 200);
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_not_this_machine_alone() {
    let build = |api: OpenAiApi| {
        let app =
            app(&FakeProvider::new(), api).env(Env::of([("EMBER_HOST", "unix:/run/app.sock")]));
        app.build().err().map(|error| error.to_string())
    };
    assert!(build("/v1".into()).unwrap().contains("EMBER_API_KEYS"));
    assert_eq!(build(OpenAiApi::new("/v1").open()), None);
}

#[tokio::test]
async fn a_key_is_one_token_behind_its_scheme() {
    let api = OpenAiApi::new("/v1").keys(VirtualKey::new("ada", "sk-a"));
    let client = TestClient::new(app(&unasked(), api).build().unwrap());
    for (value, status) in [
        ("Bearer sk-a", 200),
        ("bearer  sk-a ", 200),
        ("Bearer sk-a extra", 401),
        ("Basic sk-a", 401),
        ("sk-a", 401),
        ("Bearer ", 401),
    ] {
        let asked = client.post(CHAT).header("authorization", value).json(&hello(json!({})));
        assert_eq!(asked.send().await.status().as_u16(), status, "{value}");
    }
    let twice = client.post(CHAT).header("authorization", "Bearer sk-a");
    let twice = twice.header("authorization", "Bearer sk-b").json(&hello(json!({})));
    assert_eq!(refused(twice.send().await).await.0, 401);
}

#[tokio::test]
async fn embeddings_are_within_the_limits_of_a_key_and_of_the_application() {
    let hands = ManualClock::new();
    let limits = TokenLimits::per_minute(100);
    let keys = VirtualKeys::new()
        .key(VirtualKey::new("a", "sk-a").models(["e"]).token_limits(limits))
        .key(VirtualKey::new("b", "sk-b").models(["chat"]))
        .key(VirtualKey::new("c", "sk-c"))
        .key(VirtualKey::new("d", "sk-d").spend_limit(SpendLimit::per_day("1".parse().unwrap())))
        .clock(hands.clock());
    let api = OpenAiApi::new("/v1").keys(keys).embedding_model("e");
    let app = app(&unasked(), api).embedder(FakeEmbedder::new(4));
    let client = TestClient::new(app.token_limits(TokenLimits::per_minute(300)).build().unwrap());
    let embed = |key: &'static str, words: usize| {
        let (client, body) = (&client, json!({"model": "e", "input": "word ".repeat(words)}));
        async move { with_key(client, key, "/v1/embeddings", &body).await }
    };
    let first = embed("sk-a", 60).await;
    assert_eq!(first.status(), 200);
    let left: u64 = first.header("x-ratelimit-remaining-tokens").unwrap().parse().unwrap();
    let used = first.json::<Value>().await["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(left, 100 - used);
    assert_eq!(refused(embed("sk-a", 60).await).await.0, 429);
    hands.advance(secs(60));
    // More than there will ever be room for.
    assert_eq!(refused(embed("sk-a", 10_000).await).await.0, 400);
    assert_eq!(embed("sk-a", 60).await.status(), 200);
    assert_eq!(refused(embed("sk-b", 1).await).await.1["code"], "model_not_found");
    // What is left of the application's own 300 is for everybody.
    assert_eq!(embed("sk-c", 60).await.status(), 200);
    assert_eq!(refused(embed("sk-c", 200).await).await.0, 429);
    assert_eq!(refused(embed("sk-d", 1).await).await.1["code"], "model_not_found", "no price");
    // A chat draws from the same tokens.
    let body = hello(json!({"model": "e", "max_tokens": 90}));
    assert_eq!(refused(with_key(&client, "sk-a", CHAT, &body).await).await.0, 429);
}

/// Embeds for a hundredth of a dollar a token, and for whoever has the key `sk-a`.
fn embedding(limit: &SpendLimit) -> TestClient {
    let prices = CostConfig::new().price("e", Price::per_million("10000", "0").unwrap());
    let client = Client::builder().provider(unasked()).cost(prices).build().unwrap();
    let key = VirtualKey::new("a", "sk-a").spend_limit(limit.clone());
    let api = OpenAiApi::new("/v1").keys(key).embedding_model("e");
    let app = Ember::new().env(Env::of([("X", "y")])).client(client).openai_api(api);
    TestClient::new(app.embedder(FakeEmbedder::new(4)).build().unwrap())
}

#[tokio::test]
async fn embeddings_cost_money() {
    let limit = SpendLimit::per_day("1".parse().unwrap());
    let client = embedding(&limit);
    let body = json!({"model": "e", "input": "word ".repeat(64)});
    let first = with_key(&client, "sk-a", "/v1/embeddings", &body).await;
    assert_eq!(first.status(), 200);
    let tokens = first.json::<Value>().await["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(limit.spent().to_string(), format!("0.{tokens}"));
    assert_eq!(refused(with_key(&client, "sk-a", "/v1/embeddings", &body).await).await.0, 429);
}

#[tokio::test]
async fn embeddings_cost_what_they_do_and_not_what_the_models_of_a_router_cost() {
    let limit = SpendLimit::per_day("1".parse().unwrap());
    let price = |text: &str| Price::per_million(text, "0").unwrap();
    let router = ModelRouter::new([ModelSpec::served_by("chat", unasked()).price(price("10"))]);
    let prices = CostConfig::new().price("e", price("10000"));
    let client = Client::builder().router(router.unwrap()).cost(prices).build().unwrap();
    let key = VirtualKey::new("a", "sk-a").spend_limit(limit.clone());
    let api = OpenAiApi::new("/v1").keys(key).embedding_model("e");
    let app = Ember::new().env(Env::of([("X", "y")])).client(client).openai_api(api);
    let client = TestClient::new(app.embedder(FakeEmbedder::new(4)).build().unwrap());
    let body = json!({"model": "e", "input": "word ".repeat(30)});
    let answer = with_key(&client, "sk-a", "/v1/embeddings", &body).await;
    assert_eq!(answer.status(), 200);
    let tokens = answer.json::<Value>().await["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(limit.spent(), format!("0.{tokens}").parse().unwrap());
}

#[test]
fn a_key_of_some_models_needs_a_name_for_the_embedders() {
    let build = |api: OpenAiApi| {
        let app = app(&FakeProvider::new(), api).embedder(FakeEmbedder::new(4));
        app.build().err().map(|error| error.to_string())
    };
    let api = || OpenAiApi::new("/v1").keys(VirtualKey::new("a", "sk-a").models(["m"]));
    assert!(build(api()).unwrap().contains(".embedding_model("));
    assert_eq!(build(api().embedding_model("e")), None);
    assert_eq!(build(OpenAiApi::new("/v1").keys(VirtualKey::new("a", "sk-a"))), None);
}

#[test]
fn whoever_has_a_limit_in_money_does_not_choose_what_an_embedding_costs() {
    let limit = || SpendLimit::per_day("1".parse().unwrap()).allow_unpriced();
    let build = |app: Ember| {
        app.embedder(FakeEmbedder::new(4)).build().err().map(|error| error.to_string())
    };
    let of_key = |api: OpenAiApi| {
        let key = VirtualKey::new("a", "sk-a").spend_limit(limit());
        build(app(&FakeProvider::new(), api.keys(key)))
    };
    let of_all = |api: OpenAiApi| build(app(&FakeProvider::new(), api.open()).spend_limit(limit()));
    for built in [&of_key as &dyn Fn(OpenAiApi) -> Option<String>, &of_all] {
        assert!(built(OpenAiApi::new("/v1")).unwrap().contains(".embedding_model("));
        assert_eq!(built(OpenAiApi::new("/v1").embedding_model("e")), None);
    }
}

/// An embedder that loses a text.
struct Forgetful;

impl Embedder for Forgetful {
    fn name(&self) -> &str {
        "forgetful"
    }

    async fn embed<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Embeddings, llm::Error> {
        Ok(Embeddings::new(texts.iter().skip(1).map(|_| vec![1.0]).collect()))
    }
}

#[tokio::test]
async fn vectors_that_do_not_fit_the_texts_are_not_passed_on() {
    let app = app(&FakeProvider::new(), OpenAiApi::new("/v1").open()).embedder(Forgetful);
    let client = TestClient::new(app.build().unwrap());
    let body = json!({"model": "e", "input": ["one", "two"]});
    let answer = client.post("/v1/embeddings").json(&body).send().await;
    assert_eq!(answer.status(), 502, "{}", answer.text().await);
}

#[tokio::test]
async fn embeddings_that_were_made_for_nothing_are_counted() {
    let limit = SpendLimit::per_day("1".parse().unwrap());
    let client = embedding(&limit);
    let body = json!({"model": "e", "input": "word ".repeat(30), "dimensions": 7});
    let answer = with_key(&client, "sk-a", "/v1/embeddings", &body).await;
    assert_eq!(answer.status(), 400);
    assert!(limit.spent() > "0.2".parse().unwrap(), "{}", limit.spent());
}
