use super::BoxMiddleware;
use crate::base::Location;
use crate::base::registry::collected_function;
use crate::web::reach::Reach;

/// What `#[middleware(scope = …)]` leaves behind.
#[non_exhaustive]
pub struct MiddlewareDescriptor {
    /// The name of the function.
    pub name: &'static str,
    /// Around which routes it runs.
    pub reach: Reach,
    /// Where the function stands.
    pub location: Location,
    pub(crate) make: fn() -> BoxMiddleware,
}

impl MiddlewareDescriptor {
    /// Puts a descriptor together, for the macros.
    #[doc(hidden)]
    pub const fn new(
        name: &'static str,
        reach: Reach,
        location: Location,
        make: fn() -> BoxMiddleware,
    ) -> Self {
        Self { name, reach, location, make }
    }
}

collected_function!(MiddlewareDescriptor, "middleware", |entry| format!("{}::{}", entry.location.module, entry.name).into(), shows reach);
