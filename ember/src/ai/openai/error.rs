use crate::base::{Error, ErrorKind, Location, Problem};
use crate::llm::adapter::has_no_such_model;
use crate::llm::{self, Dropped};
use crate::web::operation::{Content, Operation, Outcome, Status};
use crate::web::{
    CatchFuture, CatcherDescriptor, Catches, IntoResponse, Json, Reach, RequestParts,
};
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;
use serde_json::{Value, json};

/// How much of a provider's words a caller gets to read, in characters.
const WORDS: usize = 1_000;

/// An error as OpenAI's API reference describes it: `{"error": {message, type, param, code}}`.
#[derive(Debug, Serialize)]
pub(super) struct ErrorBody<'a> {
    error: Inner<'a>,
}

#[derive(Debug, Serialize)]
struct Inner<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

impl<'a> ErrorBody<'a> {
    pub(super) fn of(error: &'a Error) -> Self {
        let member = |name| error.members().get(name).and_then(Value::as_str);
        let code = member("code").or(match error.kind() {
            ErrorKind::Unauthorized => Some("invalid_api_key"),
            ErrorKind::TooManyRequests => Some("rate_limit_exceeded"),
            _ => None,
        });
        let r#type = match error.status() {
            status if status.is_server_error() => "server_error",
            status if status == 429 => "rate_limit_error",
            status if status == 403 => "permission_error",
            _ => "invalid_request_error",
        };
        Self { error: Inner { message: error.message(), r#type, param: member("param"), code } }
    }
}

/// Says in OpenAI's words why a request cannot be answered, whoever found it out: the routes,
/// middleware around them, or the router.
pub(crate) static CATCHER: CatcherDescriptor = CatcherDescriptor::new(
    "openai_error",
    Catches::Any,
    Reach::App,
    Location { module: module_path!(), file: file!(), line: line!() },
    catch,
    describe,
)
.of_error_alone();

fn catch<'a>(error: &'a Error, _: &'a mut RequestParts) -> CatchFuture<'a> {
    let mut response = Json(ErrorBody::of(error)).into_response();
    *response.status_mut() = error.status();
    let headers = response.headers_mut();
    if let Some(wait) = error.retry_after() {
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if error.kind() == ErrorKind::Unauthorized {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    Box::pin(std::future::ready(Ok(response)))
}

fn describe(operation: &mut Operation) {
    let text = |nullable: bool| json!({"type": if nullable { json!(["string", "null"]) } else { json!("string") }});
    let schema = json!({
        "type": "object",
        "required": ["error"],
        "properties": {"error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": text(false), "type": text(false), "param": text(true), "code": text(true),
            },
        }},
    });
    // What is told instead of problem documents; whatever was said of those does not hold here.
    for outcome in &mut operation.outcomes {
        outcome.contents.retain(|content| content.media_type != Problem::MEDIA_TYPE);
    }
    let content = Content::new("application/json", crate::base::Schema::from(schema));
    operation.outcome(Outcome::new(Status::Default).content(content));
}

/// What a caller is told when the model behind the API fails.
///
/// A gateway's caller has written the request that the provider refuses, so the provider's words
/// about it are for them. All else is told by its kind alone, as everywhere.
///
/// `model` is the one that the caller has named.
pub(super) fn of_model(error: llm::Error, model: Option<&str>) -> Error {
    use llm::ErrorKind as Kind;
    let retry_after = error.retry_after();
    let own_word = error.provider().is_none() && error.status().is_none();
    // A router's words name all its models.
    if own_word && error.code() == Some("model_not_found") {
        return no_such_model(model.unwrap_or_default()).with_source(error);
    }
    let (kind, code, told) = match error.kind() {
        Kind::InvalidRequest if has_no_such_model(&error) => {
            (ErrorKind::NotFound, Some("model_not_found"), Some(words(&error)))
        }
        Kind::InvalidRequest => (ErrorKind::BadRequest, error.code(), Some(words(&error))),
        Kind::ContextLength => {
            let told = if own_word { None } else { Some(words(&error)) };
            (ErrorKind::BadRequest, Some("context_length_exceeded"), told)
        }
        Kind::ContentFilter => {
            let code = error.code().unwrap_or("content_filter");
            (ErrorKind::BadRequest, Some(code), Some(words(&error)))
        }
        Kind::RateLimit => (
            ErrorKind::TooManyRequests,
            None,
            Some("The model has too many requests for now.".to_owned()),
        ),
        _ => {
            // The general mapping has the right words.
            return Error::from(error);
        }
    };
    let code = code.map(str::to_owned);
    let public = match told {
        Some(told) => Error::new(kind, told).with_source(error),
        // The words of a limit of ours, which are public.
        None => {
            let general = Error::from(error);
            Error::new(kind, general.message().to_owned()).with_source(general)
        }
    };
    let public = match code {
        Some(code) => public.with_member("code", code),
        None => public,
    };
    match retry_after {
        Some(wait) => public.with_retry_after(wait),
        None => public,
    }
}

/// The provider's words, as long as one may expect them to be.
fn words(error: &llm::Error) -> String {
    error.message().chars().take(WORDS).collect()
}

/// A model that there is not, or not for this caller.
pub(super) fn no_such_model(model: &str) -> Error {
    let model: String = model.chars().take(200).collect();
    let message = format!("The model `{model}` does not exist or you do not have access to it.");
    Error::not_found(message).with_member("code", "model_not_found").with_member("param", "model")
}

/// Why a request is refused that a model cannot be told whole: without its form the answer would
/// be one that nobody asked for.
pub(super) fn undeliverable(dropped: &Dropped) -> Option<Error> {
    const NEEDED: [&str; 2] = ["response_format", "tool_choice"];
    NEEDED.contains(&&*dropped.what).then(|| {
        let Dropped { what, why, .. } = dropped;
        let message = format!("The model that answers cannot be told this `{what}`: {why}.");
        let error = Error::bad_request(message).with_member("code", "unsupported_value");
        error.with_member("param", what.clone())
    })
}
