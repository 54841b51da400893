//! The layers together, and the client that is built of them.

use super::*;

#[tokio::test]
async fn an_exhausted_call_is_one_failure_of_the_breaker() {
    for streamed in WAYS {
        let hands = ManualClock::new();
        let fake = FakeProvider::new().respond(|_| busy());
        let mut config = StackConfig::new();
        config.clock = hands.clock();
        config.circuit_breaker = Some(CircuitBreakerConfig::new().failures(2).recovery(secs(10)));
        let stack = config.around(fake.clone());
        let calls = async {
            let mut kinds = Vec::new();
            for _ in 0..3 {
                kinds.push(ask(&stack, streamed).await.unwrap_err().kind());
            }
            kinds
        };
        let (kinds, _) = in_no_time(&hands, calls).await;
        assert_eq!(kinds, [ErrorKind::Overloaded, ErrorKind::Overloaded, ErrorKind::CircuitOpen]);
        assert_eq!(fake.requests().len(), 6);
        assert_eq!(stack.usage().total_requests(), 0, "nothing was answered");
    }
}

/// S15 at one client: a provider that is down for a minute, and a request every four seconds.
#[tokio::test]
async fn the_breaker_is_back_soon_after_the_provider_is() {
    for streamed in WAYS {
        let hands = ManualClock::new();
        let clock = hands.clock();
        let start = clock.now();
        let now = clock.clone();
        let fake = FakeProvider::new().respond(move |_| match now.now() - start < secs(60) {
            true => busy(),
            false => hello(),
        });
        let breaker =
            CircuitBreaker::new(fake.clone(), CircuitBreakerConfig::new()).clock(clock.clone());
        let mut answered = None;
        for _ in 0..30 {
            if ask(&breaker, streamed).await.is_ok() {
                answered.get_or_insert(clock.now() - start);
            }
            hands.advance(secs(4));
        }
        assert!(answered.unwrap() <= secs(90), "{answered:?}");
        assert!(fake.requests().len() < 30, "it was left alone in between");
    }
}

#[tokio::test]
async fn what_was_refused_is_not_counted_and_what_was_tried_again_counts_once() {
    for streamed in WAYS {
        let hands = ManualClock::new();
        let fake =
            fake([busy(), busy(), hello(), error(ErrorKind::Auth), error(ErrorKind::Timeout)]);
        let mut config = StackConfig::new();
        config.clock = hands.clock();
        let stack = config.around(fake);
        in_no_time(&hands, ask(&stack, streamed)).await.0.unwrap();
        assert_eq!((stack.usage().total_requests(), stack.usage().total_input_tokens()), (1, 10));
        for _ in 0..2 {
            ask(&stack, streamed).await.unwrap_err();
        }
        assert_eq!(stack.usage().total_requests(), 1);
    }
}

/// The builder with a script, and no time passing.
fn builder(fake: &FakeProvider) -> (ember::llm::ClientBuilder, ManualClock) {
    let hands = ManualClock::new();
    (Client::builder().provider(fake.clone()).clock(hands.clock()).env(no_env()), hands)
}

fn no_env() -> Env {
    Env::of::<&str, &str>([])
}

#[tokio::test]
async fn a_built_client_has_everything_around_its_provider() {
    for streamed in WAYS {
        let fake = fake([busy(), hello()]);
        let (builder, hands) = builder(&fake);
        let client = builder.build().unwrap();
        let answer = async {
            match streamed {
                true => client.stream("Hi").await.unwrap().collect().await.unwrap().into_text(),
                false => client.ask("Hi").await,
            }
        };
        let (answer, _) = in_no_time(&hands, answer).await;
        assert_eq!(answer.unwrap(), "Hello my friend");
        assert_eq!((client.usage().total_requests(), client.usage().total_input_tokens()), (1, 10));
        assert_eq!(client.clone().usage(), client.usage());
    }
}

#[tokio::test]
async fn each_layer_can_be_turned_off() {
    let always = FakeProvider::new().respond(|_| busy());
    let (build, hands) = builder(&always);
    let bare = build
        .without_retry()
        .without_circuit_breaker()
        .without_cost()
        .without_events()
        .build()
        .unwrap();
    for asked in 1..=9 {
        assert_eq!(bare.ask("Hi").await.unwrap_err().kind(), ErrorKind::Overloaded);
        assert_eq!(always.requests().len(), asked);
    }
    assert!(bare.events().is_none());
    assert_eq!(hands.sleepers(), 0);
    let shaky = fake([busy(), hello()]);
    let (build, hands) = builder(&shaky);
    let retry_alone = build.without_circuit_breaker().without_cost().build().unwrap();
    in_no_time(&hands, retry_alone.ask("Hi")).await.0.unwrap();
    let fake = fake([hello()]);
    let (build, _) = builder(&fake);
    let uncounted = build.without_cost().build().unwrap();
    uncounted.ask("Hi").await.unwrap();
    assert_eq!(uncounted.usage(), Default::default());
    let down = FakeProvider::new().respond(|_| busy());
    let (build, _) = builder(&down);
    let breaker = build
        .without_retry()
        .circuit_breaker(CircuitBreakerConfig::new().failures(1))
        .build()
        .unwrap();
    breaker.ask("Hi").await.unwrap_err();
    assert_eq!(breaker.ask("Hi").await.unwrap_err().kind(), ErrorKind::CircuitOpen);
}

