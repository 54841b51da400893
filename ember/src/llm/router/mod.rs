//! Several models behind one client: chosen for each request, and in each other's place when one
//! fails.
//!
//! ```
//! use ember::llm::{FakeProvider, FakeReply, ErrorKind, ModelRouter, ModelSpec, RoutingStrategy};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ember::llm::Error> {
//! // With keys in the environment: ModelRouter::new(["openai/gpt-5-mini", "anthropic/claude-sonnet-4-6"])?
//! let router = ModelRouter::builder()
//!     .model(ModelSpec::served_by("first", FakeProvider::new().respond(|_| FakeReply::error(ErrorKind::Auth, "wrong key"))))
//!     .model(ModelSpec::served_by("second", FakeProvider::new().text("Hello")))
//!     .strategy(RoutingStrategy::Fallback)
//!     .build()?;
//! let client = router.client();
//! let response = client.complete("Good morning").await?;
//! assert_eq!((response.text().as_ref(), response.model.as_deref()), ("Hello", Some("second")));
//! assert_eq!(router.health()[0].last_error, Some(ErrorKind::Auth));
//! # Ok(()) }
//! ```
//!
//! # Which model
//!
//! The [`RoutingStrategy`] puts the models in order for each request. Passed over are those that lack something
//! the request needs (images, tools, a JSON schema, reasoning, a window of that size; as far as the catalogue or
//! the [`ModelSpec`] knows), and those that are to be left alone. A request whose `model` is the name of one, or
//! the id by which its provider knows it, asks that one first.
//!
//! # What a failure does
//!
//! Each model has retries, a circuit breaker and prices of its own. When it has failed for good, the call moves on
//! to the next model, if the failure is the model's:
//!
//! | the model | then |
//! |---|---|
//! | is overloaded, limits the rate, is too slow, cannot be reached, fails, is being left alone | the next |
//! | breaks off, or says what cannot be understood, before anything of it was seen | the next |
//! | has no quota left, refuses the key, is not configured as it must be, is not there (404, or what else its provider says so with) | the next, and an error in the log |
//! | cannot read so long a conversation | the next whose window is larger |
//! | finds the request wrong, or refuses its content | the end |
//! | whatever, once something of its answer was seen | the end: the stream ends in an error |
//!
//! Of a streamed answer, text, refusals, reasoning and calls of tools can be seen; what comes before them is held back.
//! Nothing of a whole answer is seen before it is complete.
//!
//! All models together have the [deadline](ModelRouterBuilder::deadline) of the router; each has half of what is left
//! of it as long as there is another one to ask.
//!
//! A model is left alone while its circuit is open, for as long as its provider asks for (30 s at most), and for
//! 30 s after it has refused the key, has no quota left or has not answered within its time; then one request finds out
//! whether it is back. Each
//! failure is told as [`ModelFailed`](super::events::ModelFailed), and in the log.

mod spec;
mod first_token;
mod health;
mod needs;
mod model;
mod billed;
mod fit;
mod strategy;
mod origins;
mod failover;
mod walk;
mod answer;
mod prices;
mod builder;

pub use builder::ModelRouterBuilder;
pub use health::{ModelHealth, ModelState};
pub use spec::ModelSpec;
pub use strategy::{ParseStrategyError, RoutingStrategy};

use self::model::RoutedModel;
use self::needs::Needs;
use self::origins::Origins;
use self::strategy::Turns;
use super::catalog::Catalog;
use super::chat::ChatRequest;
use super::error::{Error, ErrorKind};
use super::events::EventBus;
use super::layer::Ledger;
use crate::base::{Clock, Env, nearest};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Several models, of which each request is answered by one.
///
/// It is a [`Provider`](super::Provider); [`client`](Self::client) puts a [`Client`](super::Client) in front of
/// it. Cloning is cheap; clones share what is known of the models. See the [module](self) for how a model is
/// chosen and what happens when one fails.
#[derive(Clone)]
pub struct ModelRouter {
    shared: Arc<Shared>,
    strategy: RoutingStrategy,
    named_only: bool,
}

struct Shared {
    models: Vec<RoutedModel>,
    turns: Turns,
    origins: Origins,
    deadline: Duration,
    env: Env,
    clock: Clock,
    catalog: Catalog,
    ledger: Ledger,
    events: EventBus,
}

/// The model that a router would ask.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selected {
    /// The name that the router has for it, which a request can ask for.
    pub name: String,
    /// Who serves it.
    pub provider: String,
    /// The id by which its provider knows it.
    pub model: String,
}

impl ModelRouter {
    /// The same models, asked in another order.
    #[must_use]
    pub fn strategy(mut self, strategy: RoutingStrategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Chooses the model that this request would be asked of now. Under
    /// [`RoundRobin`](RoutingStrategy::RoundRobin) and [`Fastest`](RoutingStrategy::Fastest) that takes a turn.
    ///
    /// # Errors
    /// When the request names a model that there is not, needs what none has, or all are being left alone.
    pub fn select(&self, request: &ChatRequest) -> Result<Selected, Error> {
        let places = self.plan(request)?;
        let model = places.first().map(|place| &self.shared.models[*place]);
        let RoutedModel { name, provider_name, model, .. } =
            model.ok_or_else(|| self.unavailable())?;
        Ok(Selected { name: name.clone(), provider: provider_name.clone(), model: model.clone() })
    }

    /// Leaves a model alone for a time; tells whether there is one of that name.
    pub fn mark_unavailable(&self, name: &str, time: Duration) -> bool {
        let model = self.find(name);
        model.inspect(|model| model.gauge.mark_unavailable(time)).is_some()
    }

    /// Asks a model again that was left alone; tells whether there is one of that name. A circuit that is open stays
    /// so for its time.
    pub fn mark_available(&self, name: &str) -> bool {
        self.find(name).inspect(|model| model.gauge.mark_available()).is_some()
    }

    /// How each model does, in the order in which they were given.
    pub fn health(&self) -> Vec<ModelHealth> {
        self.shared.models.iter().map(|model| model.gauge.report(&model.name)).collect()
    }

    /// The names that a request can ask for, in the order in which they were given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.shared.models.iter().map(|model| model.name.as_str())
    }

