use super::FromRequestParts;
use crate::base::Error;
use crate::web::components::{Component, Need};
use crate::web::request::RequestParts;

impl<T: ?Sized + Send + Sync + 'static> Component<T> {
    /// Takes it from the application of a request.
    pub(crate) fn of(parts: &RequestParts) -> Result<Self, Error> {
        // The start-up check finds a missing component; a request made by hand may still lack it.
        parts.component().cloned().ok_or_else(|| missing(Need::of::<T>()))
    }
}

/// A component that may be missing.
impl<T: ?Sized + Send + Sync + 'static> FromRequestParts for Option<Component<T>> {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        Ok(parts.component().cloned())
    }
}

fn missing(need: Need) -> Error {
    Error::internal(format!(
        "no component of type `{}` is there; those of `#[component]` functions are once the application has started: \
         by `TestClient::start(app).await?` in a test, by `ready.start().await?` elsewhere \
         (`TestClient::new(app.build()?)` makes none)",
        need.type_name()
    ))
}
