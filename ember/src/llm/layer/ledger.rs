use crate::llm::catalog::{Catalog, Price, without_date};
use crate::llm::usage::Usage;
use crate::llm::usd::Usd;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How what is used is priced.
///
/// Prices of the program's own go before those of the catalogue.
///
/// ```
/// use ember::llm::Price;
/// use ember::llm::layer::CostConfig;
///
/// let config = CostConfig::new().price("our-model", Price::per_million("0.5", "1.5")?);
/// # Ok::<(), ember::llm::ParseUsdError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CostConfig {
    /// The program's own prices, by model.
    pub prices: BTreeMap<String, Price>,
    /// The price of whatever has none among those, in place of the catalogue's.
    pub price_of_all: Option<Price>,
    /// Where the other prices are looked up.
    pub catalog: Catalog,
    /// The model of requests and answers that name none.
    pub default_model: Option<String>,
    /// The price of models that neither the program nor the catalogue has one for; unknown unless it is set.
    pub unknown_price: Option<Price>,
    /// The models of a router, if it is one that is asked.
    pub(in crate::llm) routed: Option<Routed>,
}

/// Models that answer in each other's place.
#[derive(Debug, Clone)]
pub(in crate::llm) struct Routed {
    pub(in crate::llm) models: Vec<RoutedName>,
    /// Whether a request that names one is answered by that or by none.
    pub(in crate::llm) named_only: bool,
    /// Whether the prices are those that the router has of its models.
    pub(in crate::llm) own_prices: bool,
}

/// What a model of a router is called: by the router, and by its provider.
#[derive(Debug, Clone)]
pub(in crate::llm) struct RoutedName {
    pub(in crate::llm) name: String,
    pub(in crate::llm) id: String,
}

/// Which models may answer a request, as far as it says.
#[derive(Debug, Clone, Copy)]
pub(in crate::llm) struct Asked<'a> {
    /// The provider that is asked.
    pub(in crate::llm) provider: &'a str,
    /// The model that is named.
    pub(in crate::llm) named: Option<&'a str>,
    /// The models of a router that may answer; all, unless it is said.
    pub(in crate::llm) allowed: Option<&'a [String]>,
}

impl Asked<'_> {
    /// Tells whether a router's model may answer, which is allowed by its name or by its id.
    fn allows(&self, model: &RoutedName) -> bool {
        let is_meant = |allowed: &String| *allowed == model.name || *allowed == model.id;
        self.allowed.is_none_or(|allowed| allowed.iter().any(is_meant))
    }
}

impl CostConfig {
    /// The list prices of the catalogue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the price of a model, at whatever provider.
    #[must_use]
    pub fn price(mut self, model: impl Into<String>, price: Price) -> Self {
        self.prices.insert(model.into(), price);
        self
    }

    /// Sets the price of every model that has none of its own here, whatever the provider calls it.
    #[must_use]
    pub fn price_of_all(mut self, price: Price) -> Self {
        self.price_of_all = Some(price);
        self
    }

    /// Looks prices up in this catalogue.
    #[must_use]
    pub fn catalog(mut self, catalog: Catalog) -> Self {
        self.catalog = catalog;
        self
    }

    /// Sets the model of requests and answers that name none.
    #[must_use]
    pub fn default_model(mut self, model: impl Into<String>) -> Self {
        self.default_model = Some(model.into());
        self
    }

    /// Takes this for the price of models that neither the program nor the catalogue has one for.
    #[must_use]
    pub fn unknown_price(mut self, price: Price) -> Self {
        self.unknown_price = Some(price);
        self
    }

    /// The price of an answer, if it is known: by what the provider calls the model, or else by
    /// what the request does, or else by the default.
    pub(in crate::llm) fn price_of(
        &self,
        provider: &str,
        model: Option<&str>,
        named: Option<&str>,
    ) -> Option<Price> {
        let named = named.or(self.default_model.as_deref());
        let name = model.or(named).unwrap_or(provider);
        let known = self.find(provider, name).or_else(|| self.find(provider, named?));
        known.filter(|known| *known != Price::default()).or(self.unknown_price)
    }

    /// Tells whether a router's models cost what the router says.
    pub(in crate::llm) fn are_of_router(&self) -> bool {
        self.routed.as_ref().is_some_and(|routed| routed.own_prices)
    }

