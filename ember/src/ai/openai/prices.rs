use super::api::RouteModel;
use crate::ai::Places;
use crate::base::Finding;
use crate::llm::Client;
use crate::store::BoxStore;

/// The prices that must be known, as there are limits in money.
pub(crate) struct Prices {
    /// Names of keys, with models that they may ask.
    pub(super) of_keys: Vec<(String, String)>,
    /// Names of keys that may ask any model, where there are none but the client's.
    pub(super) unbound_keys: Vec<String>,
    /// The models that the API lists; those of the client, where there are none.
    pub(super) listed: Vec<String>,
    pub(super) of_models: Vec<RouteModel>,
}

impl Prices {
    /// The models that a limit in money would refuse, as nobody knows their price.
    pub(crate) fn check(&self, client: &Client) -> Vec<Finding> {
        let of_keys = self.of_keys.iter().filter(|(_, model)| !client.knows_price(model));
        let of_keys = of_keys.map(|(key, model)| {
            Finding::new(format!(
                "the API key `{key}` has a limit in money, and no price is known of its model `{model}` at `{}`; set one \
                 by `CostConfig::price`, or let the `SpendLimit` go `.allow_unpriced()`",
                client.provider()
            ))
        });
        let of_models = self.of_models.iter().filter_map(|model| model.options.check_price(client));
        of_keys.chain(self.useless_keys(client)).chain(of_models).collect()
    }

    /// The keys with which no model that is listed could be asked.
    fn useless_keys(&self, client: &Client) -> Vec<Finding> {
        let listed = if self.listed.is_empty() { client.models() } else { self.listed.clone() };
        if listed.is_empty() || listed.iter().any(|model| client.knows_price(model)) {
            return Vec::new();
        }
        let useless = self.unbound_keys.iter().map(|key| {
            Finding::new(format!(
                "the API key `{key}` has a limit in money, and no price is known of any model at `{}` that is listed; set \
                 one by `CostConfig::price`, or let the `SpendLimit` go `.allow_unpriced()`",
                client.provider()
            ))
        });
        useless.collect()
    }

    /// Keeps what the models count in the store of the application.
    pub(crate) fn keep_in(&self, store: &BoxStore, places: &mut Places, notes: &mut Vec<String>) {
        self.of_models.iter().for_each(|model| model.options.keep_in(store, places, notes));
    }
}
