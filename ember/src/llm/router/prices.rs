use super::ModelRouter;
use super::model::RoutedModel;
use crate::llm::catalog::{Catalog, Model, Price};
use crate::llm::layer::{CostConfig, Routed, RoutedName};
use crate::llm::provider::Provider as _;
use crate::llm::usage::Usage;
use crate::llm::usd::Usd;

impl ModelRouter {
    /// What a budget is to take for the price of an answer.
    ///
    /// Once it is known which model answers, its own; before that, the highest of all that may, so that no
    /// choice of the router overdraws a budget. A model whose price is unknown counts as dearer than all.
    pub(in crate::llm) fn prices(&self) -> CostConfig {
        let known = self.settings().1;
        // A catalogue of its own: others may use the one that the router was given.
        let catalog = Catalog::new();
        let mut models: Vec<_> = self.shared.models.iter().collect();
        // Of two models that their providers call the same, the dearer counts.
        models.sort_by_key(|model| dearness(model));
        for model in &models {
            let found = known.find(&model.provider_name, &model.model);
            let found = found.map(|found| Model::clone(&found));
            let mut found = found.unwrap_or_else(|| Model::new(self.name(), model.name.as_str()));
            found.provider = self.name().into();
            // One without a price is told to have none, or else another's would be taken for it.
            found.price = model.price.unwrap_or_default();
            found.max_output = model.max_output;
            for name in [&model.model, &model.name] {
                found.id = name.as_str().into();
                catalog.add(found.clone());
            }
        }
        let mut prices = CostConfig::new().catalog(catalog);
        prices.default_model = models.last().map(|dearest| dearest.name.clone());
        let name =
            |model: &RoutedModel| RoutedName { name: model.name.clone(), id: model.model.clone() };
        let models = self.shared.models.iter().map(name).collect();
        prices.routed = Some(Routed { models, named_only: self.named_only, own_prices: true });
        prices
    }
}

/// What a million tokens each way cost; what is not known stands above all.
fn dearness(model: &RoutedModel) -> (bool, Option<Usd>) {
    const MANY: u64 = 1_000_000;
    let cost = model.price.as_ref().and_then(|price: &Price| price.cost(&Usage::new(MANY, MANY)));
    (cost.is_none(), cost)
}
