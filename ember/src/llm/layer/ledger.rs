use super::prices::CostConfig;
use crate::llm::usage::Usage;
use crate::llm::usd::Usd;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What has been used so far, by model. Clones are the same ledger, so several clients can share one.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<BTreeMap<String, ModelUsage>>>);

/// How many models are told apart, as their names come from providers.
const MAX_MODELS: usize = 1_000;

/// What the models beyond that are counted under.
const OTHERS: &str = "(others)";

impl Ledger {
    /// A ledger that has counted nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// What has been used so far.
    pub fn totals(&self) -> UsageTotals {
        UsageTotals { by_model: self.lock().clone() }
    }

    /// Forgets what has been counted.
    pub fn reset(&self) {
        self.lock().clear();
    }

    /// Counts one answer. `named` is what the request called the model, for a price where the
    /// provider calls it by a name that nobody knows.
    pub(super) fn count(
        &self,
        config: &CostConfig,
        provider: &str,
        model: Option<&str>,
        named: Option<&str>,
        usage: Usage,
    ) {
        let price = config.price_of(provider, model, named);
        let cost = price.and_then(|price| price.cost(&usage));
        let named = named.or(config.default_model.as_deref());
        let name = model.or(named).unwrap_or(provider);
        let mut models = self.lock();
        let name = match models.len() >= MAX_MODELS && !models.contains_key(name) {
            true => OTHERS,
            false => name,
        };
        models.entry(name.to_owned()).or_default().add(usage, cost);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ModelUsage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ledger").field(&*self.lock()).finish()
    }
}

/// What one model was used for.
#[doc(alias = "TokenUsage")]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ModelUsage {
    /// Answers, those that broke off or were abandoned included.
    pub requests: u64,
    /// Answers among them whose tokens are our estimate, because the provider's figures never came.
    pub estimated_requests: u64,
    /// Answers among them that no price is known for.
    pub unpriced_requests: u64,
    /// The tokens, in parts that do not overlap.
    pub usage: Usage,
    /// What the answers have cost that a price is known for; `None` if there are none.
    pub cost_usd: Option<Usd>,
}

impl ModelUsage {
    fn add(&mut self, usage: Usage, cost: Option<Usd>) {
        self.requests += 1;
        self.estimated_requests += u64::from(usage.estimated);
        self.usage += usage;
        match cost {
            Some(cost) => *self.cost_usd.get_or_insert_default() += cost,
            None => self.unpriced_requests += 1,
        }
    }
}

/// What a client has used so far.
///
/// ```
/// # use ember::llm::{Client, FakeProvider, Price};
/// # use ember::llm::layer::CostConfig;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let prices = CostConfig::new().price("fake", Price::per_million("1", "2")?);
/// let client = Client::builder().provider(FakeProvider::new().text("Hello")).cost(prices).build()?;
/// client.ask("Good morning").await?;
/// let usage = client.usage();
/// assert_eq!((usage.total_requests(), usage.total_input_tokens(), usage.total_output_tokens()), (1, 2, 1));
/// assert_eq!(usage.total_cost_usd().unwrap().to_string(), "0.000004");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UsageTotals {
    /// What was used, by the name that the provider gives the model.
    pub by_model: BTreeMap<String, ModelUsage>,
}

impl UsageTotals {
    /// How many answers there were, those that broke off or were abandoned included.
    pub fn total_requests(&self) -> u64 {
        self.by_model.values().map(|model| model.requests).sum()
    }

    /// All input, cached or not, in tokens.
    pub fn total_input_tokens(&self) -> u64 {
        self.by_model.values().map(|model| model.usage.total_input()).sum()
    }

    /// All output, reasoning included, in tokens.
    pub fn total_output_tokens(&self) -> u64 {
        self.by_model.values().map(|model| model.usage.total_output()).sum()
    }

    /// What all of it has cost, as far as prices are known; `None` where none is.
    ///
    /// Answers without a known price are left out of the sum and told by
    /// [`unpriced_requests`](UsageTotals::unpriced_requests): unless that is zero, the sum is a lower bound.
    pub fn total_cost_usd(&self) -> Option<Usd> {
        self.by_model.values().filter_map(|model| model.cost_usd).reduce(|sum, cost| sum + cost)
    }

    /// How many answers no price is known for.
    pub fn unpriced_requests(&self) -> u64 {
        self.by_model.values().map(|model| model.unpriced_requests).sum()
    }

    /// How many answers have tokens that are our estimate.
    pub fn estimated_requests(&self) -> u64 {
        self.by_model.values().map(|model| model.estimated_requests).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::catalog::Price;

    #[test]
    fn prices_are_looked_up_by_either_name_and_the_programs_own_go_first() {
        let ledger = Ledger::new();
        let million = Usage::new(1_000_000, 0);
        let own = Price::per_million("7", "0").unwrap();
        let config = CostConfig::new().price("own", own).default_model("gpt-4o-mini");
        ledger.count(&config, "openai", Some("gpt-4o-mini-2024-07-18"), None, million);
        ledger.count(&config, "openai", Some("nobody-knows"), Some("own"), million);
        ledger.count(&config, "openai", None, None, million);
        ledger.count(&config, "corp", Some("nobody-knows-either"), None, million);
        let totals = ledger.totals();
        let cost = |model: &str| totals.by_model[model].cost_usd.map(|cost| cost.to_string());
        assert_eq!(cost("gpt-4o-mini-2024-07-18").as_deref(), Some("0.15"));
        assert_eq!(cost("nobody-knows").as_deref(), Some("7"));
        assert_eq!(cost("gpt-4o-mini").as_deref(), Some("0.15"));
        assert_eq!(cost("nobody-knows-either"), None);
        assert_eq!(totals.total_cost_usd().unwrap().to_string(), "7.3");
        assert_eq!(totals.unpriced_requests(), 1);
    }

    #[test]
    fn models_are_bounded() {
        let (ledger, config) = (Ledger::new(), CostConfig::new());
        for index in 0..MAX_MODELS + 5 {
            ledger.count(&config, "x", Some(&format!("m{index}")), None, Usage::new(1, 1));
        }
        let totals = ledger.totals();
        assert_eq!(totals.by_model.len(), MAX_MODELS + 1);
        assert_eq!((totals.by_model[OTHERS].requests, totals.total_requests()), (5, 1_005));
        ledger.reset();
        assert_eq!(ledger.totals(), UsageTotals::default());
    }
}
