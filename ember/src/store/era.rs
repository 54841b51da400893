use super::lenient::LenientStore;
use crate::base::random_id;
use std::time::Duration;

/// A value in a store that is another one whenever something was forgotten, so that whoever began before
/// that can tell.
///
/// It is random and never counted on: where a store has lost it, another one begins, and is like none that
/// was before.
#[derive(Debug, Clone)]
pub(crate) struct Era {
    store: LenientStore,
    key: String,
    ttl: Duration,
}

impl Era {
    /// One that lasts until another begins.
    pub(crate) fn new(store: LenientStore, key: String) -> Self {
        Self { store, key, ttl: Duration::MAX }
    }

    /// Sets after which time nobody can have begun before the last one any more.
    pub(crate) fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Where it stands.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The present one; where there is none, one begins.
    pub(crate) async fn get(&self) -> Option<String> {
        match self.store.get(&self.key).await? {
            Some(era) => Some(String::from_utf8_lossy(&era).into_owned()),
            None => self.begin_first().await,
        }
    }

    /// Begins one where there is none. If somebody else was first, that one's counts.
    pub(crate) async fn begin_first(&self) -> Option<String> {
        let fresh = random_id().ok()?;
        let value = fresh.clone().into();
        if self.store.compare_and_set(&self.key, None, value, self.ttl).await? {
            return Some(fresh);
        }
        let theirs = self.store.get(&self.key).await??;
        Some(String::from_utf8_lossy(&theirs).into_owned())
    }

    /// Ends the present one, and begins another.
    pub(crate) async fn begin(&self) -> Option<()> {
        self.tell(random_id().ok()?).await
    }

    /// As [`Era::begin`], with one that was chosen before.
    pub(crate) async fn tell(&self, era: String) -> Option<()> {
        self.store.set(&self.key, era.into(), self.ttl).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryStore;
    use super::*;

    #[tokio::test]
    async fn one_that_was_lost_does_not_come_back() {
        let store = LenientStore::new(MemoryStore::new().into());
        let era = Era::new(store.clone(), "era".to_owned());
        let first = era.get().await.unwrap();
        assert_eq!(era.clone().get().await.as_ref(), Some(&first));
        assert_eq!(era.begin_first().await.as_ref(), Some(&first), "another one was first");
        era.begin().await.unwrap();
        let second = era.get().await.unwrap();
        store.delete(era.key()).await.unwrap();
        let third = era.get().await.unwrap();
        assert!(first != second && second != third && third != first);
    }
}
