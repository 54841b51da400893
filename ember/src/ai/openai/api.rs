use super::error::no_such_model;
use super::keys::Caller;
use super::response::Hidden;
use crate::ai::AiOptions;
use crate::ai::extract::client_with;
use crate::base::Error;
use crate::llm::{ChatRequest, Client, Message, Tool, ToolChoice};
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
    /// The name of the model, as far as it is known before it answers.
    pub(super) name: Option<String>,
    pub(super) name_is_fixed: bool,
    /// The tools that run here, except those that the caller has in their place.
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
        let client = client_with(parts, options)?;
        let hidden = client.tools_of_all().map(Tool::name);
        let hidden = hidden.filter(|name| !request.tools.iter().any(|own| own.name() == *name));
        let hidden = Hidden(Arc::new(hidden.map(str::to_owned).collect()));
        let client = match &caller {
            Some(caller) => caller.limits(client),
            None => client,
        };
        if of_route.is_some() {
            // What the route says of its model counts, and not the name that it has here.
            return match model {
                Some(name) if !may_ask(&name) => Err(no_such_model(&name)),
                name => Ok(Chosen { client, name, name_is_fixed: true, hidden }),
            };
        }
        let known = model.clone().or_else(|| client.default_model().map(str::to_owned));
        match &known {
            Some(name) if !may_ask(name) || !self.serves(name, &client) => {
                return Err(no_such_model(name));
            }
            None if caller.is_some_and(|caller| caller.is_bound_to_models()) => {
                let message = "`model` is missing.";
                return Err(Error::bad_request(message).with_member("param", "model"));
            }
            _ => {}
        }
        request.model = model;
        Ok(Chosen { client, name: known, name_is_fixed: false, hidden })
    }

    /// Tells whether a model may be asked by its name.
    fn serves(&self, name: &str, client: &Client) -> bool {
        self.models.is_empty()
            || self.models.iter().any(|known| known == name)
            || client.default_model() == Some(name)
    }
}

impl Chosen {
    /// A tool that must be called has to be there.
    pub(super) fn check_tool_choice(&self, request: &ChatRequest) -> Result<(), Error> {
        let is_there = |name: &str| {
            self.hidden.contains(name) || request.tools.iter().any(|tool| tool.name() == name)
        };
        let none_is_there = request.tools.is_empty() && self.hidden.0.is_empty();
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
}
