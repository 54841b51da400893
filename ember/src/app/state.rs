//! Where an application keeps its state.

use crate::ai::make_sessions;
use crate::base::{Env, Finding};
use crate::llm::Sessions;
use crate::store::{BoxStore, MemoryStore};
use crate::web::session::SessionConfig;
use crate::web::{Components, Need, Placed};

/// What is known of the state of an application.
#[derive(Default)]
pub(super) struct State {
    /// The store that processes may share: one that the program gives, or that the environment names and is not
    /// the memory of this process.
    pub(super) shared: Option<BoxStore>,
    pub(super) wrong: Option<Finding>,
}

/// Provides the store, and what stands on it, as far as the program has not provided them itself.
pub(super) fn provide_state(
    components: &mut Components,
    env: &Env,
    routes: &[Placed],
    all_needs: &[Need],
    is_made: impl Fn(Need) -> bool,
) -> State {
    let (mut wrong, mut is_memory) = (None, false);
    if components.get::<BoxStore>().is_none() && !is_made(Need::of::<BoxStore>()) {
        match BoxStore::from_env(env) {
            Some(Ok(store)) => {
                is_memory = store.is_memory();
                components.insert(store);
            }
            Some(Err(error)) => wrong = Some(Finding::new(error.message().to_owned())),
            None => {}
        }
    }
    let store = components.get::<BoxStore>().map(|store| BoxStore::clone(store));
    let shared = store.clone().filter(|_| !is_memory);
    if components.get::<SessionConfig>().is_none()
        && !is_made(Need::of::<SessionConfig>())
        && let Some(config) = SessionConfig::for_needs(all_needs, store.as_ref())
    {
        components.insert(config);
    }
    if store.is_none() && !is_made(Need::of::<BoxStore>()) {
        // Handlers that take the store find one, whether it is shared or not.
        components.insert(BoxStore::new(MemoryStore::new()));
    }
    if components.get::<Sessions>().is_some() || is_made(Need::of::<Sessions>()) {
        return State { shared, wrong };
    }
    let store_is_made = is_made(Need::of::<BoxStore>());
    wrong = make_sessions(components, store, store_is_made, routes, all_needs).or(wrong);
    State { shared, wrong }
}
