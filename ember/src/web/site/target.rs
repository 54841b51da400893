use crate::base::{Error, ErrorKind};
use crate::web::response::{IntoResponse as _, Redirect, Response};
use crate::web::router::Leaf;
use http::header::{ALLOW, HeaderValue};
use http::{Method, StatusCode};

/// Where a request leads: to a route, or to an answer that needs no handler.
#[derive(Clone)]
pub(super) enum Target {
    Route(u32),
    NotFound,
    MethodNotAllowed(HeaderValue),
    /// The methods of an address; of none in particular for the server as a whole.
    Options(Option<HeaderValue>),
    Redirect(String),
}

impl Target {
    /// The answer that needs no handler.
    pub(super) fn respond(self) -> Response {
        match self {
            // A route answers by its handler; there is nothing to say without it.
            Self::Route(_) | Self::NotFound => refuse(ErrorKind::NotFound),
            Self::MethodNotAllowed(allow) => {
                ([(ALLOW, allow)], refuse(ErrorKind::MethodNotAllowed)).into_response()
            }
            Self::Options(None) => StatusCode::NO_CONTENT.into_response(),
            Self::Options(Some(allow)) => {
                (StatusCode::NO_CONTENT, [(ALLOW, allow)], ()).into_response()
            }
            Self::Redirect(address) => Redirect::permanent(address).into_response(),
        }
    }
}

fn refuse(kind: ErrorKind) -> Response {
    Error::new(kind, kind.sentence()).into_response()
}

pub(super) fn allow(leaf: &Leaf) -> HeaderValue {
    let methods: Vec<_> = leaf.allowed().into_iter().map(Method::as_str).collect();
    // The name of a method is always a header value.
    HeaderValue::try_from(methods.join(", ")).unwrap_or(HeaderValue::from_static(""))
}
