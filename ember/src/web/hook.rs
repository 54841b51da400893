use super::components::{Components, Need};
use super::operation::Operation;
use super::panics::Guard;
use super::reach::Reach;
use super::request::RequestParts;
use super::response::{IntoResponse, Response};
use crate::base::registry::collected_function;
use crate::base::{Error, Location};
use std::future::Future;
use std::pin::Pin;

/// What a hook does, on its way.
pub type HookFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HookEvent {
    /// The components are there, and nobody listens yet.
    BeforeServerStart,
    /// Connections are taken.
    AfterServerStart,
    /// The server was told to stop; requests are still answered.
    BeforeServerStop,
    /// No connection is left, and the components are still there.
    AfterServerStop,
    /// A request has found its route and passed the middleware.
    BeforeEndpoint,
    /// There is a response, perhaps that of an error.
    AfterEndpoint,
}

/// The function behind a hook.
#[derive(Debug, Clone, Copy)]
pub enum HookRun {
    /// Runs once, at a moment of the server.
    Server(fn(&Components) -> HookFuture<'_, ()>),
    /// Runs before a handler; a response is answered in its place.
    Before(fn(&mut RequestParts) -> HookFuture<'_, Option<Response>>),
    /// Runs after a handler, and may change the response.
    After(fn(Response, &mut RequestParts) -> HookFuture<'_, Response>),
}

/// What `#[hook]` leaves behind.
#[non_exhaustive]
pub struct HookDescriptor {
    /// The name of the function.
    pub name: &'static str,
    /// When it runs.
    pub event: HookEvent,
    /// For which routes it runs.
    pub reach: Reach,
    /// Where the function stands.
    pub location: Location,
    pub(crate) run: HookRun,
    pub(crate) describe: fn(&mut Operation),
}

impl HookDescriptor {
    /// Puts a descriptor together, for the macros.
    #[doc(hidden)]
    pub const fn new(
        name: &'static str,
        event: HookEvent,
        reach: Reach,
        location: Location,
        run: HookRun,
        describe: fn(&mut Operation),
    ) -> Self {
        Self { name, event, reach, location, run, describe }
    }

    /// Tells what the function needs.
    pub(crate) fn describe(&self, operation: &mut Operation) {
        (self.describe)(operation);
    }

    /// The components that the function needs.
    pub(crate) fn needs(&self) -> Vec<Need> {
        let mut operation = Operation::new();
        self.describe(&mut operation);
        operation.all_needs().collect()
    }
}

collected_function!(HookDescriptor, "hook", |entry| format!("{}::{}", entry.location.module, entry.name).into(), shows event, reach);

/// What a hook before handlers may return: nothing, or perhaps a response, or a result of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned by a hook that runs before handlers",
    label = "this is no answer",
    note = "the function returns nothing, an `Option` of a response, or a `Result` of either"
)]
pub trait BeforeOutcome {
    /// The response that is answered in place of the handler's.
    fn outcome(self) -> Result<Option<Response>, Error>;
}

impl BeforeOutcome for () {
    fn outcome(self) -> Result<Option<Response>, Error> {
        Ok(None)
    }
}

impl<R: IntoResponse> BeforeOutcome for Option<R> {
    fn outcome(self) -> Result<Option<Response>, Error> {
        Ok(self.map(IntoResponse::into_response))
    }
}

impl<T: BeforeOutcome, E: Into<Error>> BeforeOutcome for Result<T, E> {
    fn outcome(self) -> Result<Option<Response>, Error> {
        self.map_err(Into::into)?.outcome()
    }
}

/// The hooks around the handler of one route.
#[derive(Clone, Default)]
pub(crate) struct EndpointHooks {
    before: Vec<BeforeFn>,
    after: Vec<AfterFn>,
}

/// What types in the signature of a route want to run before its handler.
#[derive(Clone, Default)]
struct Preparations(Vec<BeforeFn>);

impl Operation {
    /// Runs a function before the handler, within the hooks and the middleware.
    ///
    /// For responses whose form depends on the request: the function sees its head, may refuse it,
    /// and may ask for a change of the response by
    /// [`RequestParts::on_response`], which this allows.
    pub fn before_handler(
        &mut self,
        run: fn(&mut RequestParts) -> HookFuture<'_, Option<Response>>,
    ) -> &mut Self {
        self.extensions.get_or_insert_default::<Preparations>().0.push(run);
        self.touches_response()
    }
}

type BeforeFn = fn(&mut RequestParts) -> HookFuture<'_, Option<Response>>;
type AfterFn = fn(Response, &mut RequestParts) -> HookFuture<'_, Response>;

impl EndpointHooks {
    /// Adds a hook, if it is one around handlers.
    pub(crate) fn push(&mut self, hook: &HookDescriptor) -> bool {
        match hook.run {
            HookRun::Before(run) => self.before.push(run),
            HookRun::After(run) => self.after.push(run),
            HookRun::Server(_) => return false,
        }
        true
    }

    /// Adds what the types of a route want to run before its handler: the last before it.
    pub(crate) fn prepare(&mut self, operation: &Operation) {
        if let Some(Preparations(runs)) = operation.extensions.get() {
            self.before.extend(runs);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    /// Tells whether any of them runs before handlers.
    pub(crate) fn run_before(&self) -> bool {
        !self.before.is_empty()
    }

    /// Tells whether any of them runs after handlers, and wants to see the request then.
    pub(crate) fn run_after(&self) -> bool {
        !self.after.is_empty()
    }

    /// Runs those before the handler, in order; the first response or error ends it. A panic is an error.
    pub(crate) async fn before(&self, parts: &mut RequestParts) -> Option<Response> {
        for run in &self.before {
            match Guard::new("a hook", run(parts), Err).await {
                Ok(None) => {}
                Ok(Some(response)) => return Some(response),
                Err(error) => return Some(error.into_response()),
            }
        }
        None
    }

    /// Runs those after the handler, in the opposite order, so that hooks enclose each other. An error, or a panic,
    /// takes the place of the response, and the others see that.
    pub(crate) async fn after(&self, mut response: Response, parts: &mut RequestParts) -> Response {
        for run in self.after.iter().rev() {
            response = match Guard::new("a hook", run(response, parts), Err).await {
                Ok(response) => response,
                Err(error) => error.into_response(),
            };
        }
        response
    }
}
