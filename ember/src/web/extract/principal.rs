use super::FromRequestParts;
use crate::base::Error;
use crate::web::principal::Principal;
use crate::web::request::RequestParts;

/// Whoever is authenticated; status 401 when nobody is.
impl FromRequestParts for Principal {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        let nobody = || Error::unauthorized("Authentication is required.");
        parts.extensions().get().cloned().ok_or_else(nobody)
    }
}

/// Whoever is authenticated, if anybody is.
impl FromRequestParts for Option<Principal> {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        Ok(parts.extensions().get().cloned())
    }
}
