use crate::base::task;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// How many tasks there may be at a time. Whoever has one had a request, and those are bounded, too.
const MAX_TASKS: usize = 10_000;

/// What goes on after the request that began it has ended.
///
/// A worker of a server may end at any time, and its tasks with it. An application lends the runtime of
/// its main thread while it is served, and waits at its end.
#[derive(Debug, Default)]
pub(crate) struct Background {
    home: Mutex<Option<Handle>>,
    running: Arc<Running>,
}

#[derive(Debug, Default)]
struct Running {
    count: AtomicUsize,
    ended: Notify,
}

impl Background {
    /// Runs tasks on this runtime from now on, or else on that of whoever begins one.
    #[cfg(feature = "server")]
    pub(crate) fn set_home(&self, home: Option<Handle>) {
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = home;
    }

    /// Runs something; tells whether there is a runtime, and room.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> bool {
        let home = self.home.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(home) = home.or_else(|| Handle::try_current().ok()) else { return false };
        let place = Place(self.running.clone());
        if place.0.count.fetch_add(1, SeqCst) >= MAX_TASKS {
            return false;
        }
        task::spawn(&home, async move {
            work.await;
            drop(place);
        });
        true
    }

    /// Waits until nothing runs, for at most so long; tells whether it came to that.
    pub(crate) async fn idle(&self, limit: Duration) -> bool {
        let idle = async {
            loop {
                let ended = self.running.ended.notified();
                tokio::pin!(ended);
                // Whoever ends between the look and the wait is heard all the same.
                ended.as_mut().enable();
                if self.running.count.load(SeqCst) == 0 {
                    return;
                }
                ended.await;
            }
        };
        tokio::time::timeout(limit, idle).await.is_ok()
    }
}

/// A task that is counted, until it ends in whatever way.
struct Place(Arc<Running>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, SeqCst);
        self.0.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_all_tasks_is_waited_for() {
        let background = Background::default();
        assert!(background.idle(Duration::ZERO).await);
        let (tell, told) = tokio::sync::oneshot::channel::<()>();
        assert!(background.spawn(async move { drop(told.await) }));
        assert!(!background.idle(Duration::from_millis(1)).await);
        drop(tell);
        assert!(background.idle(Duration::from_secs(20)).await);
    }

    #[test]
    fn without_a_runtime_nothing_is_begun() {
        assert!(!Background::default().spawn(async {}));
    }
}
