use super::framed::Shared;
use crate::ai::dialect::accept::Accepted;
use crate::ai::dialect::{Encoder, StreamDialect, UI_HEADER, document};
use crate::ai::route::AiOptions;
use crate::base::Error;
use crate::web::response::Ending;
use crate::web::{HookFuture, IntoResponse, Json, RequestParts, Response};
use http::HeaderValue;
use http::header::VARY;
use std::sync::{Arc, OnceLock};

/// What a request and its route say of the form of an answer.
#[derive(Debug, Clone)]
pub(in crate::ai) struct Wanted {
    /// What the route says, or else the request.
    pub(in crate::ai) dialect: Option<StreamDialect>,
    document: bool,
    /// What the body of the request suggests.
    suggested: Suggested,
}

/// Where the body of a request leaves the dialect that it is written for.
#[derive(Debug, Clone, Default)]
pub(in crate::ai) struct Suggested(Arc<OnceLock<StreamDialect>>);

impl Suggested {
    /// Suggests a dialect to the answer of a request, if that is a stream.
    pub(in crate::ai) fn suggest(parts: &RequestParts, dialect: StreamDialect) {
        if let Some(Self(suggested)) = parts.extensions().get() {
            // Whoever was first has read the body.
            let _ = suggested.set(dialect);
        }
    }
}

impl Wanted {
    /// Reads what is wanted.
    ///
    /// # Errors
    /// Status 406 where only dialects are accepted that do not exist.
    pub(in crate::ai) fn of(parts: &RequestParts) -> Result<Self, Error> {
        let options = parts.route().and_then(|route| route.extensions.get::<AiOptions>());
        let of_route = options.and_then(|options| options.stream);
        let Accepted { dialect, document } = Accepted::of(parts.headers())?;
        Ok(Self { dialect: of_route.or(dialect), document, suggested: Suggested::default() })
    }

    /// Gives a response its form, if it is a stream of ours.
    async fn shape(self, mut response: Response) -> Response {
        let Some(shared) = response.extensions_mut().remove::<Shared>() else { return response };
        response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
        if self.document {
            let Some(events) = shared.locked().events.take() else { return response };
            return match document(events).await {
                Ok(document) => of_document(response, document),
                Err(error) => error.into_response(),
            };
        }
        let wanted = self.dialect.or_else(|| self.suggested.0.get().copied());
        let mut pending = shared.locked();
        if let (None, Some(dialect)) = (pending.dialect, wanted) {
            pending.dialect = Some(dialect);
            drop(pending);
            add_headers(dialect, &mut response);
        }
        response
    }
}

/// Puts a document in place of a stream; status and headers of the handler's stay.
fn of_document(response: Response, document: serde_json::Value) -> Response {
    let (mut head, _) = response.into_parts();
    let (whole, body) = Json(document).into_response().into_parts();
    head.headers.remove("x-accel-buffering");
    head.headers.extend(whole.headers);
    Response::from_parts(head, body)
}

/// Runs before the handler: an answer that nobody could read is not asked for.
pub(super) fn negotiate(parts: &mut RequestParts) -> HookFuture<'_, Option<Response>> {
    Box::pin(async move {
        let wanted = Wanted::of(parts)?;
        parts.extensions_mut().insert(wanted.suggested.clone());
        parts.on_response_async(move |response| wanted.shape(response));
        Ok(None)
    })
}

pub(super) fn add_headers(dialect: StreamDialect, response: &mut Response) {
    if dialect == StreamDialect::UiMessages {
        let (name, value) = UI_HEADER;
        response.headers_mut().insert(name, value);
    }
    let stopping = Error::unavailable("The server is stopping.");
    if let Some(event) = Encoder::new(dialect).failure(&stopping) {
        response.extensions_mut().insert(Ending(event));
    }
}
