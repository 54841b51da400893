//! Limits in money, by the clock and at the store.

use super::book::{OTHERS, SHARED, SOON};
use super::limit::{LONG_ANSWER, SpendLimit};
use crate::base::clock::ManualClock;
use crate::llm::budget::{BoxBudget, Budget, Plan, Reservation, Spent};
use crate::llm::catalog::Price;
use crate::llm::chat::ChatRequest;
use crate::llm::error::{Error, ErrorKind};
use crate::llm::layer::CostConfig;
use crate::llm::usage::Usage;
use crate::llm::usd::Usd;
use crate::store::MemoryStore;
use std::ops::ControlFlow;
use std::time::Duration;

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

/// A dollar for a token in, two for one out.
fn prices() -> CostConfig {
    let price = Price::per_million("1000000", "2000000").unwrap();
    CostConfig::new().price("m", price)
}

async fn reserve(
    budget: &impl Budget,
    prompt: u64,
    max: Option<u64>,
) -> Result<(Box<dyn Reservation>, Option<u64>), Error> {
    let mut request = ChatRequest::from("x").model("m");
    request.max_tokens = max;
    let prices = prices();
    let mut plan = Plan::new(&mut request, prompt, "fake", None, &prices);
    let held = budget.reserve(&mut plan).await?;
    Ok((held, request.max_tokens))
}

fn spent(cost: &str) -> Spent {
    Spent { cost: usd(cost), ..Spent::default() }
}

#[tokio::test]
async fn money_is_set_aside_and_settled() {
    let limit = SpendLimit::per_day(usd("100")).account("a");
    let (mut held, _) = reserve(&limit, 10, Some(20)).await.unwrap();
    assert_eq!(limit.left(), usd("50"));
    assert!(held.used(&spent("30")).is_continue());
    assert_eq!((limit.left(), limit.spent()), (usd("50"), usd("0")));
    drop(held);
    assert_eq!((limit.left(), limit.spent()), (usd("70"), usd("30")));
}

#[tokio::test]
async fn an_answer_is_bounded_to_what_the_rest_affords() {
    let limit = SpendLimit::per_day(usd("100"));
    let (held, bound) = reserve(&limit, 10, None).await.unwrap();
    assert_eq!(bound, Some(45));
    let refused = reserve(&limit, 10, None).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::BudgetExceeded);
    assert_eq!(refused.retry_after(), Some(SOON), "it may come back");
    drop(held);
    assert_eq!(reserve(&limit, 68, None).await.unwrap().1, Some(16));
    assert_eq!(reserve(&limit, 98, Some(1)).await.unwrap().1, Some(1), "the caller wants no more");
    let refused = reserve(&limit, 69, None).await.err().unwrap();
    assert!(refused.retry_after().unwrap() > SOON);
}

