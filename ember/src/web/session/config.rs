use super::engine::{BoxedEngine, SessionEngine, SessionRecord};
use super::memory::MemorySession;
use super::store::StoreSession;
use crate::base::Clock;
use crate::store::BoxStore;
use crate::web::components::Need;
use crate::web::cookies::Cookie;
use std::fmt;
use std::time::{Duration, SystemTime};

/// How long a session can last that has no other end: to the year 9999, as far as dates go everywhere.
const LONGEST: Duration = Duration::from_secs(253_402_300_799);

/// How sessions are kept: the engine, the cookie, the times. A component of the application.
///
/// ```
/// use ember::prelude::*;
/// use ember::web::cookies::Cookie;
/// use ember::web::session::{MemorySession, SessionConfig};
///
/// let sessions = SessionConfig::new(MemorySession::new())
///     .idle(secs(30 * 60))
///     .cookie(Cookie::new("__Host-id", ""));
/// let app = Ember::new().component(sessions);
/// # app.build().unwrap();
/// ```
pub struct SessionConfig {
    pub(super) engine: Box<dyn BoxedEngine>,
    pub(super) cookie: Cookie,
    pub(super) max_size: usize,
    pub(super) clock: Clock,
    idle: Duration,
    absolute: Duration,
}

/// Keeps sessions in the store of the application, or else in memory, when something needs them.
static MAKE: Make = Make(|store| match store {
    Some(store) => SessionConfig::new(StoreSession::new(store.clone())),
    None => SessionConfig::new(MemorySession::new()),
});

/// What makes the sessions of an application that has a store, or none.
struct Make(fn(Option<&BoxStore>) -> SessionConfig);

impl SessionConfig {
    /// The need for it, with what makes one.
    pub(crate) fn need() -> Need {
        Need::of::<Self>().made_by(&MAKE)
    }

    /// The sessions of an application that does not say how they are kept, if something needs them.
    pub(crate) fn for_needs(needs: &[Need], store: Option<&BoxStore>) -> Option<Self> {
        let Make(make) = needs.iter().find_map(Need::maker::<Make>)?;
        Some(make(store))
    }

    /// Sessions of at most 64 KiB that end after two hours without a request, and after seven
    /// days in any case, under a cookie `session` with the safe attributes of [`Cookie::new`].
    pub fn new(engine: impl SessionEngine) -> Self {
        Self {
            engine: Box::new(engine),
            cookie: Cookie::new("session", ""),
            max_size: 64 << 10,
            clock: Clock::system(),
            idle: Duration::from_secs(2 * 60 * 60),
            absolute: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }

    /// Sets the name and the attributes of the cookie; its value does not matter.
    #[must_use]
    pub fn cookie(mut self, cookie: Cookie) -> Self {
        self.cookie = cookie;
        self
    }

    /// Sets after what time without a request a session ends.
    ///
    /// Only when a tenth of it has passed does a request without changes save the session.
    #[must_use]
    pub fn idle(mut self, time: Duration) -> Self {
        self.idle = time;
        self
    }

    /// Sets after what time a session ends in any case.
    #[must_use]
    pub fn absolute(mut self, time: Duration) -> Self {
        self.absolute = time;
        self
    }

    /// Sets how large a session may be, in bytes of JSON.
    #[must_use]
    pub fn max_size(mut self, bytes: usize) -> Self {
        self.max_size = bytes;
        self
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// When a session that is used now ends.
    pub(super) fn expires(&self, created: SystemTime) -> SystemTime {
        // What lasts longer than there are dates lasts for as long as the other, or as any will.
        let ends = [self.clock.date().checked_add(self.idle), created.checked_add(self.absolute)];
        let longest = || SystemTime::UNIX_EPOCH + LONGEST;
        ends.into_iter().flatten().min().unwrap_or_else(longest)
    }

    /// Tells whether a session has not ended yet.
    pub(super) fn is_alive(&self, record: &SessionRecord) -> bool {
        self.clock.date() < record.expires
    }

    /// Tells whether a session must be saved for no other reason than that it was used.
    pub(super) fn is_worn(&self, record: &SessionRecord) -> bool {
        let worn = record.expires.checked_add(self.idle / 10);
        worn.is_some_and(|worn| self.expires(record.created) > worn)
    }
}

impl fmt::Debug for SessionConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionConfig")
            .field("cookie", &self.cookie)
            .field("idle", &self.idle)
            .field("absolute", &self.absolute)
            .field("max_size", &self.max_size)
            .finish_non_exhaustive()
    }
}
