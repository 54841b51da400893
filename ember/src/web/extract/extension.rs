use super::FromRequestParts;
use crate::base::Error;
use crate::web::request::RequestParts;

/// A value that middleware has left in the extensions of the request.
///
/// ```
/// use ember::prelude::*;
///
/// #[derive(Clone)]
/// struct Tenant(String);
///
/// #[middleware(scope = app)]
/// async fn find_tenant(mut request: Request, next: Next) -> Response {
///     request.extensions_mut().insert(Tenant("acme".into()));
///     next.run(request).await
/// }
///
/// #[get("/tenant")]
/// async fn tenant(Extension(tenant): Extension<Tenant>) -> String {
///     tenant.0
/// }
/// ```
///
/// Where nothing was left the answer is a 500, as the middleware is missing.
#[derive(Debug, Clone)]
pub struct Extension<T>(pub T);

impl<T: Clone + Send + Sync + 'static> FromRequestParts for Extension<T> {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        parts.extensions().get::<T>().cloned().map(Self).ok_or_else(|| {
            let name = std::any::type_name::<T>();
            Error::internal(format!("no middleware has left a `{name}` in the request"))
        })
    }
}
