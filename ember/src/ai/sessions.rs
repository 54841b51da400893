//! Where an application keeps conversations, if the program has not said so.

use crate::base::Finding;
use crate::llm::{MemorySessionStore, Sessions, StoreSessions};
use crate::store::BoxStore;
use crate::web::{Components, Need, Placed};

/// Finds a place for conversations, when something needs one.
pub(super) static MAKE_SESSIONS: MakeSessions = MakeSessions(provide);

/// As [`provide`].
pub(super) struct MakeSessions(
    fn(&mut Components, Option<BoxStore>, bool, &[Placed]) -> Option<Finding>,
);

/// Provides the place for conversations, if something needs it, and says what is wrong with it. `store` is that of
/// the application; one that a function makes comes too late.
pub(crate) fn make_sessions(
    components: &mut Components,
    store: Option<BoxStore>,
    store_is_made: bool,
    routes: &[Placed],
    all_needs: &[Need],
) -> Option<Finding> {
    let MakeSessions(make) = all_needs.iter().find_map(Need::maker::<MakeSessions>)?;
    make(components, store, store_is_made, routes)
}

fn provide(
    components: &mut Components,
    store: Option<BoxStore>,
    store_is_made: bool,
    routes: &[Placed],
) -> Option<Finding> {
    let refused = match store.map(StoreSessions::new) {
        Some(Ok(sessions)) => {
            components.insert(Sessions::new(sessions));
            return None;
        }
        Some(Err(error)) => Some(error.message().to_owned()),
        None if store_is_made => Some(
            "conversations cannot be kept in a store that a function makes, as they are needed before it"
                .to_owned(),
        ),
        None => None,
    };
    // Nothing is written as bytes that nobody else reads.
    components.insert(Sessions::new(MemorySessionStore::new()));
    let asking = |placed: &&Placed| placed.needs().any(|need| need == Need::of::<Sessions>());
    let mut asking = routes.iter().filter(asking).peekable();
    asking.peek()?;
    let finding =
        Finding::new(format!("{}; `.sessions(…)` keeps conversations elsewhere", refused?));
    Some(asking.fold(finding, |finding, placed| finding.at(&placed.route)))
}
