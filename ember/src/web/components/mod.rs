//! What the application provides to handlers, by type.
//!
//! A value is given, or a [`ComponentDescriptor`] makes it at start-up; [`Plan`] puts those in
//! the order of their dependencies. Handlers only ever see values.

mod need;
mod factory;
mod plan;

pub use factory::{
    BuildFuture, Built, ComponentDescriptor, FromComponents, Outcome, TeardownFuture,
};
pub use need::Need;
pub(crate) use plan::Plan;

use http::Extensions;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// What an application provides to its handlers: one value of each type.
///
/// Filled before the start and never changed after it, so that a look-up takes no lock.
#[derive(Clone, Default)]
pub struct Components {
    values: Extensions,
    provided: Vec<Need>,
}

impl Components {
    /// Provides a value; one of the same type that was there before is replaced and returned.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) -> Option<Component<T>> {
        self.insert_shared(Arc::new(value))
    }

    /// Provides a value that is shared with others.
    pub fn insert_shared<T: ?Sized + Send + Sync + 'static>(
        &mut self,
        value: Arc<T>,
    ) -> Option<Component<T>> {
        let replaced = self.values.insert(Component(value));
        self.promise(Need::of::<T>());
        replaced
    }

    /// Says that a value will be there when the application has started.
    pub(crate) fn promise(&mut self, need: Need) {
        if !self.meets(need) {
            self.provided.push(need);
        }
    }

    /// Returns the value of a type.
    pub fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Option<&Component<T>> {
        self.values.get()
    }

    /// Tells whether a need is met.
    pub fn meets(&self, need: Need) -> bool {
        self.provided.contains(&need)
    }

    /// The types that are provided.
    pub fn provided(&self) -> impl Iterator<Item = Need> {
        self.provided.iter().copied()
    }
}

impl fmt::Debug for Components {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.provided.iter().map(Need::type_name)).finish()
    }
}

/// A value that the application provides, shared by all handlers.
///
/// As an argument of a handler it is found by its type. A type that nobody provides is
/// reported when the application starts, with the routes that need it.
///
/// ```
/// use ember::prelude::*;
///
/// struct Db { name: &'static str }
///
/// #[get("/db")]
/// async fn db_name(db: Component<Db>) -> &'static str {
///     db.name
/// }
///
/// let app = ember::app!().component(Db { name: "tasks" });
/// # app.build().unwrap();
/// ```
#[derive(Debug)]
pub struct Component<T: ?Sized>(pub Arc<T>);

impl<T: ?Sized> Clone for Component<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized> Deref for Component<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_type() {
        let mut components = Components::default();
        assert!(components.insert(7_u32).is_none());
        assert_eq!(*components.insert(8_u32).unwrap().0, 7);
        assert_eq!(**components.get::<u32>().unwrap(), 8);
        assert!(components.meets(Need::of::<u32>()) && !components.meets(Need::of::<u64>()));
    }
}
