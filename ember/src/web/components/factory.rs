use super::{Components, Need};
use crate::base::registry::collected_function;
use crate::base::{Error, Location};
use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// A component on its way; what comes out puts it among the others.
pub type BuildFuture<'a> = Pin<Box<dyn Future<Output = Result<Built, Error>> + Send + 'a>>;

/// The end of a component on its way.
pub type TeardownFuture<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// A component that is ready.
pub struct Built(Box<dyn FnOnce(&mut Components) + Send>);

impl Built {
    pub(crate) fn new<T: Send + Sync + 'static>(value: T) -> Self {
        Self(Box::new(move |components| {
            components.insert(value);
        }))
    }

    pub(crate) fn put_into(self, components: &mut Components) {
        (self.0)(components);
    }
}

impl fmt::Debug for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Built")
    }
}

/// What `#[component]` leaves behind: how a component is made at start-up.
#[non_exhaustive]
pub struct ComponentDescriptor {
    /// The name of the function.
    pub name: &'static str,
    /// Where the function stands.
    pub location: Location,
    pub(crate) provides: fn() -> Need,
    pub(crate) needs: fn(&mut Vec<Need>),
    pub(crate) build: fn(&Components) -> BuildFuture<'_>,
    pub(crate) teardown: Option<fn(&Components) -> TeardownFuture<'_>>,
}

impl ComponentDescriptor {
    /// Puts a descriptor together, for the macros.
    #[doc(hidden)]
    pub const fn new<T: Send + Sync + 'static>(
        name: &'static str,
        location: Location,
        needs: fn(&mut Vec<Need>),
        build: fn(&Components) -> BuildFuture<'_>,
        teardown: Option<fn(&Components) -> TeardownFuture<'_>>,
    ) -> Self {
        Self { name, location, provides: Need::of::<T>, needs, build, teardown }
    }

    /// The types that must be there before.
    pub(crate) fn all_needs(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        (self.needs)(&mut needs);
        needs
    }
}

collected_function!(
    ComponentDescriptor,
    "component",
    |entry| (entry.provides)().type_name().into(),
    shows
);

/// An argument of a factory or of a hook of the server: a component, as handlers take it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be taken before there are requests",
    label = "only components are there",
    note = "an argument is `Component<T>`, or a `T` that is a component and implements `Clone`"
)]
pub trait FromComponents: Sized {
    /// The component it stands for.
    fn need() -> Need;

    /// Takes it, if it is there.
    fn from_components(components: &Components) -> Option<Self>;
}

/// What a hook of the server or a teardown may return: nothing, or a result of nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned here",
    label = "nothing would look at this",
    note = "the function returns nothing, or a `Result<(), E>`"
)]
pub trait Outcome {
    /// Tells how it went.
    fn outcome(self) -> Result<(), Error>;
}

impl Outcome for () {
    fn outcome(self) -> Result<(), Error> {
        Ok(())
    }
}

impl<E: Into<Error>> Outcome for Result<(), E> {
    fn outcome(self) -> Result<(), Error> {
        self.map_err(Into::into)
    }
}
