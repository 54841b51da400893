//! Work that goes on by itself.

use std::future::Future;
use tokio::runtime::Handle;

/// Runs something that nobody waits for.
///
/// Its type is forgotten: whatever a runtime does with a task is compiled anew for each type of one, and is
/// more than most of what is done by itself here.
pub(crate) fn spawn(runtime: &Handle, work: impl Future<Output = ()> + Send + 'static) {
    let work: Box<dyn Future<Output = ()> + Send> = Box::new(work);
    drop(runtime.spawn(Box::into_pin(work)));
}
