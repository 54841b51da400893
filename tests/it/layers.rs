//! What stands around a provider: retry, breaker and cost, unary and streamed, with no time passing.

use ember::Env;
use ember::base::clock::{ManualClock, millis, secs};
use ember::llm::layer::{
    CircuitBreaker, CircuitBreakerConfig, Cost, CostConfig, Ledger, Retry, RetryConfig, StackConfig,
};
use ember::llm::{
    ChatEvent, ChatRequest, ChatResponse, ChatStream, Client, Error, ErrorKind, FakeProvider,
    FakeReply, HttpProvider, Price, Provider, ProviderConfig, Usage,
};
use ember_tests::{Reply, Upstream, in_no_time};
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Both ways of asking, which must come to the same.
const WAYS: [bool; 2] = [false, true];

async fn ask(provider: &impl Provider, streamed: bool) -> Result<ChatResponse, Error> {
    match streamed {
        true => provider.stream(&"Hi".into()).await?.collect().await,
        false => provider.chat(&"Hi".into()).await,
    }
}

fn fake(replies: impl IntoIterator<Item = FakeReply>) -> FakeProvider {
    replies.into_iter().fold(FakeProvider::new(), FakeProvider::reply)
}

fn error(kind: ErrorKind) -> FakeReply {
    FakeReply::error(kind, "no")
}

fn busy() -> FakeReply {
    error(ErrorKind::Overloaded)
}

fn hello() -> FakeReply {
    FakeReply::new().text("Hello my friend").usage(Usage::new(10, 3))
}

/// A retry that always waits as long as chance allows.
fn retry(fake: &FakeProvider, config: RetryConfig) -> (Retry<FakeProvider>, ManualClock) {
    let hands = ManualClock::new();
    (Retry::new(fake.clone(), config).clock(hands.clock()).chance(|| 1.0), hands)
}