    /// In which order the models are asked.
    pub fn routing(&self) -> RoutingStrategy {
        self.strategy
    }

    /// What the answers of all models were used for; failed attempts are no answers.
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// The bus that is told which models fail.
    pub fn events(&self) -> &EventBus {
        &self.shared.events
    }

    pub(super) fn settings(&self) -> (&Env, &Catalog, &Clock) {
        (&self.shared.env, &self.shared.catalog, &self.shared.clock)
    }

    fn find(&self, name: &str) -> Option<&RoutedModel> {
        self.shared.models.iter().find(|model| model.name == name)
    }

    /// Tells whether a request can ask for a model by this name.
    ///
    /// # Errors
    /// When there is none; the error names the nearest.
    pub fn check_name(&self, name: &str) -> Result<(), Error> {
        self.places_of(name).map(drop)
    }

    /// The places of the models that are meant by a name: that of one of ours, or else the id by which
    /// providers know some.
    fn places_of(&self, name: &str) -> Result<Vec<usize>, Error> {
        let places = |is_meant: &dyn Fn(&RoutedModel) -> bool| -> Vec<usize> {
            let models = self.shared.models.iter().enumerate();
            models.filter(|(_, model)| is_meant(model)).map(|(place, _)| place).collect()
        };
        let by_name = places(&|model| model.name == name);
        if !by_name.is_empty() {
            return Ok(by_name);
        }
        let by_id = places(&|model| model.model == name);
        if !by_id.is_empty() {
            return Ok(by_id);
        }
        let names: Vec<_> = self.names().collect();
        let near = nearest(names.iter().copied(), name);
        let meant = near.map(|near| format!("did you mean `{near}`? "));
        let message = format!(
            "there is no model `{name}`; {}There is {}",
            meant.unwrap_or_default(),
            names.join(", ")
        );
        Err(Error::new(ErrorKind::InvalidRequest, message).with_code("model_not_found"))
    }

    /// The models that can serve a request and may be asked, in the order in which they are asked.
    fn plan(&self, request: &ChatRequest) -> Result<Vec<usize>, Error> {
        let Shared { models, turns, origins, clock, .. } = &*self.shared;
        let named = request.model.as_deref().map(|name| self.places_of(name)).transpose()?;
        let mut all = match &named {
            Some(named) if self.named_only => named.clone(),
            _ => (0..models.len()).collect(),
        };
        if let Some(allowed) = &request.allowed_models {
            all.retain(|place| models[*place].is_one_of(allowed));
            if all.is_empty() {
                let message = "none of the models that may answer the request is here";
                return Err(
                    Error::new(ErrorKind::InvalidRequest, message).with_code("model_not_found")
                );
            }
        }
        let needs = Needs::of(request);
        let able: Vec<_> =
            all.iter().copied().filter(|place| needs.lacking(&models[*place]).is_empty()).collect();
        if able.is_empty() {
            return Err(needs.unmet(all.iter().map(|place| &models[*place])));
        }
        let is_left_alone =
            |place: &usize| matches!(models[*place].gauge.state(), ModelState::Unavailable(_));
        let (away, ready): (Vec<_>, Vec<_>) = able.into_iter().partition(is_left_alone);
        if ready.is_empty() {
            tracing::warn!(
                models = away.len(),
                "every model that could serve a request is being left alone"
            );
            return Err(self.unavailable());
        }
        let is_named = |place: &usize| named.as_ref().is_some_and(|named| named.contains(place));
        let origin = origins.of(&request.messages, clock).filter(|origin| ready.contains(origin));
        let is_meant = |place: &usize| origin.map_or(is_named(place), |origin| *place == origin);
        let (first, rest): (Vec<_>, Vec<_>) = ready.into_iter().partition(is_meant);
        let turns_of_rest = first.is_empty().then_some(turns);
        let mut rest = self.strategy.order(models, rest, &needs, turns_of_rest);
        rest.sort_by_key(|place| !is_named(place));
        let mut order = self.strategy.order(models, first, &needs, Some(turns));
        order.extend(rest);
        Ok(order)
    }

    /// The error where every model that could serve a request is being left alone.
    fn unavailable(&self) -> Error {
        let left = self.shared.models.iter().filter_map(|model| match model.gauge.state() {
            ModelState::Unavailable(left) => Some(left),
            _ => None,
        });
        let error =
            Error::new(ErrorKind::CircuitOpen, "no model is available: all are being left alone");
        match left.min().filter(|left| !left.is_zero()) {
            Some(left) => error.with_retry_after(left),
            None => error,
        }
    }
}

impl fmt::Debug for ModelRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelRouter")
            .field("models", &self.names().collect::<Vec<_>>())
            .field("strategy", &self.strategy)
            .finish_non_exhaustive()
    }
}
