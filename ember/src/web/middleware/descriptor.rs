use super::BoxMiddleware;
use crate::base::{Descriptor, Location};
use crate::web::reach::Reach;
use std::borrow::Cow;
use std::fmt;

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

inventory::collect!(MiddlewareDescriptor);

impl Descriptor for MiddlewareDescriptor {
    const KIND: &'static str = "middleware";

    fn key(&self) -> Cow<'static, str> {
        format!("{}::{}", self.location.module, self.name).into()
    }

    fn location(&self) -> Location {
        self.location
    }

    fn all() -> impl Iterator<Item = &'static Self> {
        inventory::iter::<Self>()
    }
}

/// What a person calls it in messages.
impl fmt::Display for MiddlewareDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})", self.name, self.location)
    }
}

impl fmt::Debug for MiddlewareDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MiddlewareDescriptor")
            .field("name", &self.name)
            .field("reach", &self.reach)
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}
