use super::{FromRequest, wrong_media_type};
use crate::base::Error;
use crate::web::operation::{Content, Operation};
use crate::web::request::{Request, RequestParts};
use crate::web::response::Json;
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::Segment;

impl<T: DeserializeOwned> FromRequest for Json<T> {
    async fn from_request(request: Request) -> Result<Self, Error> {
        check_json(&request)?;
        let body = request.into_body().collect().await?;
        serde_json::from_slice(&body).map(Json).map_err(|error| explain::<T>(&body, &error))
    }

    fn describe(operation: &mut Operation) {
        operation.body(Content::json::<T>()).problems();
    }
}

/// A page of another origin cannot send JSON unasked.
///
/// # Errors
/// Status 415 where the media type of the body is another.
pub(crate) fn check_json(request: &RequestParts) -> Result<(), Error> {
    match is_json(request.header(CONTENT_TYPE)) {
        true => Ok(()),
        false => Err(wrong_media_type(request, "application/json")),
    }
}

fn is_json(media_type: Option<&str>) -> bool {
    let media_type = media_type.unwrap_or_default();
    // What nearly all clients send is told without parsing.
    if media_type.eq_ignore_ascii_case("application/json") {
        return true;
    }
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || essence
            .to_ascii_lowercase()
            .strip_prefix("application/")
            .is_some_and(|kind| kind.ends_with("+json"))
}

/// Reads the body once more, to find the place of the mistake; only failures pay for it.
fn explain<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> Error {
    if error.classify() != Category::Data {
        return Error::bad_request(format!("The body is not valid JSON: {error}."));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let outcome: Result<T, _> = serde_path_to_error::deserialize(&mut deserializer);
    let path = outcome.err().map(|error| error.path().clone());
    let pointer: String = path.iter().flat_map(|path| path.iter()).map(token).collect();
    let place = if pointer.is_empty() { "the body" } else { &pointer };
    Error::unprocessable(format!("The JSON does not fit at {place}: {error}."))
        .with_member("pointer", pointer)
}

/// A step into the document as a token of a JSON pointer (RFC 6901 §3).
fn token(segment: &Segment) -> String {
    match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        // Variants of enums leave no trace in the text; unknown steps have no name.
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Point {
        at: Vec<i32>,
    }

    async fn read(media_type: &str, body: &'static str) -> Result<Point, Error> {
        let request = http::Request::builder().header(CONTENT_TYPE, media_type).body(body).unwrap();
        Json::from_request(request.into()).await.map(|Json(point)| point)
    }

    #[tokio::test]
    async fn reads_json_of_every_spelling() {
        for media_type in
            ["application/json", "Application/JSON; charset=utf-8", "application/geo+json"]
        {
            assert_eq!(
                read(media_type, r#"{"at":[1,2]}"#).await.unwrap(),
                Point { at: vec![1, 2] }
            );
        }
    }

    #[tokio::test]
    async fn says_what_is_wrong_and_where() {
        let foreign = read("text/plain", "{}").await.unwrap_err();
        assert_eq!(foreign.status(), 415);
        assert!(foreign.message().contains("`text/plain`"), "{foreign}");
        let malformed = read("application/json", r#"{"at":["#).await.unwrap_err();
        assert_eq!(malformed.status(), 400);
        assert!(malformed.message().contains("line 1 column 7"), "{malformed}");
        let misfit = read("application/json", r#"{"at":[1,"x"]}"#).await.unwrap_err();
        assert_eq!(misfit.status(), 422);
        assert_eq!(serde_json::to_value(misfit.problem()).unwrap()["pointer"], "/at/1");
    }
}
