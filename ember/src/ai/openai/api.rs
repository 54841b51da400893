use super::error::no_such_model;
use super::gate::Seen;
use super::keys::Caller;
use super::response::{Hidden, Named};
use crate::ai::AiOptions;
use crate::ai::extract::{client_with, limits_of};
use crate::base::Error;
use crate::llm::{ChatRequest, Client, Message, SpendLimit, Tool, ToolChoice};
use crate::web::RequestParts;
use std::sync::Arc;

/// What the routes of the API know of it.
#[derive(Debug)]
pub(super) struct Api {
    /// The models that may be asked; any, if none is named.
    pub(super) models: Vec<String>,
    pub(super) routes: Vec<RouteModel>,
    pub(super) embedding_model: Option<String>,
    /// There is an embedder.
    pub(super) embeds: bool,
    /// Members of requests that go to the provider as they are.
    pub(super) forward: Vec<String>,
    /// Since when the models are here, in seconds since 1970.
    pub(super) created: u64,
}

/// What an `#[ai_route]` says of its model, as a model of the API.
#[derive(Debug, Clone)]
pub(super) struct RouteModel {
    pub(super) name: String,
    pub(super) options: AiOptions,
}

/// Who answers a request.
pub(super) struct Chosen {
    pub(super) client: Client,
    /// What the model is called in the answer.
    pub(super) name: Named,
    /// The calls that are no business of the caller's.
    pub(super) hidden: Hidden,
}

impl Api {
    /// The API that a route belongs to.
    pub(super) fn of(parts: &RequestParts) -> Result<Arc<Self>, Error> {
        let api = parts.route().and_then(|route| route.extensions.get::<Arc<Self>>());
        api.cloned().ok_or_else(|| Error::internal("the route belongs to no API"))
    }

    /// Finds out who answers to the name of a model, and completes the request by what they say.
    pub(super) fn choose(
        &self,
        parts: &mut RequestParts,
        model: Option<String>,
        request: &mut ChatRequest,
    ) -> Result<Chosen, Error> {
        let caller = parts.extensions().get::<Arc<Caller>>().cloned();
        let may_ask = |model: &str| caller.as_ref().is_none_or(|caller| caller.may_ask(model));
        // Before anything that tells a model there is from one there is not.
        if let Some(name) = model.as_deref().filter(|name| !may_ask(name)) {
            return Err(no_such_model(name));
        }
        let named = |name: &str| self.routes.iter().find(|route| route.name == name);
        let of_route = model.as_deref().and_then(named).cloned();
        let options = match &of_route {
            Some(route) => route.options.clone(),
            None => {
                let own = parts.route().and_then(|route| route.extensions.get::<AiOptions>());
                own.cloned().unwrap_or_default()
            }
        };
        // What the caller says comes after the instructions of the route, and not in their place.
        if of_route.is_some()
            && let Some(system) = &options.system
        {
            request.messages.insert(0, Message::system(system.render(parts)?));
        }
        if of_route.is_some()
            && let Some(seen) = parts.extensions().get::<Seen>().cloned()
        {
            seen.also(limits_of(parts, &options.limiters));
        }
        let of_caller = caller.iter().flat_map(|caller| &caller.spend_limit);
        let mut spend_limits = options.spend_limits.iter().chain(of_caller);
        let needs_price = spend_limits.any(SpendLimit::refuses_unpriced);
        let client = client_with(parts, options)?;
        let is_declared = |name: &str| request.tools.iter().any(|own| own.name() == name);
        let runs_here = client.tools_of_all().map(Tool::name).any(|name| !is_declared(name));
        let hidden = Hidden::of(request.tools.iter().map(Tool::name), runs_here);
        let client = match &caller {
            Some(caller) => caller.limits(client),
            None => client,
        };
        if of_route.is_some() {
            // What the route says of its model counts, and not the name that it has here.
            let name = Named::Fixed(model.unwrap_or_default());
            return Ok(Chosen { client, name, hidden });
        }
        let known = model.clone().or_else(|| client.default_model().map(str::to_owned));
        match &known {
            Some(name) if !may_ask(name) || !self.serves(name, &client) => {
                return Err(no_such_model(name));
            }
            // Nobody knows the price of what there is not.
            Some(name) if model.is_some() && needs_price && !client.knows_price(name) => {
                return Err(no_such_model(name));
            }
            None if caller.as_ref().is_some_and(|caller| caller.is_bound_to_models()) => {
                let message = "`model` is missing.";
                return Err(Error::bad_request(message).with_member("param", "model"));
            }
            _ => {}
        }
        request.model = model;
        request.relayed = true;
        request.allowed_models = match caller.and_then(|caller| caller.models()) {
            None if !self.models.is_empty() => {
                let default = client.default_model().map(str::to_owned);
                Some(self.models.iter().cloned().chain(default).collect())
            }
            of_caller => of_caller,
        };
        Ok(Chosen { client, name: Named::Likely(known), hidden })
    }

    /// Tells whether a model may be asked by its name.
    fn serves(&self, name: &str, client: &Client) -> bool {
        self.models.is_empty()
            || self.models.iter().any(|known| known == name)
            || client.default_model() == Some(name)
    }
}

/// A tool that must be called has to be there.
pub(super) fn check_tool_choice(request: &ChatRequest) -> Result<(), Error> {
    // Of those that run here the caller knows nothing.
    let is_there = |name: &str| request.tools.iter().any(|tool| tool.name() == name);
    let none_is_there = request.tools.is_empty();
    let wrong = match &request.tool_choice {
        ToolChoice::Tool(name) if !is_there(name) => {
            format!("`tool_choice` names `{name}`, which is none of the tools.")
        }
        ToolChoice::Required if none_is_there => {
            "`tool_choice` wants a tool to be called, and there is none.".to_owned()
        }
        _ => return Ok(()),
    };
    let error = Error::bad_request(wrong).with_member("param", "tool_choice");
    Err(error.with_member("code", "invalid_value"))
}
