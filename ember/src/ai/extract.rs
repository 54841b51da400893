//! What handlers take of the model wing.

use super::cached::told_of_cache;
use super::route::AiOptions;
use super::token_limits::write_headers;
use super::tool_context::context_of;
use crate::base::Error;
use crate::llm::{Client, ToolRegistry};
use crate::web::extract::FromRequestParts;
use crate::web::{Operation, RequestParts};

/// The application's client as the route has it: what `#[ai_route]` says of tools, model and
/// limits holds for every request that is made through it.
impl FromRequestParts for Client {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        client_of(parts)
    }

    fn describe(operation: &mut Operation) {
        operation.needs::<Self>().touches_response();
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

/// The client of this route. Its limits are told in the headers of the response.
pub(super) fn client_of(parts: &mut RequestParts) -> Result<Client, Error> {
    let client = component::<Client>(parts)?.context(context_of(parts));
    let options = parts.route().and_then(|route| route.extensions.get::<AiOptions>()).cloned();
    let Some(options) = options else { return Ok(told_of_cache(client, parts)) };
    let limiters = options.limiters.clone();
    if !limiters.is_empty() {
        parts.on_response(move |response| write_headers(&limiters, response));
    }
    Ok(told_of_cache(options.scope(client), parts))
}

/// A component that every application with AI routes has.
pub(super) fn component<T: Clone + Send + Sync + 'static>(
    parts: &RequestParts,
) -> Result<T, Error> {
    let missing = || Error::internal(format!("no `{}` is provided", std::any::type_name::<T>()));
    parts.component::<T>().map(|component| T::clone(component)).ok_or_else(missing)
}
