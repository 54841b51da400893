//! The security schemes of a document, and which of them a request must meet.

use super::ApiInfo;
use crate::web::operation::Security;
use crate::web::state::RouteEntry;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::slice;

/// All ways to prove who makes a request, each with a name of its own in the document.
pub(super) struct Schemes<'a>(Vec<(String, &'a Security)>);

impl<'a> Schemes<'a> {
    /// Those of the application, and of the routes in their order.
    ///
    /// Of several that differ and have one name, all but the first get a number behind it.
    pub(super) fn of(info: &'a ApiInfo, routes: &[&'a RouteEntry]) -> Self {
        let mut schemes = Self(Vec::new());
        let of_routes = routes.iter().flat_map(|route| match &route.notes.security {
            Some(ways) => ways.iter(),
            None => route.operation.security.iter(),
        });
        info.security.iter().chain(of_routes).for_each(|way| schemes.add(way));
        schemes
    }

    fn add(&mut self, way: &'a Security) {
        if self.name(way).is_some() {
            return;
        }
        let (mut name, mut number) = (way.name().to_owned(), 1);
        while self.0.iter().any(|(known, _)| *known == name) {
            number += 1;
            name = format!("{}{number}", way.name());
        }
        self.0.push((name, way));
    }

    fn name(&self, way: &Security) -> Option<&str> {
        let is_same =
            |known: &Security| known.name() == way.name() && known.scheme() == way.scheme();
        self.0.iter().find(|(_, known)| is_same(known)).map(|(name, _)| name.as_str())
    }

    /// Security requirements (OpenAPI 3.1 §4.8.30): any one of these ways.
    pub(super) fn any(&self, ways: &[Security]) -> Value {
        ways.iter().map(|way| self.all(slice::from_ref(way))).collect()
    }

    /// One security requirement: all of these ways.
    fn all(&self, ways: &[Security]) -> Value {
        let mut required: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for way in ways {
            let scopes = required.entry(self.name(way).unwrap_or(way.name())).or_default();
            for scope in way.all_scopes() {
                if !scopes.contains(&&**scope) {
                    scopes.push(scope);
                }
            }
        }
        json!(required)
    }

    /// What a request to a route must meet, if the route says: any one of the ways that its options list, or else
    /// all that what stands around it asks for.
    pub(super) fn of_route(&self, route: &RouteEntry) -> Option<Value> {
        match (&route.notes.security, &*route.operation.security) {
            (Some(ways), _) => Some(self.any(ways)),
            (None, []) => None,
            (None, ways) => Some(json!([self.all(ways)])),
        }
    }

    /// The schemes by their names.
    pub(super) fn into_objects(self) -> Map<String, Value> {
        let by_name: BTreeMap<_, _> = self.0.into_iter().collect();
        by_name.into_iter().map(|(name, way)| (name, way.scheme().clone())).collect()
    }
}
