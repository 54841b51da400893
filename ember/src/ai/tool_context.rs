//! What tools can reach of the application.

use super::component::need_of;
use crate::llm::ToolError;
use crate::llm::tool::{FromToolContext, ToolContext, ToolNeeds};
use crate::web::{AppState, Component, Components, Need, RequestParts};
use std::sync::Arc;

/// What the tools that are called during a request can reach: the application's components.
pub(super) fn context_of(parts: &RequestParts) -> ToolContext {
    ToolContext::new().with(parts.state().clone())
}

/// A component of the application; by hand, one of a [`Components`] that the context was given, or
/// one that it was given itself.
impl<T: Send + Sync + 'static> FromToolContext for Component<T> {
    fn from_context(context: &ToolContext) -> Result<Self, ToolError> {
        let given = context.get::<Self>();
        let of_components = || context.get::<Components>().and_then(Components::get);
        let of_application = || context.get::<Arc<AppState>>()?.components.get();
        given.or_else(of_components).or_else(of_application).cloned().ok_or_else(|| {
            let need = Need::of::<T>();
            tracing::error!(
                component = need.type_name(),
                "a tool needs a component that is not there"
            );
            // The name of a type is nothing that a model, or whoever reads its answer, should see.
            ToolError::new("the tool cannot be used here")
        })
    }

    fn describe(needs: &mut ToolNeeds) {
        needs.add(need_of::<T>());
    }
}
