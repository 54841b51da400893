use super::virtual_key::VirtualKey;
use crate::ai::limiter::{CallerLimit, Limiter};
use crate::base::Clock;
use crate::llm::{Client, SpendLimit};
use crate::store::{BoxStore, BucketError, GlobalTokenBucket};
use std::sync::Arc;
use std::time::Duration;

/// Whoever a key belongs to, and what they have left.
#[derive(Debug)]
pub(in crate::ai::openai) struct Caller {
    pub(in crate::ai::openai) name: String,
    /// Those that may be asked; any, where there is none.
    models: Option<Arc<[String]>>,
    pub(in crate::ai::openai) limit: Option<CallerLimit>,
    pub(in crate::ai::openai) spend_limit: Option<SpendLimit>,
    pub(in crate::ai::openai) requests: Option<Requests>,
}

/// The requests of a minute.
#[derive(Debug)]
pub(in crate::ai::openai) struct Requests {
    pub(in crate::ai::openai) limit: u64,
    pub(in crate::ai::openai) bucket: GlobalTokenBucket,
}

impl Caller {
    /// Whoever a key belongs to: one key is one caller.
    pub(super) fn new(key: VirtualKey, clock: &Clock) -> Self {
        let requests = key.requests_per_minute.map(|limit| Requests {
            limit,
            bucket: GlobalTokenBucket::with_clock(
                "requests per minute",
                limit,
                Duration::from_secs(60),
                clock.clone(),
            )
            .on_store_failure(key.on_store_failure),
        });
        let limit =
            key.token_limits.map(|limits| Limiter::new(limits.into(), clock, String::new()).of(""));
        Self {
            name: key.name,
            models: (!key.models.is_empty()).then(|| key.models.into()),
            limit,
            spend_limit: key.spend_limit,
            requests,
        }
    }

    /// The client with the limits of the key.
    pub(in crate::ai::openai) fn limits(&self, client: Client) -> Client {
        let client = self.limit.iter().cloned().fold(client, Client::budget);
        match &self.spend_limit {
            Some(limit) if limit.is_per_principal() => client.budget(limit.account(&self.name)),
            Some(limit) => client.budget(limit.clone()),
            None => client,
        }
    }

    /// Tells whether the owner of the key may ask this model.
    pub(in crate::ai::openai) fn may_ask(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|known| known == model))
    }

    /// Tells whether only models of a known price may be asked.
    pub(super) fn needs_prices(&self) -> bool {
        self.spend_limit.as_ref().is_some_and(SpendLimit::refuses_unpriced)
    }

    /// Tells whether only some models may be asked.
    pub(in crate::ai::openai) fn is_bound_to_models(&self) -> bool {
        self.models.is_some()
    }

    /// The models that may be asked by name, where only some may.
    pub(super) fn named_models(&self) -> impl Iterator<Item = &str> {
        self.models.iter().flat_map(|models| &**models).map(String::as_str)
    }

    /// The models that may be asked, where only some may.
    pub(in crate::ai::openai) fn models(&self) -> Option<Arc<[String]>> {
        self.models.clone()
    }

    /// Counts a request.
    ///
    /// # Errors
    /// How long there will be no room for another, or why nobody can tell.
    pub(in crate::ai::openai) async fn count(&self) -> Result<(), BucketError> {
        if let Some(requests) = &self.requests {
            requests.bucket.reserve(1).await?.used(1);
        }
        Ok(())
    }

    /// Keeps what is counted in the store of the application, under the name of the key.
    pub(super) fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        if let Some(requests) = &self.requests {
            let name = requests.bucket.name();
            requests.bucket.keep_as(store, || format!("limit:key {}:{name}", self.name));
            store.declare(
                format!("the {name} of the API key `{}`", self.name),
                requests.limit.to_string(),
            );
        }
        if let Some(limit) = &self.limit {
            limit.keep_in(store, format!("key {}", self.name));
        }
        if let Some(limit) = &self.spend_limit {
            limit.keep_in(store, notes);
        }
    }
}
