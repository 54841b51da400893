//! The only names that macros may use. Nothing here is covered by any promise.

pub mod describe;
mod tool_output;

pub use crate::ai::{AiOptions, need_of};
pub use crate::base::plugin::{plugin, plugin_value};
pub use crate::base::{Error, Location, PluginDescriptor};
pub use crate::default_json;
pub use crate::llm::tool::{
    Arguments, FromToolContext, Parameters, ToolDescriptor, ToolFuture, ToolItem, ToolNeeds,
    ToolOptions,
};
pub use crate::llm::{ProviderDescriptor, Tool};
pub use crate::web::extract::FromRequestParts;
pub use crate::web::middleware::{BoxMiddleware, MiddlewareDescriptor};
pub use crate::web::{
    BlueprintDescriptor, BuildFuture, CatchFuture, CatcherDescriptor, Catches, ComponentDescriptor,
    Components, FromComponents, HandlerFn, HookDescriptor, HookEvent, HookFuture, HookRun, Need,
    Operation, Reach, Request, RequestParts, Response, RouteDescriptor, RouteItem, RouteOptions,
    TeardownFuture,
};
pub use describe::{Input, Known, Output};
pub use inventory;
pub use schemars;
pub use std::boxed::Box;
pub use std::option::Option;
pub use std::vec::Vec;
pub use tool_output::{ToolOutput, ToolResultKind, ToolValueKind};

use crate::web::extract::{self, BeforeLast, FromRequest, PathParameter};
use crate::web::middleware::IntoMiddleware;
use crate::web::{BeforeOutcome, Built, IntoResponse, Outcome};
use std::panic::resume_unwind;

/// Takes an argument from the path.
pub fn path<T: PathParameter>(request: &Request, name: &str) -> Result<T, Error> {
    extract::parameter(request, name)
}

/// Takes an argument from the head of a request.
pub async fn head<T: FromRequest<M> + BeforeLast<M>, M>(request: &mut Request) -> Result<T, Error> {
    T::take(request.parts_mut()).await
}

/// Takes the last argument, which may consume the body.
pub async fn last<T: FromRequest<M>, M>(request: Request) -> Result<T, Error> {
    T::from_request(request).await
}

/// Takes an argument from the head of a request that belongs to somebody else.
pub async fn part<T: FromRequestParts>(parts: &mut RequestParts) -> Result<T, Error> {
    T::from_request_parts(parts).await
}

/// Takes a component before there are requests.
pub fn component<T: FromComponents>(components: &Components) -> Result<T, Error> {
    T::from_components(components).ok_or_else(|| missing(T::need()))
}

/// Takes a component by value before there are requests.
pub fn cloned<T: Clone + Send + Sync + 'static>(components: &Components) -> Result<T, Error> {
    let component = components.get::<T>().map(|component| T::clone(component));
    component.ok_or_else(|| missing(Need::of::<T>()))
}

fn missing(need: Need) -> Error {
    Error::internal(format!("no component of type `{}` is there", need.type_name()))
}

/// Makes a component of what a function has returned.
pub fn built<T: Send + Sync + 'static>(value: T) -> Result<Built, Error> {
    Ok(Built::new(value))
}

/// A result, by the type of its value.
pub trait Fallible {
    /// What it holds when nothing went wrong.
    type Value;
}

impl<T, E> Fallible for Result<T, E> {
    type Value = T;
}

/// Tells how a function went that returns nothing.
pub fn outcome<T: Outcome>(value: T) -> Result<(), Error> {
    value.outcome()
}

/// Tells whether a hook answers in place of the handler.
pub fn before_outcome<T: BeforeOutcome>(value: T) -> Result<Option<Response>, Error> {
    value.outcome()
}

/// Forgets the type of middleware.
pub fn boxed_middleware<A, M: IntoMiddleware<A>>(middleware: M) -> BoxMiddleware {
    BoxMiddleware::new(middleware.into_middleware())
}

/// Makes a response of what a function has returned.
pub fn answer<T: IntoResponse>(value: T) -> Result<Response, Error> {
    Ok(value.into_response())
}

/// Runs a test to its end, on a runtime of its own.
pub fn block_on<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    #[expect(clippy::panic, reason = "a test that cannot run must fail")]
    match runtime {
        Ok(runtime) => runtime.block_on(test),
        Err(error) => panic!("a test needs a runtime: {error}"),
    }
}

/// Runs a function that is not async where it blocks nobody.
pub async fn blocking<T: Send + 'static>(function: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(function).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is shutting down; whoever waits is about to be dropped with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// The default of a parameter as JSON, if its type can be written.
#[doc(hidden)]
#[macro_export]
macro_rules! default_json {
    ($default:expr) => {{
        #[allow(unused_imports)]
        use $crate::__private::describe::{UnwrittenDefault as _, WrittenDefault as _};
        (&&$crate::__private::describe::DefaultValue($default)).to_json()
    }};
}
