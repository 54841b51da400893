use super::api::{Api, check_tool_choice};
use super::document;
use super::error::{of_model, undeliverable};
use super::gate::Seen;
use super::request::Asked;
use super::response::{Completion, Head};
use super::stream::{Chunks, Writer};
use crate::base::Error;
use crate::llm::Dropped;
use crate::web::extract::check_json;
use crate::web::{IntoResponse, Request, Response, Sse};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use std::collections::BTreeSet;

/// Names what the model could not be told.
const DROPPED: HeaderName = HeaderName::from_static("x-ember-dropped");

/// How much of it is named, in bytes.
const DROPPED_LENGTH: usize = 1_000;

/// Answers a conversation, all at once or streamed.
pub(super) async fn chat_completions(request: Request) -> Result<Response, Error> {
    let (mut parts, body) = request.into_parts();
    check_json(&parts)?;
    let api = Api::of(&parts)?;
    // Of the body nothing is left: images of many megabytes need not stay while a model thinks.
    let Asked { model, mut request, stream, include_usage } =
        read(&body.collect().await?, &api.forward)?;
    let chosen = api.choose(&mut parts, model.clone(), &mut request)?;
    check_tool_choice(&request)?;
    let seen = parts.extensions().get::<Seen>();
    let head = Head::new(chosen.name, seen.and_then(|seen| seen.id.as_deref()))?;
    let failed = |error| of_model(error, model.as_deref());
    // For a count of the prompt, where the provider does not say. Messages are shared, and not copied.
    let asked = request.clone();
    if stream {
        let answer = chosen.client.stream(request).await.map_err(failed)?;
        let writer = Writer::new(head, chosen.hidden, include_usage.then_some(asked));
        let chunks = Chunks::begin(answer, writer, model.as_deref()).await?;
        let dropped = name_dropped(chunks.dropped());
        let ending = Chunks::ending();
        let mut response = Sse::new(chunks).ending(ending).into_response();
        response.headers_mut().extend(dropped.map(|value| (DROPPED, value)));
        return Ok(response);
    }
    let answer = chosen.client.complete(request).await.map_err(failed)?;
    if let Some(refusal) = answer.dropped.iter().find_map(undeliverable) {
        return Err(refusal);
    }
    let dropped = name_dropped(&answer.dropped);
    let completion = Completion::of(head, &answer, &chosen.hidden, &asked)?;
    let mut response = Response::new(completion.to_json()?.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.extend(dropped.map(|value| (DROPPED, value)));
    Ok(response)
}

/// Reads the body of a request.
fn read(body: &[u8], forward: &[String]) -> Result<Asked, Error> {
    let document = document::read(body, &|name| Asked::looks_at(name, forward))?;
    Asked::read(&document, forward)
}

/// The header that names what was dropped, if anything was.
fn name_dropped(dropped: &[Dropped]) -> Option<HeaderValue> {
    let names: BTreeSet<_> = dropped.iter().map(|dropped| dropped.what.as_str()).collect();
    let mut text = String::new();
    for name in names {
        if text.len() + name.len() > DROPPED_LENGTH {
            break;
        }
        let comma = if text.is_empty() { "" } else { ", " };
        text.push_str(comma);
        text.push_str(name);
    }
    HeaderValue::try_from(text).ok().filter(|value| !value.is_empty())
}