#[tokio::test]
async fn retry_recovers_from_failures_that_may_pass() {
    for streamed in WAYS {
        for kind in
            [ErrorKind::Overloaded, ErrorKind::RateLimit, ErrorKind::Server, ErrorKind::Transport]
        {
            let fake = fake([error(kind), error(kind), hello()]);
            let (retry, hands) = retry(&fake, RetryConfig::new());
            let (outcome, waited) = in_no_time(&hands, ask(&retry, streamed)).await;
            assert_eq!(outcome.unwrap().text(), "Hello my friend");
            assert_eq!((fake.requests().len(), waited), (3, millis(1_500)), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn retry_gives_up_after_its_attempts() {
    for streamed in WAYS {
        for (retries, attempts) in [(2, 3), (1, 2), (0, 1)] {
            let fake = fake((0..9).map(|_| busy()));
            let (retry, hands) = retry(&fake, RetryConfig::new().max_retries(retries));
            let (outcome, _) = in_no_time(&hands, ask(&retry, streamed)).await;
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Overloaded);
            assert_eq!(fake.requests().len(), attempts);
        }
    }
}

#[tokio::test]
async fn retry_leaves_what_will_not_pass() {
    use ErrorKind::{
        Auth, BudgetExceeded, Cancelled, CircuitOpen, Config, ContentFilter, ContextLength, Decode,
        InvalidRequest, Quota, Timeout,
    };
    for streamed in WAYS {
        for kind in [
            Auth,
            BudgetExceeded,
            Cancelled,
            CircuitOpen,
            Config,
            ContentFilter,
            ContextLength,
            Decode,
            InvalidRequest,
            Quota,
            Timeout,
        ] {
            let fake = fake([error(kind), hello()]);
            let (retry, hands) = retry(&fake, RetryConfig::new());
            let (outcome, _) = in_no_time(&hands, ask(&retry, streamed)).await;
            assert_eq!(outcome.unwrap_err().kind(), kind);
            assert_eq!(fake.requests().len(), 1, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn retry_waits_as_the_provider_asks_up_to_a_limit() {
    for streamed in WAYS {
        let refused = |wait| error(ErrorKind::RateLimit).retry_after(wait);
        let patient = fake([refused(secs(2)), hello()]);
        let (retry_patient, hands) = retry(&patient, RetryConfig::new());
        let (outcome, waited) = in_no_time(&hands, ask(&retry_patient, streamed)).await;
        outcome.unwrap();
        assert_eq!(waited, millis(2_200), "and a tenth by chance");
        let impatient = fake([refused(secs(61)), hello()]);
        let (retry_impatient, hands) = retry(&impatient, RetryConfig::new());
        let (outcome, waited) = in_no_time(&hands, ask(&retry_impatient, streamed)).await;
        assert_eq!(outcome.unwrap_err().retry_after(), Some(secs(61)));
        assert_eq!((impatient.requests().len(), waited), (1, Duration::ZERO));
    }
}

/// Fails once with a given error, and then repeats the question.
struct Once(Mutex<Option<Error>>);

impl Provider for Once {
    fn name(&self) -> &str {
        "once"
    }

    async fn chat(&self, _: &ChatRequest) -> Result<ChatResponse, Error> {
        let error = self.0.lock().unwrap().take();
        error.map_or_else(|| Ok(ChatResponse::text_answer("Hello")), Err)
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
        Ok(self.chat(request).await?.into_stream())
    }
}

#[tokio::test]
async fn the_providers_word_on_retries_goes_before_ours() {
    let config = RetryConfig::new().base_delay(Duration::ZERO);
    for streamed in WAYS {
        for (error, answered) in [
            (Error::new(ErrorKind::InvalidRequest, "x").with_should_retry(true), true),
            (Error::new(ErrorKind::Overloaded, "x").with_should_retry(false), false),
            (Error::new(ErrorKind::Timeout, "ours"), false),
            (Error::new(ErrorKind::Timeout, "theirs").with_status(504), true),
            (Error::new(ErrorKind::Timeout, "theirs").with_code("timeout_error"), true),
        ] {
            let told = error.to_string();
            let retry = Retry::new(Once(Mutex::new(Some(error))), config);
            assert_eq!(ask(&retry, streamed).await.is_ok(), answered, "{told}");
        }
    }
}

#[tokio::test]
async fn a_stream_is_opened_anew_only_before_it_tells_anything() {
    let begun =
        |events| FakeReply::new().text("a b c").fail_after(events, ErrorKind::Overloaded, "busy");
    let start = ChatEvent::Start { id: Some("1".into()), model: None };
    // After the start of an answer, nothing of it has been told yet.
    let started = FakeReply::new().event(start).fail_after(1, ErrorKind::Overloaded, "busy");
    let cut = FakeReply::new().cut_after(0);
    let fake_ok = fake([started, cut, hello()]);
    let (retry_ok, hands) = retry(&fake_ok, RetryConfig::new());
    let events = async {
        let mut stream = retry_ok.stream(&"Hi".into()).await.unwrap();
        let mut starts = 0;
        let mut text = String::new();
        while let Some(event) = stream.next().await {
            match event.unwrap() {
                ChatEvent::Start { .. } => starts += 1,
                ChatEvent::Text(piece) => text += &piece,
                _ => {}
            }
        }
        (starts, text)
    };
    let ((starts, text), _) = in_no_time(&hands, events).await;
    assert_eq!((starts, text.as_str(), fake_ok.requests().len()), (1, "Hello my friend", 3));
    let fake_late = fake([begun(1), hello()]);
    let (retry_late, hands) = retry(&fake_late, RetryConfig::new());
    let mut pieces = Vec::new();
    let work = async {
        let mut text = retry_late.stream(&"Hi".into()).await.unwrap().into_text();
        while let Some(piece) = text.next().await {
            pieces.push(piece.map_err(|error| error.kind()));
        }
    };
    in_no_time(&hands, work).await;
    assert_eq!(pieces, [Ok("a ".to_owned()), Err(ErrorKind::Overloaded)]);
    assert_eq!(fake_late.requests().len(), 1);
}

#[tokio::test]
async fn all_calls_together_have_one_budget_of_retries() {
    for streamed in WAYS {
        let fake = FakeProvider::new().respond(|_| busy());
        let (retry, hands) = retry(
            &fake,
            RetryConfig::new().budget_reserve(3).budget_percent(10).base_delay(Duration::ZERO),
        );
        let calls = async {
            for _ in 0..30 {
                ask(&retry, streamed).await.unwrap_err();
            }
        };
        in_no_time(&hands, calls).await;
        assert_eq!(fake.requests().len(), 30 + 3 + 3, "a reserve of three, and a tenth");
    }
}

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

fn priced() -> CostConfig {
    CostConfig::new().price("m1", Price::per_million("1", "2").unwrap())
}

fn says(model: &str, usage: Option<Usage>) -> FakeReply {
    let start = ChatEvent::Start { id: None, model: Some(model.to_owned()) };
    let reply = FakeReply::new().event(start).text("a b c d");
    match usage {
        Some(usage) => reply.usage(usage),
        None => reply,
    }
}

#[tokio::test]
async fn usage_is_counted_by_model_and_adds_up() {
    for streamed in WAYS {
        let cached = Usage::new(10, 5);
        let fake = fake([
            says("m1", Some(cached)),
            says("m1", Some(Usage::new(20, 6))),
            says("m2", Some(Usage::new(1, 1))),
        ]);
        let cost = Cost::new(fake, priced());
        for _ in 0..3 {
            ask(&cost, streamed).await.unwrap();
        }
        let usage = cost.usage();
        assert_eq!(usage.total_requests(), 3);
        assert_eq!((usage.total_input_tokens(), usage.total_output_tokens()), (31, 12));
        let models: Vec<_> =
            usage.by_model.iter().map(|(name, model)| (name.as_str(), model.requests)).collect();
        assert_eq!(models, [("m1", 2), ("m2", 1)]);
        assert_eq!(usage.by_model["m1"].usage, Usage::new(30, 11));
        // 30 tokens at 1, and 11 at 2 dollars a million; the model without a price is left out.
        assert_eq!(usage.total_cost_usd().unwrap().to_string(), "0.000052");
        assert_eq!((usage.unpriced_requests(), usage.by_model["m2"].cost_usd), (1, None));
        assert_eq!(usage.estimated_requests(), 0);
    }
}

#[tokio::test]
async fn without_a_price_the_cost_is_unknown_and_with_a_list_price_it_is_that() {
    for streamed in WAYS {
        let unknown =
            Cost::new(fake([says("nobody's", Some(Usage::new(1, 1)))]), CostConfig::new());
        ask(&unknown, streamed).await.unwrap();
        assert_eq!(unknown.usage().total_cost_usd(), None);
        let listed = Cost::new(
            Named("openai", fake([says("gpt-4o-mini", Some(Usage::new(1_000, 100)))])),
            CostConfig::new(),
        );
        ask(&listed, streamed).await.unwrap();
        assert_eq!(listed.usage().total_cost_usd().unwrap().to_string(), "0.00021");
    }
}

/// A fake with the name of another.
struct Named(&'static str, FakeProvider);

impl Provider for Named {
    fn name(&self) -> &str {
        self.0
    }

    async fn chat(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        let mut response = self.1.chat(request).await?;
        if request.messages[0].text() == "no usage" {
            response.usage = None;
        }
        Ok(response)
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
        Ok(self.chat(request).await?.into_stream())
    }
}

/// Aether counted nothing here; the provider bills it all the same.
#[tokio::test]
async fn a_stream_that_is_dropped_or_breaks_counts_as_an_estimate() {
    let question: ChatRequest = "x".repeat(400).as_str().into();
    let estimate = question.estimate_tokens();
    // Dropped after two of four words, eight bytes.
    let words = || FakeReply::new().text("abc efg ijk mno ");
    let cost = Cost::new(fake([words()]), priced());
    let mut stream = cost.stream(&question).await.unwrap();
    for _ in 0..3 {
        stream.next().await.unwrap().unwrap();
    }
    assert_eq!(cost.usage().total_requests(), 0, "not yet");
    drop(stream);
    let usage = cost.usage();
    let expected = Usage::new(estimate, 2);
    assert_eq!((usage.total_requests(), usage.estimated_requests()), (1, 1));
    assert_eq!(
        (usage.total_input_tokens(), usage.total_output_tokens()),
        (expected.total_input(), expected.total_output())
    );
    // Broken after two words, with a snapshot of the usage before.
    let reported = FakeReply::new().event(ChatEvent::Usage(Usage::new(90, 1))).text("abc efg ijk ");
    let cost = Cost::new(fake([reported.cut_after(3)]), priced());
    cost.stream(&question).await.unwrap().collect().await.unwrap_err();
    let usage = cost.usage();
    assert_eq!(
        (usage.total_input_tokens(), usage.total_output_tokens()),
        (90, 2),
        "the snapshot's input"
    );
    assert_eq!(usage.estimated_requests(), 1);
    // Dropped before anything came.
    let cost = Cost::new(fake([words()]), priced());
    drop(cost.stream(&question).await.unwrap());
    assert_eq!(
        (cost.usage().total_input_tokens(), cost.usage().total_output_tokens()),
        (estimate, 0)
    );
    // An unary call that is abandoned while the provider is at work.
    let cost = Cost::new(fake([words().hang_after(1)]), priced());
    assert!(tokio::time::timeout(millis(1), cost.chat(&question)).await.is_err());
    assert_eq!(
        (cost.usage().total_input_tokens(), cost.usage().estimated_requests()),
        (estimate, 1)
    );
}

#[tokio::test]
async fn an_answer_without_usage_counts_as_an_estimate() {
    for streamed in WAYS {
        let cost = Cost::new(Named("x", fake([says("m1", None)])), priced());
        let request = ChatRequest::from("no usage");
        match streamed {
            true => drop(cost.stream(&request).await.unwrap().collect().await.unwrap()),
            false => drop(cost.chat(&request).await.unwrap()),
        }
        let usage = cost.usage();
        assert_eq!((usage.total_requests(), usage.estimated_requests()), (1, 1));
        assert!(usage.total_output_tokens() > 0 && usage.total_cost_usd().is_some());
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

/// A client of a service that refuses once, with headers and a message, and then answers.
async fn after_a_refusal(
    streamed: bool,
    status: u16,
    header: (&'static str, &'static str),
    message: &'static str,
) -> (Result<String, ErrorKind>, Duration) {
    let refusals = Arc::new(Mutex::new(1));
    let upstream = Upstream::start(move |seen| {
        let mut left = refusals.lock().unwrap();
        if *left > 0 {
            *left -= 1;
            let body = json!({"error": {"message": message}});
            return Reply::json(status, body).header(header.0, header.1);
        }
        let end = json!({"choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"}]});
        let choice = json!({"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"});
        match seen.json()["stream"] == true {
            true => Reply::events().data(end).data("[DONE]"),
            false => Reply::json(200, json!({"choices": [choice]})),
        }
    })
    .await;
    let config = ProviderConfig::new("openai", "small").base_url(upstream.url());
    let hands = ManualClock::new();
    let retry = Retry::new(HttpProvider::openai(&config).unwrap(), RetryConfig::new());
    let retry = retry.clock(hands.clock()).chance(|| 0.0);
    let (outcome, waited) = in_no_time(&hands, ask(&retry, streamed)).await;
    (outcome.map(|response| response.text().into_owned()).map_err(|error| error.kind()), waited)
}

#[tokio::test]
async fn what_a_service_says_of_waits_and_retries_is_heeded() {
    let nothing = ("x-nothing", "");
    for (status, header, message, expected) in [
        (429, ("retry-after-ms", "1500"), "try again in 9s", Ok(millis(1_500))),
        (503, ("retry-after", "3"), "", Ok(secs(3))),
        (529, ("retry-after", "0.5"), "", Ok(millis(500))),
        (429, nothing, "Please try again in 1.5s.", Ok(millis(1_500))),
        (429, ("retry-after", "61"), "", Err(ErrorKind::RateLimit)),
        (429, ("retry-after", "-1"), "", Ok(Duration::ZERO)),
        (429, ("retry-after", "1e300"), "", Ok(Duration::ZERO)),
        (400, ("x-should-retry", "true"), "", Ok(Duration::ZERO)),
        (503, ("x-should-retry", "false"), "", Err(ErrorKind::Overloaded)),
        (503, ("x-should-retry", "perhaps"), "", Ok(Duration::ZERO)),
    ] {
        for streamed in WAYS {
            let (outcome, waited) = after_a_refusal(streamed, status, header, message).await;
            match expected {
                Ok(wait) => {
                    let seen = (outcome.as_deref(), waited);
                    assert_eq!(seen, (Ok("Hello"), wait), "{status} {header:?}");
                }
                Err(kind) => {
                    assert_eq!((outcome, waited), (Err(kind), Duration::ZERO), "{header:?}")
                }
            }
        }
    }
}
