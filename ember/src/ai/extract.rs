//! What handlers take of the model wing.

use crate::base::Error;
use crate::llm::{Client, ToolRegistry};
use crate::web::extract::FromRequestParts;
use crate::web::{Operation, RequestParts};

/// The application's client.
impl FromRequestParts for Client {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        component(parts)
    }

    fn describe(operation: &mut Operation) {
        operation.needs::<Self>();
    }
}

/// The tools of the application: all that are annotated within its scope.
impl FromRequestParts for ToolRegistry {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        component(parts)
    }

    fn describe(operation: &mut Operation) {
        operation.needs::<Self>();
    }
}

/// A component that every application with AI routes has.
pub(super) fn component<T: Clone + Send + Sync + 'static>(
    parts: &RequestParts,
) -> Result<T, Error> {
    let missing = || Error::internal(format!("no `{}` is provided", std::any::type_name::<T>()));
    parts.component::<T>().map(|component| T::clone(component)).ok_or_else(missing)
}
