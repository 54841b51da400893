//! The router of models in an application: as an argument of a route, and behind its client.

use super::component::need_of;
use super::extract::component;
use crate::base::Error;
use crate::llm::ModelRouter;
use crate::web::extract::FromRequestParts;
use crate::web::{Operation, RequestParts};

/// The application's router, to choose a model or to see how the models do. What is asked through
/// conversations and clients goes through it anyway, under the limits of the route; its own
/// [`client`](ModelRouter::client) knows none.
///
/// ```
/// use ember::llm::{FakeProvider, ModelRouter, ModelSpec};
/// use ember::prelude::*;
///
/// /// Answers, and says who will.
/// #[ai_route("/v1/ask")]
/// async fn ask(client: Client, router: ModelRouter, body: String) -> ember::Result<String> {
///     let model = router.select(&body.as_str().into())?;
///     let answer = client.model(&model.name).ask(body).await?;
///     Ok(format!("{}: {answer}", model.name))
/// }
///
/// # fn main() -> ember::Result {
/// let router = ModelRouter::new([ModelSpec::served_by("small", FakeProvider::new())])?;
/// let app = ember::app!().models(router).build()?;
/// # Ok(()) }
/// ```
impl FromRequestParts for ModelRouter {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        component(parts)
    }

    fn describe(operation: &mut Operation) {
        operation.requires(need_of::<Self>());
    }
}
