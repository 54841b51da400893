use super::activity::Activity;
use super::progress::Progress;
use hyper::rt::Executor;
use std::sync::Arc;

tokio::task_local! {
    static STREAM: Arc<Progress>;
}

/// Runs the streams of one HTTP/2 connection, each in a task that the reaper can end.
#[derive(Debug, Clone)]
pub(super) struct Tasks {
    activity: Arc<Activity>,
}

impl Tasks {
    pub(super) fn of(activity: Arc<Activity>) -> Self {
        Self { activity }
    }
}

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        let stream = self.activity.begin_stream();
        let task = tokio::spawn(STREAM.scope(stream.clone(), future));
        stream.runs_in(task.abort_handle());
    }
}

/// The stream whose task this is called in.
pub(super) fn current() -> Option<Arc<Progress>> {
    STREAM.try_with(Arc::clone).ok()
}
