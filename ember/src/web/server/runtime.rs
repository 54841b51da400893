use std::io;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// A runtime on the thread that drives it. When it ends, it waits for work that blocks
/// ([`tokio::task::spawn_blocking`]) no longer than it is told to, and not at all after a panic.
#[derive(Debug)]
pub(crate) struct ThreadRuntime(Option<Runtime>);

impl ThreadRuntime {
    pub(crate) fn new() -> io::Result<Self> {
        Builder::new_current_thread().enable_all().build().map(|runtime| Self(Some(runtime)))
    }

    /// Runs a future to its end, and what is left on the runtime until a deadline.
    pub(crate) fn run<F: Future>(
        mut self,
        future: F,
        deadline: impl FnOnce() -> Option<Instant>,
    ) -> Option<F::Output> {
        let output = self.0.as_ref()?.block_on(future);
        let left = deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_timeout(left.unwrap_or(Duration::ZERO));
        }
        Some(output)
    }
}

impl Drop for ThreadRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
