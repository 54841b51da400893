use super::api::Api;
use super::error::no_such_model;
use super::keys::Caller;
use crate::ai::extract::component;
use crate::base::Error;
use crate::llm::Client;
use crate::web::{Json, Request};
use serde::Serialize;
use std::sync::Arc;

/// `model` of OpenAI's API reference.
#[derive(Debug, Serialize)]
pub(super) struct WireModel {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: String,
}

#[derive(Debug, Serialize)]
pub(super) struct ModelList {
    object: &'static str,
    data: Vec<WireModel>,
}

/// Lists the models that the caller may ask.
pub(super) async fn list_models(request: Request) -> Result<Json<ModelList>, Error> {
    Ok(Json(ModelList { object: "list", data: models(&request)? }))
}

/// Tells of one model. Names with slashes are taken as they are, and percent-encoded.
pub(super) async fn retrieve_model(request: Request) -> Result<Json<WireModel>, Error> {
    let id = request.param("model")?.unwrap_or_default();
    let found = models(&request)?.into_iter().find(|model| model.id == id);
    found.map(Json).ok_or_else(|| no_such_model(&id))
}

fn models(request: &Request) -> Result<Vec<WireModel>, Error> {
    let api = Api::of(request)?;
    let client: Client = component(request)?;
    let upstream = if api.models.is_empty() { client.models() } else { api.models.clone() };
    let upstream = upstream.into_iter().chain(api.embedding_model.clone().filter(|_| api.embeds));
    let upstream = upstream.map(|id| (id, client.provider()));
    let routes = api.routes.iter().map(|route| (route.name.clone(), "ember"));
    let caller = request.extensions().get::<Arc<Caller>>();
    let mut models: Vec<WireModel> = Vec::new();
    for (id, owner) in routes.chain(upstream) {
        let is_new = !models.iter().any(|known| known.id == id);
        if is_new && caller.is_none_or(|caller| caller.may_ask(&id)) {
            let owned_by = owner.to_owned();
            models.push(WireModel { id, object: "model", created: api.created, owned_by });
        }
    }
    Ok(models)
}
