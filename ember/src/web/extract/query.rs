use super::FromRequestParts;
use crate::base::{Error, ErrorKind};
use crate::web::operation::Operation;
use crate::web::request::RequestParts;
use serde::de::DeserializeOwned;

/// The query of the address, read into a struct.
///
/// A name that occurs several times fills a `Vec`; what does not fit is answered with 400.
///
/// ```
/// use ember::prelude::*;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Page { #[serde(default)] offset: u32, limit: Option<u32> }
///
/// #[get("/tasks")]
/// async fn tasks(Query(page): Query<Page>) -> String {
///     format!("{} tasks from {}", page.limit.unwrap_or(20), page.offset)
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Query<T>(pub T);

type ParseError = serde_path_to_error::Error<serde_html_form::de::Error>;

impl<T: DeserializeOwned> FromRequestParts for Query<T> {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        let query = parts.query().unwrap_or_default();
        let misfit = |error| {
            let error = misfit("query", &error);
            Error::new(ErrorKind::BadRequest, error.message().to_owned())
        };
        parse(query.as_bytes()).map(Query).map_err(misfit)
    }

    fn describe(operation: &mut Operation) {
        operation.query::<T>().problems();
    }
}

pub(super) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, ParseError> {
    let pairs = form_urlencoded::parse(text);
    serde_path_to_error::deserialize(serde_html_form::Deserializer::new(pairs))
}

pub(super) fn misfit(what: &str, error: &ParseError) -> Error {
    let path = error.path().to_string();
    // A field that is missing is named by the error, and has no path of its own.
    let place = if path == "." { String::new() } else { format!(" at `{path}`") };
    Error::unprocessable(format!("The {what} does not fit{place}: {}.", error.inner()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Page {
        limit: u32,
        #[serde(default)]
        tag: Vec<String>,
    }

    async fn read(target: &str) -> Result<Page, Error> {
        let request: crate::web::Request = http::Request::get(target).body(()).unwrap().into();
        let (mut parts, _) = request.into_parts();
        Query::from_request_parts(&mut parts).await.map(|Query(page)| page)
    }

    #[tokio::test]
    async fn reads_fields_and_lists() {
        let expected = Page { limit: 5, tag: vec!["a".into(), "b c".into()] };
        assert_eq!(read("/?limit=5&tag=a&tag=b+c").await.unwrap(), expected);
    }

    #[tokio::test]
    async fn names_the_field_that_does_not_fit() {
        let error = read("/?limit=many").await.unwrap_err();
        assert_eq!(error.status(), 400);
        assert!(error.message().contains("at `limit`"), "{error}");
        assert!(read("/").await.unwrap_err().message().contains("missing field `limit`"));
    }
}
