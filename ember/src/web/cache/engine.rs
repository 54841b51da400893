use super::generation::Generation;
use super::kept::CachedResponse;
use super::rules::CacheRules;
use crate::base::{Clock, Error, task};
use crate::store::{Claims, Flight, Joined, SingleFlight, Waiting};
use crate::web::request::Request;
use crate::web::response::Response;
use futures_util::FutureExt as _;
use http::Method;
use std::any::type_name;
use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// How long a request waits for an equal one, before the handler of one of those that wait runs in its place. No
/// request waits longer than twice that, whatever becomes of the others.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps answers under keys.
///
/// What may be kept, under which key, and that one answer is made once however many wait for it,
/// is not the engine's business. An engine that is away keeps nothing and finds nothing: it never
/// makes a request fail.
///
/// One that works in the memory of the process needs no more than the first three functions. One from which
/// answers are removed by hand has [`generation`](Self::generation) and [`put_in`](Self::put_in) as well, so that
/// an answer is not put back that was on its way. One with connections has more to say:
/// [`check`](Self::check), [`start`](Self::start), [`stop`](Self::stop), [`id`](Self::id) and
/// [`claims`](Self::claims).
pub trait CacheEngine: Send + Sync + 'static {
    /// Returns what is kept under a key and has not expired.
    fn get(&self, key: &str) -> impl Future<Output = Option<CachedResponse>> + Send;

    /// Keeps an answer.
    fn put(&self, key: &str, response: CachedResponse) -> impl Future<Output = ()> + Send;

    /// Forgets what is kept under all keys that begin like this.
    fn invalidate_prefix(&self, prefix: &str) -> impl Future<Output = ()> + Send;

    /// Forgets what is kept under a key, which is a path with its query unless the rules say otherwise.
    fn invalidate(&self, key: &str) -> impl Future<Output = ()> + Send {
        // The variants of a key stand on lines of their own behind it.
        async move { self.invalidate_prefix(&format!("{key}\n")).await }
    }

    /// The present generation of a key: another one after each time that something was forgotten which the key
    /// may stand for. It is asked for before a handler runs; `None` if it is not known.
    ///
    /// Requests for one key wait for each other only where they have begun in one generation.
    fn generation(&self, key: &str) -> impl Future<Output = Option<Generation>> + Send {
        let _ = key;
        async { None }
    }

    /// Keeps an answer whose handler has begun in a generation, unless that has ended.
    fn put_in(
        &self,
        generation: Option<Generation>,
        key: &str,
        response: CachedResponse,
    ) -> impl Future<Output = ()> + Send {
        let _ = generation;
        self.put(key, response)
    }

    /// Under which key an answer is kept, and by which headers it differs.
    fn rules(&self) -> CacheRules {
        CacheRules::new()
    }

    /// Looks at how the engine was set up, when the application is built.
    ///
    /// # Errors
    /// What is wrong with it, such as an address that is none. The application does not start.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Connects, when the application starts, and says what answered; `None` if there is nobody to ask.
    /// It is called once, however many routes have the engine: see [`id`](Self::id).
    ///
    /// # Errors
    /// Why nobody answers. It is logged, and the application starts without.
    fn start(&self) -> impl Future<Output = Result<Option<String>, Error>> + Send {
        async { Ok(None) }
    }

    /// Closes connections, when the application has stopped. Whoever uses the engine afterwards connects
    /// again.
    fn stop(&self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Which engine it is, where several routes have clones of one; `None` if each is one of its own.
    fn id(&self) -> Option<EngineId> {
        None
    }

    /// Where processes agree on who makes an answer; `None` where each process keeps its own.
    fn claims(&self) -> Option<Claims> {
        None
    }
}

/// Tells an engine from others; clones of it are equal, and no two that were made.
#[derive(Clone)]
pub struct EngineId(Arc<str>);

impl EngineId {
    /// The id of an engine that people know by this name, such as the address of its server.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        // Not shared with whoever has the same text.
        Self(Arc::from(&*name.into()))
    }
}

impl PartialEq for EngineId {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for EngineId {}

/// Its name.
impl fmt::Display for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EngineId").field(&self.0).finish()
    }
}

/// An engine with the rules, and the answers that are being made.
#[derive(Clone)]
pub(crate) struct EngineCache {
    engine: Arc<dyn BoxedEngine>,
    id: EngineId,
    rules: CacheRules,
    claims: Option<Claims>,
    flights: SingleFlight<CachedResponse>,
}

impl EngineCache {
    pub(super) fn new<E: CacheEngine>(engine: E) -> Self {
        let (rules, claims) = (engine.rules(), engine.claims());
        let name = type_name::<E>().rsplit("::").next().unwrap_or_default();
        let id = engine.id().unwrap_or_else(|| EngineId::new(name));
        Self { engine: Arc::new(engine), id, rules, claims, flights: SingleFlight::default() }
    }

