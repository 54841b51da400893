use super::config::SessionConfig;
use super::engine::SessionRecord;
use super::state::{Changes, CookieNews, State};
use crate::base::{Error, random_id};
use crate::web::components::Component;
use crate::web::cookies::{Cookies, set_cookie};
use crate::web::extract::FromRequestParts;
use crate::web::operation::Operation;
use crate::web::request::{Lasting, RequestParts, ResponseFuture};
use crate::web::response::{IntoResponse as _, Response};
use http::HeaderValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Map;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How often a session is saved anew because another request was faster.
const ATTEMPTS: usize = 8;

/// What a service remembers of a visitor, between requests.
///
/// A session begins with the first value that is put into it; a visitor of whom nothing is
/// remembered gets no cookie. Changes are saved when the handler has answered, whatever it has
/// answered, and before the client sees the answer: one that cannot be saved becomes an error,
/// and whoever asks for the session after that gets it as it is kept. What hooks, catchers and middleware change
/// after the handler is saved when the outermost of them is done; all of them share one session.
/// What a streamed body changes after that is saved by [`Session::save`] only.
///
/// ```
/// use ember::prelude::*;
/// use ember::web::session::{MemorySession, Session, SessionConfig};
///
/// #[post("/login/{name}")]
/// async fn login(name: String, session: Session) -> ember::Result<()> {
///     session.renew();
///     session.insert("user", name)
/// }
///
/// #[get("/me")]
/// async fn me(session: Session) -> ember::Result<String> {
///     session.get("user")?.ok_or_else(|| Error::unauthorized("Nobody is logged in."))
/// }
///
/// let app = ember::app!().component(SessionConfig::new(MemorySession::new()));
/// # app.build().unwrap();
/// ```
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    config: Component<SessionConfig>,
    state: Mutex<State>,
}

impl Session {
    /// Returns the value of a key.
    ///
    /// # Errors
    /// A 500 when the value is of another type.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let value = self.state().get(key);
        Ok(value.map(serde_json::from_value).transpose()?)
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// A 500 when the value cannot be written as JSON, or makes the session larger than
    /// [`SessionConfig::max_size`].
    pub fn insert<T: Serialize>(&self, key: &str, value: T) -> Result<(), Error> {
        let value = serde_json::to_value(value)?;
        let mut state = self.state();
        let mut values = state.values();
        values.insert(key.to_owned(), value.clone());
        let (size, limit) = (serde_json::to_vec(&values)?.len(), self.0.config.max_size);
        if size > limit {
            return Err(Error::internal(format!(
                "`{key}` makes the session {size} bytes large, and {limit} are allowed"
            )));
        }
        state.write(key, Some(value));
        Ok(())
    }

