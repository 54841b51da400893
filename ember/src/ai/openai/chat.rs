use super::api::Api;
use super::error::of_model;
use super::request::Asked;
use super::response::{Completion, Head};
use super::stream::{Chunks, Writer};
use crate::base::Error;
use crate::web::{IntoResponse, Json, Request, RequestParts, Response, Sse};
use http::header::CONTENT_TYPE;
use serde_json::Value;

/// Answers a conversation, all at once or streamed.
pub(super) async fn chat_completions(request: Request) -> Result<Response, Error> {
    let (mut parts, body) = request.into_parts();
    check_json(&parts)?;
    let api = Api::of(&parts)?;
    let body = read_json(&body.collect().await?)?;
    let Asked { model, mut request, stream, include_usage } = Asked::read(&body, &api.forward)?;
    // Images of many megabytes need not stay while a model thinks.
    drop(body);
    let chosen = api.choose(&mut parts, model, &mut request)?;
    chosen.check_tool_choice(&request)?;
    let head = Head::new(chosen.name, chosen.name_is_fixed)?;
    let prompt_tokens = request.estimate_tokens();
    if stream {
        let answer = chosen.client.stream(request).await.map_err(of_model)?;
        let writer = Writer::new(head, chosen.hidden, include_usage, prompt_tokens);
        return Ok(Sse::new(Chunks::begin(answer, writer).await?).into_response());
    }
    let answer = chosen.client.complete(request).await.map_err(of_model)?;
    Ok(Json(Completion::of(head, answer, &chosen.hidden, prompt_tokens)?).into_response())
}

/// A page of another origin cannot send JSON unasked, and so it cannot spend tokens here.
pub(super) fn check_json(parts: &RequestParts) -> Result<(), Error> {
    let media_type = parts.header(CONTENT_TYPE).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    match essence.eq_ignore_ascii_case("application/json") {
        true => Ok(()),
        false => Err(Error::unsupported_media_type(
            "The body must have the media type `application/json`.",
        )),
    }
}

pub(super) fn read_json(body: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(body)
        .map_err(|error| Error::bad_request(format!("The body is not valid JSON: {error}.")))
}
