use crate::web::state::RouteEntry;
use http::Method;
use std::collections::{BTreeMap, BTreeSet};

/// Gives each operation an id that no other has.
///
/// It is the name of the function, as long as one operation has it; otherwise the module goes
/// before it, or the method behind it, and at last a number.
pub(super) fn operation_ids(operations: &[(&RouteEntry, &Method)]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (route, _) in operations {
        *counts.entry(&route.name).or_default() += 1;
    }
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let ids = operations.iter().map(|(route, method)| {
        let mut id = route.name.clone();
        let of_this_route = operations.iter().filter(|(other, _)| std::ptr::eq(*other, *route));
        let of_this_route = of_this_route.count();
        if counts[route.name.as_str()] > of_this_route
            && let Some(module) = route.location.and_then(|place| place.module.rsplit("::").next())
        {
            id = format!("{module}_{id}");
        }
        if of_this_route > 1 {
            id = format!("{id}_{}", method.as_str().to_ascii_lowercase());
        }
        let mut unique = id.clone();
        let mut number = 2;
        while !taken.insert(unique.clone()) {
            unique = format!("{id}_{number}");
            number += 1;
        }
        unique
    });
    ids.collect()
}
