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
    let of_all = store.at("the middleware of the application");
    middleware.iter().for_each(|middleware| middleware.keep_in(&of_all, &mut notes));
    for route in routes {
        // Routes of the framework itself have no line, and several may have one name.
        let store = match route.location {
            Some(_) => store.at(route),
            None => store.at(format_args!("{route} of `{}`", route.path)),
        };
        if let Some(options) = route.extension::<AiOptions>() {
            options.keep_in(&store, &mut places, &mut notes);
        }
        let of_route = &route.options.middleware;
        of_route.iter().for_each(|middleware| middleware.keep_in(&store, &mut notes));
    }
    let of_models = store.at("the models of an OpenAI-compatible API");
    apis.iter().for_each(|api| api.keep_in(&of_models, &mut places, &mut notes));
    if let Some(client) = client {
        client.keep_in(&store.at("the client of the application"), &mut notes);
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
