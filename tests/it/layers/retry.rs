//! What is tried again, when, and how often.

use super::*;

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

#[tokio::test]
async fn a_provider_that_asks_for_no_wait_is_not_overrun() {
    for streamed in WAYS {
        for hint in [Duration::ZERO, millis(1)] {
            let refused = || error(ErrorKind::RateLimit).retry_after(hint);
            let fake = fake([refused(), refused(), hello()]);
            let (retry, hands) = retry(&fake, RetryConfig::new());
            let (outcome, waited) = in_no_time(&hands, ask(&retry, streamed)).await;
            outcome.unwrap();
            assert_eq!((fake.requests().len(), waited), (3, millis(1_500)), "as without a hint");
        }
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
