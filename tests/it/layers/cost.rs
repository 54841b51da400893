//! What is counted of calls, and at which price.

use super::*;

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