    /// The models that may answer; `None` stands for the default.
    fn may_answer<'a>(&'a self, asked: Asked<'a>) -> Vec<Option<&'a str>> {
        let models = match &self.routed {
            Some(routed) if !routed.named_only || asked.named.is_none() => &routed.models[..],
            _ => &[],
        };
        let name = |model: &'a RoutedName| Some(model.name.as_str());
        let allowed: Vec<_> = models.iter().filter(|model| asked.allows(model)).map(name).collect();
        if !allowed.is_empty() {
            allowed
        } else if asked.named.is_some() || models.is_empty() {
            // No model of the router: one that embeds, or one that it will not find.
            vec![asked.named]
        } else {
            // Nobody answers, as the router will find: until then it costs what the dearest does.
            models.iter().map(name).collect()
        }
    }

    /// The most that an answer may cost, whoever gives it; `None` if that is not known of each.
    pub(in crate::llm) fn highest_price(&self, asked: Asked<'_>) -> Option<Price> {
        let models = self.may_answer(asked).into_iter();
        let prices = models.map(|model| self.price_of(asked.provider, None, model));
        prices.reduce(|one, other| one?.is_whole().then_some(one?.or_higher(&other?))).flatten()
    }

    /// The most that an answer may cost, whoever gives it, of those whose price is known.
    pub(in crate::llm) fn highest_known_price(&self, asked: Asked<'_>) -> Option<Price> {
        let models = self.may_answer(asked).into_iter();
        let prices = models.filter_map(|model| self.price_of(asked.provider, None, model));
        prices.filter(Price::is_whole).reduce(|one, other| one.or_higher(&other))
    }

    /// How long an answer may be, whoever gives it; `None` if that is not known of each.
    pub(in crate::llm) fn longest_answer(&self, asked: Asked<'_>) -> Option<u64> {
        let models = self.may_answer(asked).into_iter();
        let longest: Option<Vec<_>> =
            models.map(|model| self.catalog.find(asked.provider, model?)?.max_output).collect();
        longest?.into_iter().max()
    }

    /// A model that may answer and has no price, as far as it is known which that are.
    pub(in crate::llm) fn without_price<'a>(&'a self, asked: Asked<'a>) -> Option<&'a str> {
        let price = |model| self.price_of(asked.provider, None, Some(model));
        let mut models = self.may_answer(asked).into_iter().flatten();
        models.find(|model| !price(model).is_some_and(|price| price.is_whole()))
    }

    /// The price of a model, if it is known.
    fn find(&self, provider: &str, model: &str) -> Option<Price> {
        let own = |name: &str| self.prices.get(name).copied();
        // Providers answer by the name of the day that a model is of.
        let own = own(model).or_else(|| own(without_date(model)?)).or(self.price_of_all);
        own.or_else(|| Some(self.catalog.find(provider, model)?.price))
    }
}

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
    fn a_price_of_ones_own_holds_for_the_model_of_any_day() {
        let own = Price::per_million("7", "7").unwrap();
        let config = CostConfig::new().price("gpt-4o-mini", own);
        let price = config.price_of("openai", Some("gpt-4o-mini-2024-07-18"), Some("gpt-4o-mini"));
        assert_eq!(price, Some(own));
    }

    #[test]
    fn only_models_that_are_allowed_count() {
        let price = |text: &str| Price::per_million(text, text).unwrap();
        let mut config = CostConfig::new().price("small", price("1")).price("alias", price("9"));
        config = config.price("vectors", price("2"));
        let models = [("small", "small"), ("alias", "large")];
        let models = models.map(|(name, id)| RoutedName { name: name.into(), id: id.into() });
        config.routed = Some(Routed { models: models.into(), named_only: false, own_prices: true });
        let allowed = |named: Option<&str>, allowed: &str| {
            let allowed = [allowed.to_owned()];
            let asked = Asked { provider: "router", named, allowed: Some(&allowed) };
            config.highest_price(asked).unwrap().input
        };
        assert_eq!(allowed(None, "small"), price("1").input);
        assert_eq!(allowed(None, "large"), price("9").input);
        assert_eq!(allowed(Some("small"), "large"), price("9").input, "the other one answers");
        assert_eq!(allowed(None, "another"), price("9").input, "as if nothing had been said");
        assert_eq!(allowed(Some("vectors"), "vectors"), price("2").input, "no router's model");
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
