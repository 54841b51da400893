use crate::stores::until;
use ember::prelude::*;
use ember::testing::TestClient;
use ember::web::Route;
use ember::web::cache::Cache;
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// A handler that waits until it is let go, and whose first run ends as it is told. Clones are the same handler.
#[derive(Debug, Clone)]
pub struct Gated {
    runs: Arc<AtomicU32>,
    gate: Arc<Semaphore>,
}

impl Default for Gated {
    fn default() -> Self {
        Self { runs: Arc::default(), gate: Arc::new(Semaphore::new(0)) }
    }
}

impl Gated {
    /// A handler that has not run.
    pub fn new() -> Self {
        Self::default()
    }

    /// An application with the handler at `/` behind a cache. A run but the first is answered by its number.
    pub fn app(
        &self,
        cache: impl Into<Cache>,
        first: impl Fn() -> Response + Clone + Send + Sync + 'static,
    ) -> TestClient {
        let Self { runs, gate } = self.clone();
        let handler = move || {
            let (runs, gate, first) = (runs.clone(), gate.clone(), first.clone());
            async move {
                let run = runs.fetch_add(1, Ordering::SeqCst) + 1;
                gate.acquire().await.unwrap().forget();
                if run == 1 { first() } else { run.to_string().into_response() }
            }
        };
        let route = Route::get("/", handler).cache(cache);
        TestClient::new(Ember::new().route(route).build().unwrap())
    }

    /// Lets so many runs come to their end.
    pub fn let_go(&self, runs: usize) {
        self.gate.add_permits(runs);
    }

    /// How many runs were begun.
    pub fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }

    /// Waits until so many runs were begun.
    pub async fn wait_for_runs(&self, runs: u32) {
        until(async || self.runs() >= runs).await;
    }
}

/// Asks an application for `/` many times at once.
pub fn ask_often(client: &TestClient, times: usize) -> Vec<JoinHandle<String>> {
    let ask = || {
        let request = client.get("/").send();
        tokio::spawn(async move { request.await.text().await })
    };
    (0..times).map(|_| ask()).collect()
}

/// What all of them are answered.
pub async fn all(asking: impl IntoIterator<Item = JoinHandle<String>>) -> Vec<String> {
    join_all(asking).await.into_iter().map(Result::unwrap).collect()
}

/// Lets everybody do what can be done without waiting for anything.
pub async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}
