//! A store for tests: it can go away, be slow, lose its answers, and knows what it was asked.

use super::capability::Capability;
use super::draw::{Bucket, Draw, Drawn};
use super::failure::away;
use super::memory::MemoryStore;
use super::store::{ScanPage, Store, by_comparing};
use crate::base::Error;
use bytes::Bytes;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// A store in memory. Clones are the same store.
#[derive(Debug, Clone)]
pub(crate) struct Flaky {
    memory: MemoryStore,
    is_away: Arc<AtomicBool>,
    /// In milliseconds of the runtime.
    delay: Arc<AtomicU64>,
    asked: Arc<AtomicUsize>,
    under_way: Arc<AtomicUsize>,
    /// Where what is asked from now on waits with its answer.
    gate: Arc<Mutex<Option<Arc<Semaphore>>>>,
    capabilities: &'static [Capability],
    refused: Arc<Mutex<Option<String>>>,
    /// So many answers are lost from now on.
    lost: Arc<AtomicUsize>,
    denies: Arc<AtomicBool>,
    drawn: Arc<Mutex<Vec<Draw>>>,
}

impl Flaky {
    pub(crate) fn new(memory: MemoryStore) -> Self {
        Self {
            memory,
            is_away: Arc::default(),
            delay: Arc::default(),
            asked: Arc::default(),
            under_way: Arc::default(),
            gate: Arc::default(),
            capabilities: &[],
            refused: Arc::default(),
            lost: Arc::default(),
            denies: Arc::default(),
            drawn: Arc::default(),
        }
    }

    /// The same store, which can do these things.
    pub(crate) fn capable(self, capabilities: &'static [Capability]) -> Self {
        Self { capabilities, ..self }
    }

    /// Does not delete a key any more.
    pub(crate) fn refuse(&self, key: &str) {
        *self.refused.lock().unwrap() = Some(key.to_owned());
    }

    /// Does what it is asked, and loses so many answers from now on.
    pub(crate) fn lose(&self, answers: usize) {
        self.lost.store(answers, Ordering::SeqCst);
    }

    /// Compares and sets as before, and says each time that somebody else had been first.
    pub(crate) fn deny_what_it_did(&self) {
        self.denies.store(true, Ordering::SeqCst);
    }

    /// What was done to its buckets since this was called last.
    pub(crate) fn take_draws(&self) -> Vec<Draw> {
        std::mem::take(&mut self.drawn.lock().unwrap())
    }

    /// Holds back the answer of each operation that is begun from now on, until the gate has permits.
    pub(crate) fn hold_answers(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        *self.gate.lock().unwrap() = Some(gate.clone());
        gate
    }

    /// Answers at once again what is begun from now on.
    pub(crate) fn hold_no_more(&self) {
        *self.gate.lock().unwrap() = None;
    }

    /// How many operations are not done yet.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }

    pub(crate) fn go_away(&self, away: bool) {
        self.is_away.store(away, Ordering::SeqCst);
    }

    pub(crate) fn take_its_time(&self, milliseconds: u64) {
        self.delay.store(milliseconds, Ordering::SeqCst);
    }

    /// How many operations there were so far.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn ask<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let _under_way = UnderWay::new(&self.under_way);
        let gate = self.gate.lock().unwrap().clone();
        let delay = self.delay.load(Ordering::SeqCst);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        if self.is_away.load(Ordering::SeqCst) {
            return Err(away("it is away"));
        }
        let outcome = work.await;
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        match self.lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
        {
            Ok(_) => Err(away("the answer was lost")),
            Err(_) => outcome,
        }
    }

    /// Asks for what not every store can do.
    async fn ask_for<T>(
        &self,
        capability: Capability,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match self.capabilities.contains(&capability) {
            true => self.ask(work).await,
            false => Err(away(format!("it cannot {capability}"))),
        }
    }
}

/// Counts an operation until it ends in whatever way.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Store for Flaky {
    fn name(&self) -> String {
        "flaky".to_owned()
    }

    /// As few as Memcached has, unless it is told otherwise.
    fn capabilities(&self) -> &'static [Capability] {
        self.capabilities
    }

    async fn check(&self) -> Result<String, Error> {
        self.ask(self.memory.check()).await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, Error> {
        self.ask(self.memory.get(key)).await
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), Error> {
        self.ask(self.memory.set(key, value, ttl)).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        if self.refused.lock().unwrap().as_deref() == Some(key) {
            return Err(Error::forbidden("not this one"));
        }
        self.ask(self.memory.delete(key)).await
    }

    async fn exists(&self, key: &str) -> Result<bool, Error> {
        self.ask(self.memory.exists(key)).await
    }

    async fn compare_and_set(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: Bytes,
        ttl: Duration,
    ) -> Result<bool, Error> {
        let is_set = self.ask(self.memory.compare_and_set(key, expected, value, ttl)).await?;
        Ok(is_set && !self.denies.load(Ordering::SeqCst))
    }

    async fn draw(&self, key: &str, bucket: Bucket, draw: Draw) -> Result<Drawn, Error> {
        if !self.capabilities.contains(&Capability::Draw) {
            return by_comparing(self, key, bucket, draw).await;
        }
        self.ask(async {
            let drawn = self.memory.draw(key, bucket, draw).await?;
            self.drawn.lock().unwrap().push(draw);
            Ok(drawn)
        })
        .await
    }

    async fn scan(
        &self,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ScanPage, Error> {
        self.ask_for(Capability::Scan, self.memory.scan(prefix, cursor, limit)).await
    }

    async fn try_lock(&self, key: &str, hold: Duration) -> Result<Option<u64>, Error> {
        self.ask_for(Capability::Lock, self.memory.try_lock(key, hold)).await
    }

    async fn renew(&self, key: &str, token: u64, hold: Duration) -> Result<bool, Error> {
        self.ask_for(Capability::Lock, self.memory.renew(key, token, hold)).await
    }

    async fn unlock(&self, key: &str, token: u64) -> Result<bool, Error> {
        self.ask_for(Capability::Lock, self.memory.unlock(key, token)).await
    }
}