    /// Which engine it is, with its name.
    pub(crate) fn id(&self) -> &EngineId {
        &self.id
    }

    /// As [`CacheEngine::check`].
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.engine.check()
    }

    /// As [`CacheEngine::start`].
    pub(crate) async fn start(&self) -> Result<Option<String>, Error> {
        self.engine.start().await
    }

    /// As [`CacheEngine::stop`].
    pub(crate) async fn stop(&self) {
        self.engine.stop().await;
    }

    /// Answers from the engine, or runs the handler and keeps its answer.
    pub(super) async fn answer<F>(
        &self,
        request: Request,
        run: impl FnOnce(Request) -> F,
    ) -> Response
    where
        F: Future<Output = Response>,
    {
        let Some(key) = self.rules.key_of(&request) else {
            return run(request).await;
        };
        if let Some(kept) = self.engine.get(&key).await {
            return kept.to_response();
        }
        // An answer to HEAD has no body that a GET could be given.
        if request.method() == Method::HEAD {
            return run(request).await;
        }
        // Whoever comes after something was forgotten does not wait for an answer from before.
        let generation = self.engine.generation(&key).await;
        let flight = match &generation {
            Some(generation) => Cow::Owned(format!("{key}\n{generation}")),
            None => Cow::Borrowed(&*key),
        };
        let clock = Clock::system();
        let waiting = Waiting { clock: &clock, patience: PATIENCE, claims: self.claims.as_ref() };
        let mut flight = match self.flights.join(&flight, &waiting, || self.engine.get(&key)).await
        {
            Joined::First(flight) => flight,
            Joined::Outcome(kept) => return kept.to_response(),
            // Nobody can share such answers, so nobody waits for the next one.
            Joined::Alone => return run(request).await,
        };
        let response = run(request).await;
        if !self.rules.may_keep(&response) {
            flight.alone();
            return response;
        }
        match CachedResponse::of(response).await {
            Ok((kept, response)) => {
                flight.land(kept.clone());
                if self.rules.has_room(kept.weight()) {
                    self.keep(generation, key, kept, flight).await;
                } else {
                    // Other processes would look for it in vain.
                    flight.alone_elsewhere();
                }
                response
            }
            Err(broken) => {
                flight.alone();
                broken
            }
        }
    }

    /// Keeps an answer. Nobody waits for a server that is to keep it, but those in other processes: until then,
    /// the turn is taken.
    async fn keep(
        &self,
        generation: Option<Generation>,
        key: String,
        kept: CachedResponse,
        flight: Flight<CachedResponse>,
    ) {
        let engine = self.engine.clone();
        let mut work = Box::pin(async move {
            engine.put_in(generation, &key, kept).await;
            drop(flight);
        });
        // An engine in memory is done at once.
        if work.as_mut().now_or_never().is_none() {
            match Handle::try_current() {
                Ok(runtime) => task::spawn(&runtime, work),
                Err(_) => work.await,
            }
        }
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The boxed twin of [`CacheEngine`], as far as requests and the application need it.
trait BoxedEngine: Send + Sync {
    fn get<'a>(&'a self, key: &'a str) -> Boxed<'a, Option<CachedResponse>>;
    fn generation<'a>(&'a self, key: &'a str) -> Boxed<'a, Option<Generation>>;
    fn put_in<'a>(
        &'a self,
        generation: Option<Generation>,
        key: &'a str,
        response: CachedResponse,
    ) -> Boxed<'a, ()>;
    fn check(&self) -> Result<(), Error>;
    fn start(&self) -> Boxed<'_, Result<Option<String>, Error>>;
    fn stop(&self) -> Boxed<'_, ()>;
}

impl<E: CacheEngine> BoxedEngine for E {
    fn get<'a>(&'a self, key: &'a str) -> Boxed<'a, Option<CachedResponse>> {
        Box::pin(CacheEngine::get(self, key))
    }

    fn generation<'a>(&'a self, key: &'a str) -> Boxed<'a, Option<Generation>> {
        Box::pin(CacheEngine::generation(self, key))
    }

    fn put_in<'a>(
        &'a self,
        generation: Option<Generation>,
        key: &'a str,
        response: CachedResponse,
    ) -> Boxed<'a, ()> {
        Box::pin(CacheEngine::put_in(self, generation, key, response))
    }

    fn check(&self) -> Result<(), Error> {
        CacheEngine::check(self)
    }

    fn start(&self) -> Boxed<'_, Result<Option<String>, Error>> {
        Box::pin(CacheEngine::start(self))
    }

    fn stop(&self) -> Boxed<'_, ()> {
        Box::pin(CacheEngine::stop(self))
    }
}
