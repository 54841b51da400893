use crate::llm::catalog::{Catalog, Price, without_date};
use std::collections::BTreeMap;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