#[tokio::test]
async fn the_environment_configures_and_the_program_goes_first() {
    let always = FakeProvider::new().respond(|_| busy());
    let env = Env::of([("EMBER_RETRY_MAX_RETRIES", "1"), ("EMBER_CIRCUIT_BREAKER_FAILURES", "1")]);
    let (build, hands) = builder(&always);
    let client = build.env(env.clone()).build().unwrap();
    in_no_time(&hands, client.ask("Hi")).await.0.unwrap_err();
    assert_eq!(always.requests().len(), 2);
    assert_eq!(client.ask("Hi").await.unwrap_err().kind(), ErrorKind::CircuitOpen);
    let (build, hands) = builder(&always);
    let client = build.env(env).retry(RetryConfig::new().max_retries(3)).build().unwrap();
    in_no_time(&hands, client.ask("Hi")).await.0.unwrap_err();
    assert_eq!(always.requests().len(), 2 + 4);
}

#[tokio::test]
async fn a_cache_replays_and_nothing_is_billed_twice() {
    let fake = fake([hello()]);
    let (build, _) = builder(&fake);
    let client = build.cache(Default::default()).build().unwrap();
    let first = client.complete("Hi").await.unwrap();
    let second = client.stream("Hi").await.unwrap().collect().await.unwrap();
    assert_eq!((first.usage, second.usage), (Some(Usage::new(10, 3)), Some(Usage::new(0, 0))));
    assert_eq!(second.cached.unwrap().saved, first.usage);
    assert_eq!((fake.requests().len(), client.usage().total_requests()), (1, 1));
}

#[tokio::test]
async fn clients_of_different_models_do_not_share_answers() {
    for streamed in WAYS {
        let store = ember::store::MemoryStore::new();
        let client = |model: &str| {
            let cache = CacheConfig::new().store(store.clone());
            let config = ProviderConfig::new("named", model);
            Client::builder().config(config).env(no_env()).cache(cache).build().unwrap()
        };
        for model in ["small", "large", "small"] {
            let answer = match streamed {
                true => client(model).stream("Hi").await.unwrap().collect().await.unwrap(),
                false => client(model).complete("Hi").await.unwrap(),
            };
            assert_eq!(answer.text(), model);
        }
    }
}

/// A provider that answers with the name of its model.
#[ember::provider("named")]
struct Named(FakeProvider);

impl From<ProviderConfig> for Named {
    fn from(config: ProviderConfig) -> Self {
        let model = config.model.clone();
        Self(FakeProvider::new().respond(move |_| FakeReply::new().text(&*model)))
    }
}

impl Provider for Named {
    fn name(&self) -> &str {
        "named"
    }

    async fn chat(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        self.0.chat(request).await
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
        self.0.stream(request).await
    }
}

#[tokio::test]
async fn clients_can_share_a_ledger() {
    let ledger = Ledger::new();
    for _ in 0..2 {
        let fake = fake([hello()]);
        let client =
            Client::builder().provider(fake).env(no_env()).ledger(ledger.clone()).build().unwrap();
        client.ask("Hi").await.unwrap();
    }
    assert_eq!(ledger.totals().total_requests(), 2);
}

#[tokio::test]
async fn a_provider_and_a_configuration_exclude_each_other() {
    let config = || ProviderConfig::new("fake", "small");
    let both =
        Client::builder().provider(FakeProvider::new()).config(config()).build().unwrap_err();
    assert_eq!(both.kind(), ErrorKind::Config);
    assert_eq!(Client::from_config(config()).unwrap().default_model(), Some("small"));
    let unknown = Client::from_config(ProviderConfig::new("nobody", "m")).unwrap_err();
    assert!(unknown.message().contains("there is no provider `nobody`"), "{unknown}");
}

/// A provider of the user's, by its attribute.
#[ember::provider("shaky")]
struct Shaky(Arc<FakeProvider>);

impl From<ProviderConfig> for Shaky {
    fn from(_: ProviderConfig) -> Self {
        Self(Arc::new(fake([error(ErrorKind::RateLimit).retry_after(millis(1)), hello()])))
    }
}

impl Provider for Shaky {
    fn name(&self) -> &str {
        "shaky"
    }

    async fn chat(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        self.0.chat(request).await
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
        self.0.stream(request).await
    }
}

#[tokio::test]
async fn a_provider_of_the_users_has_everything_around_it() {
    let client = Client::with_env(Env::of([("LLM_PROVIDER", "shaky")])).unwrap();
    assert_eq!(client.ask("Hi").await.unwrap(), "Hello my friend");
    assert_eq!(client.usage().total_requests(), 1);
}
