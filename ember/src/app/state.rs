//! Where an application keeps its state.

use crate::base::{Env, Finding};
use crate::llm::{MemorySessionStore, Sessions, StoreSessions};
use crate::store::{BoxStore, MemoryStore, Store as _};
use crate::web::session::{SessionConfig, StoreSession};
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
                is_memory = store.name() == MemoryStore::new().name();
                components.insert(store);
            }
            Some(Err(error)) => wrong = Some(Finding::new(error.message().to_owned())),
            None => {}
        }
    }
    let store = components.get::<BoxStore>().map(|store| BoxStore::clone(store));
    let shared = store.clone().filter(|_| !is_memory);
    if let Some(store) = &store
        && components.get::<SessionConfig>().is_none()
        && !is_made(Need::of::<SessionConfig>())
    {
        components.insert(SessionConfig::new(StoreSession::new(store.clone())));
    }
    if store.is_none() && !is_made(Need::of::<BoxStore>()) {
        // Handlers that take the store find one, whether it is shared or not.
        components.insert(BoxStore::new(MemoryStore::new()));
    }
    if components.get::<Sessions>().is_some() {
        return State { shared, wrong };
    }
    let sessions = match store.map(StoreSessions::new) {
        // Nothing is written as bytes that nobody else reads.
        None => Sessions::new(MemorySessionStore::new()),
        Some(Ok(sessions)) => Sessions::new(sessions),
        Some(Err(error)) => {
            let needs = Need::of::<Sessions>();
            let asking: Vec<_> = routes
                .iter()
                .filter(|placed| placed.operation.all_needs().any(|need| need == needs))
                .collect();
            if !asking.is_empty() {
                let finding = Finding::new(format!(
                    "{}; `.sessions(…)` keeps conversations elsewhere",
                    error.message()
                ));
                wrong =
                    Some(asking.iter().fold(finding, |finding, placed| finding.at(&placed.route)));
            }
            Sessions::new(MemorySessionStore::new())
        }
    };
    components.insert(sessions);
    State { shared, wrong }
}
