//! Bodies of another media type than the one that is read.

use crate::base::Error;
use crate::web::request::RequestParts;
use http::header::CONTENT_TYPE;

/// How many characters of a media type are told; the longest that is registered has fewer.
const SHOWN: usize = 100;

/// Status 415 for a body that must have another media type.
pub(crate) fn wrong_media_type(request: &RequestParts, wanted: &str) -> Error {
    let given = request.header(CONTENT_TYPE).map(str::trim).filter(|given| !given.is_empty());
    Error::unsupported_media_type(match given {
        Some(given) => {
            let given: String =
                given.chars().filter(|char| !char.is_control()).take(SHOWN).collect();
            format!("The body has the media type `{given}`, and must have `{wanted}`.")
        }
        None => format!(
            "The body names no media type, and must have `{wanted}`: send the header `content-type: {wanted}`."
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(media_type: &str) -> String {
        let request = http::Request::builder().header(CONTENT_TYPE, media_type).body("").unwrap();
        let request = crate::web::Request::from(request);
        wrong_media_type(&request, "application/json").message().to_owned()
    }

    #[test]
    fn what_was_sent_is_told_within_bounds() {
        assert_eq!(
            told("text/plain"),
            "The body has the media type `text/plain`, and must have `application/json`."
        );
        assert!(told(" ").ends_with("send the header `content-type: application/json`."));
        assert!(told("text/\tplain").contains("`text/plain`"));
        assert!(told(&"x".repeat(9_000)).len() < 200);
    }
}
