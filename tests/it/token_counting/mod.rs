//! Counts of tokens: how far the estimate is off, on texts of our own.

mod corpus;

use corpus::TEXTS;
use ember::Ember;
use ember::base::tokens::{Estimate, Estimator, TokenCounter, estimate_tokens};
use ember::llm::{Client, FakeProvider, Tiktoken};
use ember::prelude::*;
use ember::testing::TestClient;
use proptest::prelude::*;

/// A model with the vocabulary that the estimate is calibrated against.
const MODEL: Option<&str> = Some("gpt-4o");

/// How far the estimate may be below the exact count, and above it.
const MARGIN: std::ops::RangeInclusive<f64> = -0.10..=0.25;

fn error_of(text: &str) -> f64 {
    let exact = Tiktoken.count(MODEL, text);
    estimate_tokens(text) as f64 / exact as f64 - 1.0
}

#[test]
fn the_estimate_is_within_its_margin_for_every_kind_of_text() {
    let outside: Vec<_> = TEXTS
        .iter()
        .map(|(kind, text)| (kind, error_of(text)))
        .filter(|(_, error)| !MARGIN.contains(error))
        .collect();
    assert!(outside.is_empty(), "{outside:?}");
    let whole: String = TEXTS.iter().map(|(_, text)| *text).collect();
    assert!((-0.02..0.10).contains(&error_of(&whole)), "all together: {}", error_of(&whole));
}

/// What somebody would send who knows what an estimate takes for nothing.
#[test]
fn no_run_of_one_thing_is_much_longer_than_its_estimate() {
    let base64: String = (0..10_000_u64)
        .map(|n| {
            char::from(
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
                    [(n * n * 7_919 % 1_000_003 * 31 % 64) as usize],
            )
        })
        .collect();
    let units = [
        " ", "  \n", " \n", "\n", "\r\n", "\n\n ", "\t", "\n\t", "\u{a0}", "a", "z", "A", "Ab",
        "0", "🙂", "é", "ж", "字", "[", "]}", "()", "-", "=", ".", "\"", "\\", "\u{0}", "\u{200b}",
        "a ", "1 ",
    ];
    let runs = units.iter().map(|unit| (*unit, unit.repeat(5_000))).chain([("base64", base64)]);
    let low: Vec<_> = runs
        .map(|(unit, text)| (unit, Tiktoken.count(MODEL, &text), estimate_tokens(&text)))
        .filter(|(unit, exact, estimate)| match unit.trim().is_empty() {
            true => estimate * 10 < exact * 9,
            false => estimate * 2 < *exact,
        })
        .collect();
    assert!(low.is_empty(), "{low:?}");
    for unit in [" ", "\n", "\t", "[", "a"] {
        assert!(estimate_tokens(&unit.repeat(1 << 20)) > 10_000, "{unit:?}");
    }
}

proptest! {
    #[test]
    fn the_estimate_of_a_mixture_is_within_the_margin(
        picks in prop::collection::vec(0..TEXTS.len(), 1..12),
    ) {
        let mixture: Vec<_> = picks.into_iter().map(|pick| TEXTS[pick].1).collect();
        let error = error_of(&mixture.join("\n\n"));
        prop_assert!(MARGIN.contains(&error), "{error}");
    }

    #[test]
    fn the_estimate_is_bounded_by_the_length_and_the_same_in_pieces(
        text in "\\PC{0,200}", cut in 0..200usize,
    ) {
        let tokens = estimate_tokens(&text);
        prop_assert!(tokens <= 3 * text.chars().count() as u64 + 1);
        let (head, tail) = text.split_at(text.floor_char_boundary(cut));
        let mut estimator = Estimator::default();
        estimator.push(head);
        estimator.push(tail);
        prop_assert_eq!(estimator.tokens(), tokens);
        prop_assert_eq!(Estimate.count(MODEL, &text), tokens);
    }
}

#[ai_route("/count")]
async fn count(conversation: ConversationContext) -> String {
    conversation.estimate_tokens().to_string()
}

#[ai_route("/trim")]
async fn trim(mut conversation: ConversationContext) -> String {
    for turn in ["one", "two", "three"] {
        conversation.add_message(Role::User, turn);
        conversation.add_message(Role::Assistant, "Yes.");
    }
    conversation.trim(2_000);
    conversation.messages().len().to_string()
}

#[ai_route("/limited", token_limits = TokenLimits::new().max_prompt_tokens(2_000))]
async fn limited(client: Client, message: String) -> ember::Result<String> {
    Ok(client.ask(message).await?)
}

/// A thousand tokens for every text.
struct Thousands;

impl TokenCounter for Thousands {
    fn count(&self, _: Option<&str>, _: &str) -> u64 {
        1_000
    }
}

#[tokio::test]
async fn the_counter_of_the_application_counts_conversations_and_limits() {
    let client = || Client::new(FakeProvider::new().text("Yes."));
    let app: Ember = ember::app!().client(client());
    let app = TestClient::new(app.token_counter(Thousands).build().unwrap());
    assert_eq!(app.post("/trim").send().await.text().await, "2");
    assert_eq!(app.post("/limited").body("Hi").send().await.status(), 200);
    let app: Ember = ember::app!().client(client().token_counter(Thousands));
    let app = TestClient::new(app.build().unwrap());
    assert_eq!(app.post("/trim").send().await.text().await, "2");
    let app = TestClient::new(ember::app!().client(client()).build().unwrap());
    assert_eq!(app.post("/trim").send().await.text().await, "6");
    assert_eq!(app.post("/count").send().await.text().await, "0");
}
