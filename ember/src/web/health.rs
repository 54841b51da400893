use super::response::{IntoResponse, Response};
use super::router::Route;
use crate::base::Error;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::timeout;

/// Says whether the process lives, and whether it wants requests: for load balancers and supervisors.
///
/// Two routes come with it. `/healthz` answers 200 as long as the process can answer at all.
/// `/readyz` answers 200 when every check passes, and 503 when one fails, does not answer in
/// time, or the server was told to stop. The body is one line per check; why a check failed is
/// told to the log alone. `.health(…)` of the application adds both to its route table.
///
/// ```
/// use ember::prelude::*;
/// use ember::web::Health;
///
/// async fn reach_database() -> ember::Result<()> {
///     Ok(())
/// }
///
/// let app = Ember::new().health(Health::new().ready_at("/ready").check("database", reach_database));
/// # app.build().unwrap();
/// ```
#[derive(Clone)]
pub struct Health {
    live: String,
    ready: String,
    limit: Duration,
    checks: Vec<Check>,
    stopping: Arc<AtomicBool>,
}

#[derive(Clone)]
struct Check {
    name: String,
    run: Arc<dyn Fn() -> CheckFuture + Send + Sync>,
}

type CheckFuture = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

impl Health {
    /// The routes `/healthz` and `/readyz`, without checks.
    pub fn new() -> Self {
        Self {
            live: "/healthz".into(),
            ready: "/readyz".into(),
            limit: Duration::from_secs(5),
            checks: Vec::new(),
            stopping: Arc::default(),
        }
    }

    /// Sets the path that tells whether the process lives.
    #[must_use]
    pub fn live_at(mut self, path: impl Into<String>) -> Self {
        self.live = path.into();
        self
    }

    /// Sets the path that tells whether the process wants requests.
    #[must_use]
    pub fn ready_at(mut self, path: impl Into<String>) -> Self {
        self.ready = path.into();
        self
    }

    /// Adds a check of readiness. Checks run with each request for readiness, one after another.
    #[must_use]
    pub fn check<F, Fut>(mut self, name: impl Into<String>, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.checks.push(Check { name: name.into(), run: Arc::new(move || Box::pin(check())) });
        self
    }

    /// Sets how long all checks together may take; 5 s otherwise.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Tells whether the server was told to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    /// The server was told to stop.
    #[cfg(feature = "server")]
    pub(super) fn stop(&self) {
        self.stopping.store(true, Relaxed);
    }

    /// The two routes.
    pub(crate) fn routes(&self) -> [Route; 2] {
        let ready = self.clone();
        [
            Route::get(self.live.clone(), async || plain(StatusCode::OK, "ok\n".into()))
                .name("healthz"),
            Route::get(self.ready.clone(), move || {
                let ready = ready.clone();
                async move { ready.answer().await }
            })
            .name("readyz"),
        ]
    }

    async fn answer(&self) -> Response {
        if self.is_stopping() {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "stopping\n".into());
        }
        let mut text = String::new();
        let mut fine = true;
        let all = async {
            for check in &self.checks {
                let outcome = (check.run)().await;
                if let Err(error) = &outcome {
                    tracing::warn!(check = check.name, %error, "the application is not ready");
                    fine = false;
                }
                let word = if outcome.is_ok() { "ok" } else { "failed" };
                text.push_str(&format!("{}: {word}\n", check.name));
            }
        };
        if timeout(self.limit, all).await.is_err() {
            tracing::warn!("the checks of readiness took too long");
            fine = false;
        }
        match fine {
            true => plain(StatusCode::OK, text + "ready\n"),
            false => plain(StatusCode::SERVICE_UNAVAILABLE, text + "not ready\n"),
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checks: Vec<_> = self.checks.iter().map(|check| &check.name).collect();
        f.debug_struct("Health")
            .field("live", &self.live)
            .field("ready", &self.ready)
            .field("checks", &checks)
            .field("stopping", &self.is_stopping())
            .finish_non_exhaustive()
    }
}

/// A text that nobody keeps.
fn plain(status: StatusCode, text: String) -> Response {
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (status, headers, text).into_response()
}
