use super::Error;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// The body of an error answer: a problem document as RFC 9457 defines it.
///
/// Serialises to `{"type":"about:blank","title":…,"status":…,"detail":…}` and the
/// members that were added with [`Error::with_member`]. The media type is
/// [`Problem::MEDIA_TYPE`].
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a>(&'a Error);

impl<'a> Problem<'a> {
    /// The media type of a problem document (RFC 9457 §6.1).
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    pub(super) fn of(error: &'a Error) -> Self {
        Self(error)
    }
}

impl Serialize for Problem<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let error = self.0;
        let status = error.status();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", "about:blank")?;
        map.serialize_entry("title", status.canonical_reason().unwrap_or("Error"))?;
        map.serialize_entry("status", &status.as_u16())?;
        map.serialize_entry("detail", error.message())?;
        for (name, value) in error.members() {
            // The four standard members stand above; a duplicate key would be ambiguous.
            if !matches!(name.as_str(), "type" | "title" | "status" | "detail") {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn holds_the_public_message_and_never_the_source() {
        let error = Error::unprocessable("`age` must be positive")
            .with_source(std::io::Error::other("secret"))
            .with_member("pointer", "/age")
            .with_member("status", 200);
        assert_eq!(
            serde_json::to_value(error.problem()).unwrap(),
            json!({
                "type": "about:blank",
                "title": "Unprocessable Entity",
                "status": 422,
                "detail": "`age` must be positive",
                "pointer": "/age",
            })
        );
    }
}