    /// Removes a key, and returns its value.
    ///
    /// # Errors
    /// As [`Session::get`]; the key is removed even then.
    pub fn remove<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let mut state = self.state();
        let value = state.get(key);
        if value.is_some() {
            state.write(key, None);
        }
        Ok(value.map(serde_json::from_value).transpose()?)
    }

    /// Removes every key.
    pub fn clear(&self) {
        self.state().clear();
    }

    /// Tells whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.state().values().is_empty()
    }

    /// Gives the session another id; the old one is dead.
    ///
    /// To be called when somebody logs in, or gets more rights: an id that was known to others
    /// before does not become theirs.
    pub fn renew(&self) {
        self.state().changes.renewed = true;
    }

    /// Ends the session: the engine forgets it, and the client its cookie.
    ///
    /// What is inserted afterwards begins a new session.
    pub fn destroy(&self) {
        self.state().destroy();
    }

    /// Saves what has changed. It happens by itself when the handler has answered.
    ///
    /// # Errors
    /// Status 409 when another request has changed the session in a way that contradicts this
    /// one's changes, or ended it; otherwise whatever the engine reports.
    pub async fn save(&self) -> Result<(), Error> {
        let config = &*self.0.config;
        if self.state().is_saved(config) {
            return Ok(());
        }
        let mut unsaved = Unsaved::of(self);
        while let Some(id) = unsaved.dead.last() {
            config.engine.delete(id).await?;
            unsaved.dead.pop();
        }
        let (id, base) = {
            let state = self.state();
            (state.id.clone(), state.base.clone())
        };
        let saved = match (id, base) {
            (Some(id), Some(base)) if !unsaved.changes.is_empty() => {
                Some(config.change(id, base, &unsaved.changes).await?)
            }
            (Some(id), Some(base)) if config.is_worn(&base) => config.touch(id, base).await?,
            (None, _) => config.begin(&unsaved.changes).await?,
            _ => None,
        };
        unsaved.changes = Changes::default();
        if let Some((id, record)) = saved {
            let mut state = self.state();
            // A cookie with an age of its own grows older unless it is sent again.
            if state.id.as_ref() != Some(&id) || config.cookie.has_age() {
                state.cookie = CookieNews::Keep;
            }
            (state.id, state.base) = (Some(id), Some(record));
        }
        Ok(())
    }

    /// Saves the session, and tells the client its id, as far as that has not been done yet.
    async fn finish(self, mut response: Response) -> Response {
        if self.state().is_given_up {
            return response;
        }
        let outcome = match self.save().await {
            Ok(()) => self.news(),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(header)) => {
                let outdated = self.state().told.replace(header.clone());
                set_cookie(response.headers_mut(), header, outdated.as_ref());
            }
            Err(error) => {
                // It would be another answer than the client gets, if another attempt succeeded.
                self.state().is_given_up = true;
                return error.into_response();
            }
        }
        response
    }

    /// Takes what the client does not know of its cookie.
    fn news(&self) -> Result<Option<HeaderValue>, Error> {
        let mut state = self.state();
        let cookie = || self.0.config.cookie.clone();
        let cookie = match (std::mem::take(&mut state.cookie), &state.id) {
            (CookieNews::Keep, Some(id)) => cookie().with_value(id),
            (CookieNews::Forget, _) => cookie().removed(),
            _ => return Ok(None),
        };
        cookie.header().map(Some)
    }

    async fn of(parts: &RequestParts, config: Component<SessionConfig>) -> Result<Self, Error> {
        let sent = Cookies::of(parts.headers()).get(config.cookie.name());
        let mut state = State::default();
        if let Some(id) = sent.filter(|id| is_id(id))
            && let Some(record) = config.engine.load(&id).await?
            && config.is_alive(&record)
        {
            (state.id, state.base) = (Some(id), Some(record));
        }
        Ok(Self(Arc::new(Inner { config, state: Mutex::new(state) })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is about to be saved. What is left of it when this is dropped, because saving failed or was
/// given up, is still to be saved.
struct Unsaved<'a> {
    session: &'a Session,
    changes: Changes,
    dead: Vec<String>,
}

impl<'a> Unsaved<'a> {
    fn of(session: &'a Session) -> Self {
        let mut state = session.state();
        let (changes, dead) = (std::mem::take(&mut state.changes), std::mem::take(&mut state.dead));
        drop(state);
        Self { session, changes, dead }
    }
}

impl Drop for Unsaved<'_> {
    fn drop(&mut self) {
        let mut state = self.session.state();
        state.dead.append(&mut self.dead);
        let later = std::mem::take(&mut state.changes);
        state.changes = std::mem::take(&mut self.changes).followed_by(later);
    }
}

impl SessionConfig {
    /// Saves the changes of a session that is known, under its id or a new one.
    async fn change(
        &self,
        id: String,
        base: SessionRecord,
        changes: &Changes,
    ) -> Result<(String, SessionRecord), Error> {
        let mut current = base.clone();
        for _ in 0..ATTEMPTS {
            let version = current.version;
            let record = SessionRecord {
                values: changes.merge(&base.values, current.values)?,
                version: version + 1,
                created: base.created,
                expires: self.expires(base.created),
            };
            if changes.renewed {
                if let Some(new) = self.rename(&id, version, &record).await? {
                    return Ok((new, record));
                }
            } else if self.engine.save(&id, record.clone(), Some(version)).await? {
                return Ok((id, record));
            }
            let found = self.engine.load(&id).await?.filter(|record| self.is_alive(record));
            current = found.ok_or_else(|| Error::conflict("The session has ended meanwhile."))?;
        }
        Err(Error::conflict("Too many requests change the session at the same time."))
    }

    /// Moves a session to a new id, unless the old record has changed.
    async fn rename(
        &self,
        old: &str,
        version: u64,
        record: &SessionRecord,
    ) -> Result<Option<String>, Error> {
        let new = random_id()?;
        if !self.engine.save(&new, record.clone(), None).await? {
            return Ok(None);
        }
        // The old record dies in one step with looking whether it is still the same, so that
        // nothing that another request saves is lost in between.
        let tomb = SessionRecord {
            values: Map::new(),
            version: version + 1,
            created: record.created,
            expires: self.clock.date(),
        };
        let is_dead = self.engine.save(old, tomb, Some(version)).await?;
        self.engine.delete(if is_dead { old } else { &new }).await?;
        Ok(is_dead.then_some(new))
    }

    /// Saves that a session was used. Another request that has saved it meanwhile has done so as well.
    async fn touch(
        &self,
        id: String,
        base: SessionRecord,
    ) -> Result<Option<(String, SessionRecord)>, Error> {
        let version = base.version;
        let expires = self.expires(base.created);
        let record = SessionRecord { version: version + 1, expires, ..base };
        let is_saved = self.engine.save(&id, record.clone(), Some(version)).await?;
        Ok(is_saved.then_some((id, record)))
    }

    /// Begins a session, if there is something to remember.
    async fn begin(&self, changes: &Changes) -> Result<Option<(String, SessionRecord)>, Error> {
        let values = changes.onto(Map::new());
        if values.is_empty() {
            return Ok(None);
        }
        let created = self.clock.date();
        let record = SessionRecord { values, version: 1, created, expires: self.expires(created) };
        let id = random_id()?;
        match self.engine.save(&id, record.clone(), None).await? {
            true => Ok(Some((id, record))),
            false => Err(Error::internal("a new session has an id that is taken")),
        }
    }
}

/// Tells whether a text looks like an id; only then is the engine asked.
fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl Lasting for Inner {
    fn put_on(self: Arc<Self>, response: Response) -> ResponseFuture {
        Box::pin(Session(self).finish(response))
    }
}

impl FromRequestParts for Session {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        let known = parts.shared().map(Self);
        let session = match known.filter(|known| !known.state().is_given_up) {
            Some(known) => known,
            None => Self::of(parts, Component::of(parts)?).await?,
        };
        parts.share(&session.0);
        Ok(session)
    }

    fn describe(operation: &mut Operation) {
        operation.requires(SessionConfig::need()).touches_response();
    }
}

/// Neither the id nor the values.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("is_known", &self.state().id.is_some())
            .finish_non_exhaustive()
    }
}
