//! What several processes of an application count together.

use crate::ai::openai::Prices;
use crate::ai::{AiOptions, Places};
use crate::llm::Client;
use crate::store::BoxStore;
use crate::web::{BoxMiddleware, Settled};

/// Keeps the limits of an application in its store, and notes which cannot be.
pub(super) fn keep_limits<'a>(
    store: &BoxStore,
    routes: impl Iterator<Item = &'a Settled>,
    apis: &[Prices],
    middleware: &[BoxMiddleware],
    client: Option<&Client>,
) -> Vec<String> {
    let (mut places, mut notes) = (Places::default(), Vec::new());
    middleware.iter().for_each(|middleware| middleware.keep_in(store, &mut notes));
    for route in routes {
        if let Some(options) = route.extension::<AiOptions>() {
            options.keep_in(store, &mut places, &mut notes);
        }
        let of_route = &route.options.middleware;
        of_route.iter().for_each(|middleware| middleware.keep_in(store, &mut notes));
    }
    apis.iter().for_each(|api| api.keep_in(store, &mut places, &mut notes));
    if let Some(client) = client {
        client.keep_in(store, &mut notes);
    }
    // What stands on a blueprint is on many routes.
    let mut once: Vec<String> = Vec::new();
    for note in notes {
        if !once.contains(&note) {
            once.push(note);
        }
    }
    once
}