#[tokio::test]
async fn what_turns_out_dearer_is_stopped_at_the_limit_and_billed() {
    let limit = SpendLimit::per_day(usd("100"));
    let other = reserve(&limit, 20, Some(10)).await.unwrap();
    let (mut held, _) = reserve(&limit, 10, Some(5)).await.unwrap();
    assert!(held.used(&spent("60")).is_continue(), "there is more");
    let ControlFlow::Break(error) = held.used(&spent("61")) else { panic!() };
    assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
    drop(held);
    assert_eq!(limit.spent(), usd("61"));
    drop(other);
    assert_eq!(limit.account(SHARED).left(), usd("39"));
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_unless_it_is_said() {
    let ask = async |limit: &SpendLimit| {
        let mut request = ChatRequest::from("x").model("unheard-of");
        let prices = CostConfig::new();
        let mut plan = Plan::new(&mut request, 10, "fake", None, &prices);
        limit.reserve("", &mut plan).await
    };
    let limit = SpendLimit::per_day(usd("1"));
    let refused = ask(&limit).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert!(refused.to_string().contains("`unheard-of`"), "{refused}");
    assert!(!crate::base::Error::from(refused).message().contains("unheard"));
    let used = Spent { unpriced: Usage::new(500_000, 0), ..Spent::default() };
    let mut held = ask(&limit.clone().allow_unpriced()).await.unwrap();
    assert!(held.used(&used).is_continue());
    drop(held);
    assert_eq!(limit.spent(), Usd::ZERO);
    let mut request = ChatRequest::from("x").model("unheard-of");
    let assumed = CostConfig::new().unknown_price(Price::per_million("100000", "0").unwrap());
    let mut plan = Plan::new(&mut request, 9, "fake", None, &assumed);
    let _held = limit.reserve("", &mut plan).await.unwrap();
    assert_eq!(limit.account("").left(), usd("0.1"));
}

#[tokio::test]
async fn callers_have_accounts_and_those_beyond_the_bound_share_one() {
    let limit = SpendLimit::per_day(usd("100")).max_accounts(2);
    let spend = async |key: &str| {
        let (mut held, _) = reserve(&limit.account(key), 10, Some(10)).await.ok()?;
        assert!(held.used(&spent("30")).is_continue());
        Some(())
    };
    for key in ["a", "b"] {
        let mut count = 0;
        for _ in 0..9 {
            count += usize::from(spend(key).await.is_some());
        }
        assert_eq!(count, 3, "{key}");
    }
    let mut others = 0;
    for key in 0..50 {
        others += usize::from(spend(&format!("other {key}")).await.is_some());
    }
    assert_eq!(others, 3);
}

#[tokio::test]
async fn whoever_is_refused_or_spends_nothing_takes_no_place() {
    let limit = SpendLimit::per_day(usd("100")).max_accounts(2);
    for key in 0..9 {
        let account = limit.account(format!("refused {key}"));
        assert!(reserve(&account, 1_000, Some(1)).await.is_err());
        let failed = limit.account(format!("failed {key}"));
        drop(reserve(&failed, 10, Some(20)).await.unwrap());
    }
    let spend = async |key: &str| {
        let (mut held, _) = reserve(&limit.account(key), 10, Some(20)).await.unwrap();
        assert!(held.used(&spent("30")).is_continue());
    };
    for key in ["a", "b"] {
        spend(key).await;
        assert_eq!(limit.account(key).spent(), usd("30"), "{key} has a place");
    }
    spend("c").await;
    let late = limit.account("d");
    assert_eq!((late.spent(), late.left()), (usd("30"), usd("70")), "with all who share it");
    let (mut held, _) = reserve(&late, 10, Some(30)).await.unwrap();
    assert!(held.used(&spent("70")).is_continue());
    drop(held);
    let check = Budget::check(&limit.account("e")).await;
    assert_eq!(
        check.unwrap_err().kind(),
        ErrorKind::BudgetExceeded,
        "the common account is used up"
    );
}

#[tokio::test]
async fn an_answer_is_asked_for_no_longer_than_was_set_aside() {
    let limit = SpendLimit::per_day(usd("100000"));
    let (_held, bound) = reserve(&limit, 10, None).await.unwrap();
    assert_eq!(bound, Some(LONG_ANSWER));
    assert_eq!(limit.account(SHARED).left(), usd("91798"));
}

#[tokio::test]
async fn what_writes_nothing_needs_no_price_of_output() {
    let ask = async |longest: u64| {
        let mut request = ChatRequest::default().model("e").max_tokens(longest);
        let price = Price { output: None, ..Price::per_million("1000000", "0").unwrap() };
        let prices = CostConfig::new().price("e", price);
        let mut plan = Plan::new(&mut request, 10, "fake", Some("e"), &prices);
        let limit = SpendLimit::per_day(usd("100"));
        let held = limit.reserve("", &mut plan).await;
        held.map(|_held| limit.account("").left())
    };
    assert_eq!(ask(0).await.unwrap(), usd("90"));
    assert_eq!(ask(1).await.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn of_an_answer_that_another_limit_bounds_the_rest_is_not_held() {
    let store = MemoryStore::new();
    for shared in [false, true] {
        let large = SpendLimit::per_day(usd("1000")).name("large");
        let large = if shared { large.store(store.clone()) } else { large };
        let small = SpendLimit::per_day(usd("50"));
        let budgets = [BoxBudget::new(large.clone()), BoxBudget::new(small.account("key"))];
        let mut request = ChatRequest::from("x").model("m").max_tokens(200);
        let prices = prices();
        let mut plan = Plan::new(&mut request, 10, "fake", None, &prices);
        let held = BoxBudget::reserve_all(&budgets, &mut plan).await.unwrap();
        assert_eq!(request.max_tokens, Some(20));
        if shared {
            settled(&large).await;
        }
        let account = large.account(SHARED);
        assert_eq!(account.ask_left().await.unwrap(), usd("950"), "{shared}");
        assert_eq!(account.left(), usd("950"));
        drop(held);
        if shared {
            settled(&large).await;
        }
        assert_eq!(account.ask_left().await.unwrap(), usd("1000"));
    }
}

#[tokio::test]
async fn one_limit_in_two_places_is_billed_once() {
    let limit = SpendLimit::per_day(usd("100"));
    let other = SpendLimit::per_day(usd("100"));
    let budgets = [limit.clone(), limit.clone(), other.clone()].map(BoxBudget::new);
    let mut request = ChatRequest::from("x").model("m").max_tokens(20);
    let prices = prices();
    let mut plan = Plan::new(&mut request, 10, "fake", None, &prices);
    let mut held = BoxBudget::reserve_all(&budgets, &mut plan).await.unwrap();
    held.iter_mut().for_each(|held| assert!(held.used(&spent("30")).is_continue()));
    drop(held);
    assert_eq!((limit.spent(), other.spent()), (usd("30"), usd("30")));
    let store = MemoryStore::new();
    let named = |name: &str| limit.clone().name(name).store(store.clone());
    assert_ne!(Budget::identity(&named("a")), Budget::identity(&named("b")));
    assert_ne!(Budget::identity(&limit.account("a")), Budget::identity(&limit.account("b")));
}

#[tokio::test]
async fn a_limit_that_is_raised_or_lowered_in_its_period_knows_what_was_spent() {
    let store = MemoryStore::new();
    let limit = |of: &str| SpendLimit::per_month(usd(of)).name("a").store(store.clone());
    let (first, lower, higher) = (limit("100"), limit("50"), limit("200"));
    let (mut held, _) = reserve(&first, 10, Some(25)).await.unwrap();
    assert!(held.used(&spent("55")).is_continue());
    drop(held);
    settled(&first).await;
    let left = async |limit: &SpendLimit| limit.account(SHARED).ask_left().await.unwrap();
    assert_eq!(left(&higher).await, usd("145"));
    assert_eq!(left(&lower).await, usd("0"));
    assert!(reserve(&lower, 1, Some(1)).await.is_err());
    // One that gives back by its smaller amount does not forget what the others spent.
    let (held, _) = reserve(&higher, 10, Some(25)).await.unwrap();
    drop(held);
    settled(&higher).await;
    assert_eq!(left(&first).await, usd("45"));
}

#[tokio::test]
async fn a_clock_that_steps_back_gives_no_money_back() {
    let (early, late) = (ManualClock::new(), ManualClock::new());
    late.advance(Duration::from_secs(2 * 86_400));
    let limit = SpendLimit::per_day(usd("100")).clock(late.clock());
    let (mut held, _) = reserve(&limit, 10, Some(10)).await.unwrap();
    assert!(held.used(&spent("30")).is_continue());
    drop(held);
    let behind = limit.clone().clock(early.clock());
    assert_eq!((behind.spent(), limit.spent()), (usd("30"), usd("30")));
}

#[tokio::test]
async fn a_period_ends_and_what_is_under_way_belongs_to_the_next() {
    let hands = ManualClock::new();
    let limit = SpendLimit::per_hour(usd("50")).clock(hands.clock());
    let (mut early, _) = reserve(&limit, 10, Some(10)).await.unwrap();
    assert!(early.used(&spent("30")).is_continue());
    let refused = reserve(&limit, 30, Some(1)).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::BudgetExceeded);
    hands.advance(limit.book.until_next());
    assert_eq!(limit.account(SHARED).left(), usd("20"), "it is still under way");
    drop(early);
    assert_eq!((limit.spent(), limit.account(SHARED).left()), (usd("30"), usd("20")));
    hands.advance(Duration::from_secs(3_600));
    assert_eq!(limit.account(SHARED).left(), usd("50"));
}

/// Waits until all that is to be settled is.
async fn settled(limit: &SpendLimit) {
    assert!(limit.store.get().unwrap().background().idle(Duration::from_secs(20)).await);
}

#[tokio::test]
async fn limits_of_one_name_in_one_store_are_one_and_begin_anew_together() {
    let hands = ManualClock::new();
    let store = MemoryStore::new().clock(hands.clock());
    let limit = |name: &str| {
        let limit = SpendLimit::per_hour(usd("100")).clock(hands.clock());
        limit.name(name).store(store.clone())
    };
    let (here, there, other) = (limit("a"), limit("a"), limit("b"));
    let (mut held, _) = reserve(&here, 10, Some(20)).await.unwrap();
    assert_eq!(there.account(SHARED).ask_left().await.unwrap(), usd("50"));
    assert_eq!(other.account(SHARED).ask_left().await.unwrap(), usd("100"));
    assert_eq!(reserve(&there, 10, None).await.unwrap().1, Some(20), "the rest");
    settled(&there).await;
    let refused = reserve(&there, 50, Some(20)).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::BudgetExceeded);
    assert_eq!(refused.retry_after(), Some(OTHERS), "others may give back what they hold");
    let refused = reserve(&here, 50, Some(20)).await.err().unwrap();
    assert_eq!(refused.retry_after(), Some(SOON), "it is set aside here, and may come back");
    // What is under way belongs to the period in which it began.
    hands.advance(here.book.until_next());
    assert_eq!(there.account(SHARED).ask_left().await.unwrap(), usd("100"));
    assert!(held.used(&spent("30")).is_continue());
    drop(held);
    settled(&here).await;
    assert_eq!(there.account(SHARED).ask_left().await.unwrap(), usd("100"));
    let (mut held, _) = reserve(&here.account("ann"), 10, Some(5)).await.unwrap();
    assert!(held.used(&spent("99.9999999991")).is_continue(), "there is so much");
    settled(&here).await;
    let left = there.account("ann").ask_left().await.unwrap();
    assert_eq!(left, usd("0"), "rounded against the caller");
    assert!(Budget::check(&there.account("ann")).await.is_err());
    assert!(Budget::check(&there.account("bob")).await.is_ok());
    let ControlFlow::Break(error) = held.used(&spent("101")) else { panic!() };
    assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
}
