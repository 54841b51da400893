//! Components as arguments, and those that an application makes by itself.
//!
//! A client, a router and a place for conversations are made of the environment when something needs them. What
//! makes them comes with the need, and is called nowhere else: so the linker leaves all of it out of a program in
//! which nothing needs a model. That is why components are taken as arguments here, where models are known, and not
//! further up.

use super::model::MAKE_MODEL;
use super::sessions::MAKE_SESSIONS;
use crate::base::Error;
use crate::llm::{Client, ModelRouter, Sessions};
use crate::web::extract::FromRequestParts;
use crate::web::session::SessionConfig;
use crate::web::{Component, Components, FromComponents, Need, Operation, RequestParts};

/// The need for a value of type `T`, with what makes one. The compiler knows the outcome of the comparisons.
pub fn need_of<T: ?Sized + 'static>() -> Need {
    let need = Need::of::<T>();
    if need == Need::of::<Client>() || need == Need::of::<ModelRouter>() {
        need.made_by(&MAKE_MODEL)
    } else if need == Need::of::<Sessions>() {
        need.made_by(&MAKE_SESSIONS)
    } else if need == Need::of::<SessionConfig>() {
        SessionConfig::need()
    } else {
        need
    }
}

impl<T: ?Sized + Send + Sync + 'static> FromRequestParts for Component<T> {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        Self::of(parts)
    }

    fn describe(operation: &mut Operation) {
        operation.requires(need_of::<T>());
    }
}

impl<T: ?Sized + Send + Sync + 'static> FromComponents for Component<T> {
    fn need() -> Need {
        need_of::<T>()
    }

    fn from_components(components: &Components) -> Option<Self> {
        components.get().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::MakeModel;
    use super::super::sessions::MakeSessions;
    use super::*;

    #[test]
    fn what_makes_a_component_comes_with_the_need_for_it() {
        assert!(need_of::<Client>().maker::<MakeModel>().is_some());
        assert!(need_of::<ModelRouter>().maker::<MakeModel>().is_some());
        assert!(need_of::<Sessions>().maker::<MakeSessions>().is_some());
        assert!(need_of::<Sessions>().maker::<MakeModel>().is_none());
        assert!(SessionConfig::for_needs(&[need_of::<SessionConfig>()], None).is_some());
        assert!(SessionConfig::for_needs(&[need_of::<Client>()], None).is_none());
    }

    #[test]
    fn it_is_not_lost_where_a_need_was_told_before() {
        let mut operation = Operation::new();
        operation.needs::<Client>();
        <Component<Client> as FromRequestParts>::describe(&mut operation);
        let needs: Vec<_> = operation.all_needs().collect();
        assert_eq!(needs, [Need::of::<Client>()]);
        assert!(needs[0].maker::<MakeModel>().is_some());
    }
}
