use super::failure::away;
use crate::base::Error;
use std::sync::{Mutex, PoisonError};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread on which the connections of a store live.
///
/// Each worker of a server has a runtime of its own, and may end. A connection that belonged to one
/// of them would stand still with it for all others.
#[derive(Debug, Default)]
pub(super) struct Home(Mutex<Option<Running>>);

#[derive(Debug)]
struct Running {
    handle: Handle,
    /// Its end is the thread's.
    _stop: oneshot::Sender<()>,
}

impl Home {
    /// Runs something there, which begins the thread if there is none yet. It runs to its end
    /// even when nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Error> {
        let handle = self.handle().map_err(away)?;
        handle.spawn(work).await.map_err(away)
    }

    fn handle(&self) -> std::io::Result<Handle> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*running {
            return Ok(running.handle.clone());
        }
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        std::thread::Builder::new().name("ember-store".to_owned()).spawn(move || {
            // An error says that the store is gone, which is what is waited for.
            let _ = runtime.block_on(stopped);
        })?;
        *running = Some(Running { handle: handle.clone(), _stop: stop });
        Ok(handle)
    }
}
