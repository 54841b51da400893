use super::signature::Signature;
use bytes::Bytes;
use serde::de::Deserializer;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// An image, a recording or a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Media {
    /// What kind of thing it is, for example `image/png`; `image/*` where only the kind is known.
    pub media_type: String,
    /// Where its bytes are.
    #[serde(flatten)]
    pub source: MediaSource,
    /// The provider's mark on this part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

impl Media {
    /// An image at an address that the provider can reach.
    pub fn image_url(url: impl Into<String>) -> Self {
        Self { media_type: "image/*".into(), source: MediaSource::Url(url.into()), signature: None }
    }

    /// Bytes of a media type.
    pub fn bytes(media_type: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self {
            media_type: media_type.into(),
            source: MediaSource::Bytes(bytes.into()),
            signature: None,
        }
    }
}

/// Where the bytes of a medium are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MediaSource {
    /// At an address that the provider fetches.
    Url(String),
    /// Here.
    #[serde(with = "base64_bytes")]
    Bytes(Bytes),
}

/// Bytes as base64 text (RFC 4648 §4), which is how every provider wants them.
mod base64_bytes {
    use super::{Bytes, Deserialize, Deserializer, Serializer};
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use serde::de::Error as _;

    pub(super) fn serialize<S: Serializer>(
        bytes: &Bytes,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Bytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map(Bytes::from).map_err(D::Error::custom)
    }
}
