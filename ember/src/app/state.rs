//! Where an application keeps its state.

use crate::base::{Env, Finding};
use crate::llm::{MemorySessionStore, Sessions, StoreSessions};
use crate::store::{BoxStore, MemoryStore};
use crate::web::session::{MemorySession, SessionConfig, StoreSession};
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
    if components.get::<SessionConfig>().is_none() && !is_made(Need::of::<SessionConfig>()) {
        components.insert(match &store {
            Some(store) => SessionConfig::new(StoreSession::new(store.clone())),
            None => SessionConfig::new(MemorySession::new()),
        });
    }
    if store.is_none() && !is_made(Need::of::<BoxStore>()) {
        // Handlers that take the store find one, whether it is shared or not.
        components.insert(BoxStore::new(MemoryStore::new()));
    }
    if components.get::<Sessions>().is_some() || is_made(Need::of::<Sessions>()) {
        return State { shared, wrong };
    }
    let refused = match store.map(StoreSessions::new) {
        Some(Ok(sessions)) => {
            components.insert(Sessions::new(sessions));
            return State { shared, wrong };
        }
        Some(Err(error)) => Some(error.message().to_owned()),
        None if is_made(Need::of::<BoxStore>()) => Some(
            "conversations cannot be kept in a store that a function makes, as they are needed before it"
                .to_owned(),
        ),
        None => None,
    };
    // Nothing is written as bytes that nobody else reads.
    components.insert(Sessions::new(MemorySessionStore::new()));
    let asking = |placed: &&Placed| placed.needs().any(|need| need == Need::of::<Sessions>());
    let mut asking = routes.iter().filter(asking).peekable();
    if let Some(refused) = refused
        && asking.peek().is_some()
    {
        let finding =
            Finding::new(format!("{refused}; `.sessions(…)` keeps conversations elsewhere"));
        wrong = Some(asking.fold(finding, |finding, placed| finding.at(&placed.route)));
    }
    State { shared, wrong }
}
