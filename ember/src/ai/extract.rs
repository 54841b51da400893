//! What handlers take of the model wing.

use super::cached::told_of_cache;
use super::component::need_of;
use super::limiter::{CallerLimit, Limiter, OfRequest, write_headers};
use super::route::AiOptions;
use super::tool_context::context_of;
use crate::base::Error;
use crate::llm::{Client, SpendLimit, ToolRegistry};
use crate::web::extract::FromRequestParts;
use crate::web::middleware::{RequestTokens, TrustedProxies};
use crate::web::{Operation, RequestParts};

/// The application's client as the route has it: what `#[ai_route]` says of tools, model and
/// limits holds for every request that is made through it.
impl FromRequestParts for Client {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        client_of(parts)
    }

    fn describe(operation: &mut Operation) {
        operation.requires(need_of::<Self>()).touches_response();
    }
}

/// The tools of the application: all that are annotated within its scope.
impl FromRequestParts for ToolRegistry {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        Ok(component::<Self>(parts)?.context(context_of(parts)))
    }

    fn describe(operation: &mut Operation) {
        operation.needs::<Self>();
    }
}

/// The client of this route, as its caller has it. Its limits are told in the headers of the response.
pub(super) fn client_of(parts: &mut RequestParts) -> Result<Client, Error> {
    let options = parts.route().and_then(|route| route.extensions.get::<AiOptions>()).cloned();
    client_with(parts, options.unwrap_or_default())
}

/// The client as these options have it.
pub(super) fn client_with(parts: &mut RequestParts, options: AiOptions) -> Result<Client, Error> {
    let mut client = component::<Client>(parts)?.context(context_of(parts));
    if let Some(tokens) = parts.extensions().get::<RequestTokens>() {
        client = client.budget(OfRequest(tokens.clone()));
    }
    let AiOptions { tools, model, system, limiters, spend_limits, semantic_cache, .. } = options;
    client = client.tools(tools);
    if let Some(model) = model {
        client = client.model(model);
    }
    if let Some(system) = system {
        client = client.system(system.render(parts)?);
    }
    if let Some(cache) = semantic_cache {
        client = client.semantic_cache(cache);
    }
    let counts_apart = spend_limits.iter().any(SpendLimit::is_per_principal);
    let limits = limits_of(parts, &limiters);
    client = limits.iter().cloned().fold(client, Client::budget);
    let caller = if counts_apart { caller(parts) } else { String::new() };
    for limit in spend_limits {
        client = match limit.is_per_principal() {
            true => client.budget(limit.account(&*caller)),
            false => client.budget(limit),
        };
    }
    if !limits.is_empty() {
        parts.on_response(move |response| write_headers(&limits, response));
    }
    Ok(told_of_cache(client, parts))
}

/// The limits as they hold for whoever makes the request.
pub(super) fn limits_of(parts: &RequestParts, limiters: &[Limiter]) -> Vec<CallerLimit> {
    let counts_apart = limiters.iter().any(Limiter::is_per_principal);
    let caller = if counts_apart { caller(parts) } else { String::new() };
    limiters.iter().map(|limiter| limiter.of(&caller)).collect()
}

/// The name under which the caller is counted.
fn caller(parts: &RequestParts) -> String {
    match parts.component::<TrustedProxies>() {
        Some(proxies) => proxies.caller(parts),
        None => TrustedProxies::default().caller(parts),
    }
}

/// A component that every application with AI routes has.
pub(super) fn component<T: Clone + Send + Sync + 'static>(
    parts: &RequestParts,
) -> Result<T, Error> {
    let missing = || Error::internal(format!("no `{}` is provided", std::any::type_name::<T>()));
    parts.component::<T>().map(|component| T::clone(component)).ok_or_else(missing)
}
