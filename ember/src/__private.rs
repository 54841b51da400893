//! The only names that macros may use. Nothing here is covered by any promise.

pub mod describe;
mod tool_output;

pub use crate::ai::AiOptions;
pub use crate::base::Location;
pub use crate::default_json;
pub use crate::llm::tool::{
    Arguments, FromToolContext, Parameters, ToolDescriptor, ToolFuture, ToolItem, ToolNeeds,
    ToolOptions,
};
pub use crate::llm::{ProviderDescriptor, Tool};
pub use crate::web::{HandlerFuture, Operation, Request, RouteDescriptor, RouteItem, RouteOptions};
pub use describe::{Input, Output};
pub use inventory;
pub use schemars;
pub use std::boxed::Box;
pub use tool_output::{ToolOutput, ToolResultKind, ToolValueKind};

use crate::base::Error;
use crate::web::extract::{self, BeforeLast, FromRequest, PathParameter};
use crate::web::{IntoResponse, Response};
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

/// Makes a response of what a function has returned.
pub fn answer<T: IntoResponse>(value: T) -> Result<Response, Error> {
    Ok(value.into_response())
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
