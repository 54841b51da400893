use super::boxed::BoxStore;
use super::lenient::LenientStore;
use crate::base::{Clock, random_id, task};
use bytes::Bytes;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// What stands in place of a claim when what was made is for nobody else. No token is like it.
const ALONE: &[u8] = b"alone";

/// What stands in place of a claim that was given back, for no longer than the store can measure. It is put
/// there instead of deleting the key, because that can be done only if the claim is still ours.
const FREE: &[u8] = b"free";

/// How long [`ALONE`] stands there: long enough for those who wait to see it. Memcached knows no shorter time.
const ALONE_FOR: Duration = Duration::from_secs(1);

/// Where several processes agree on which of them makes what all of them want.
///
/// Whoever makes something puts a claim into the store, which the others see. It is held for a short time
/// and renewed while the work goes on, so that a process that dies holds nobody up for longer. Any store
/// can do it, Memcached too: a claim is a value that is only put where there is none.
///
/// When the store is away nobody has a claim, and everybody makes what it wants.
#[derive(Debug, Clone)]
pub struct Claims {
    store: LenientStore,
    prefix: String,
    hold: Duration,
}

impl Claims {
    /// How long a process that has died holds up the others, unless it is told otherwise: 5 s.
    pub const DEFAULT_HOLD: Duration = Duration::from_secs(5);

    /// Claims in a store, under keys that begin like this.
    pub fn new(store: impl Into<BoxStore>, prefix: impl Into<String>) -> Self {
        Self::lenient(LenientStore::new(store.into()), prefix.into())
    }

    /// Claims in a store whose coming and going somebody else notices as well.
    pub(crate) fn lenient(store: LenientStore, prefix: String) -> Self {
        Self { store, prefix, hold: Self::DEFAULT_HOLD }
    }

    /// Sets how long a claim is held before it must be renewed.
    #[must_use]
    pub fn hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    /// Claims a key where this stands, which is nothing or what [`Standing::Free`] says.
    ///
    /// # Cancel safety
    /// A claim that is made when nobody waits for it any more is given back.
    pub(super) async fn take(&self, key: &str, free: Option<Bytes>, clock: &Clock) -> Taken {
        // Whoever comes here has just looked for an answer, and so has noticed.
        if self.store.is_away() {
            return Taken::Unknown;
        }
        let Ok(token) = random_id() else { return Taken::Unknown };
        let (key, token, clock) = (self.key(key), Bytes::from(token), clock.clone());
        // Counted from before the store begins to, so that it never ends later there than here.
        let until = clock.after(self.hold);
        let (release, released) = oneshot::channel();
        let claim = Claim { release: Some(release) };
        let held = Held { claims: self.clone(), key, token, until, clock };
        let Ok(runtime) = Handle::try_current() else {
            // Nobody renews it, and it ends by itself.
            return held.begin(free, claim).await;
        };
        let (tell, told) = oneshot::channel();
        task::spawn(&runtime, async move {
            let taken = held.begin(free, claim).await;
            let is_ours = matches!(taken, Taken::Ours(_));
            // Whoever asked may be gone: the claim is dropped with what it would have been told.
            let _ = tell.send(taken);
            if is_ours {
                held.keep(released).await;
            }
        });
        told.await.unwrap_or(Taken::Unknown)
    }

    /// Tells what became of somebody's claim.
    pub(super) async fn look(&self, key: &str) -> Standing {
        match self.store.get(&self.key(key)).await {
            Some(Some(value)) if value == ALONE => Standing::Alone,
            Some(Some(value)) if value == FREE => Standing::Free(Some(value)),
            Some(Some(_)) => Standing::Held,
            Some(None) => Standing::Free(None),
            None => Standing::Unknown,
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

/// Whose a key is.
pub(super) enum Taken {
    Ours(Claim),
    Theirs,
    /// The store is away.
    Unknown,
}

/// What became of somebody's claim.
pub(super) enum Standing {
    Held,
    /// Nobody's; with what stands in its place.
    Free(Option<Bytes>),
    /// What was made was for one caller alone.
    Alone,
    /// The store is away.
    Unknown,
}

/// The claim of this process. Dropped, it is given back.
pub(super) struct Claim {
    release: Option<oneshot::Sender<()>>,
}

impl Claim {
    /// Gives the claim back, and tells those who wait that there will be nothing for them.
    pub(super) fn alone(mut self) {
        if let Some(release) = self.release.take() {
            // Nobody listens where the claim has ended.
            let _ = release.send(());
        }
    }
}

/// A claim as the task has it that keeps it.
struct Held {
    claims: Claims,
    key: String,
    token: Bytes,
    until: std::time::Instant,
    clock: Clock,
}

impl Held {
    /// Puts the claim where this stands.
    async fn begin(&self, free: Option<Bytes>, claim: Claim) -> Taken {
        let Claims { store, hold, .. } = &self.claims;
        match store.compare_and_set(&self.key, free, self.token.clone(), *hold).await {
            Some(true) => Taken::Ours(claim),
            Some(false) => Taken::Theirs,
            None => Taken::Unknown,
        }
    }

    /// Renews the claim until it is given back.
    async fn keep(mut self, mut released: oneshot::Receiver<()>) {
        let Claims { store, hold, .. } = self.claims;
        let ours = || Some(self.token.clone());
        let is_alone = loop {
            tokio::select! {
                released = &mut released => break released.is_ok(),
                () = self.clock.sleep(hold / 3) => {}
            }
            let until = self.clock.after(hold);
            match store.compare_and_set(&self.key, ours(), self.token.clone(), hold).await {
                Some(true) => self.until = until,
                // Somebody else has it by now.
                Some(false) => return,
                None => {}
            }
        };
        if is_alone {
            store.compare_and_set(&self.key, ours(), ALONE.into(), ALONE_FOR).await;
        } else if self.clock.now() < self.until {
            store.compare_and_set(&self.key, ours(), FREE.into(), Duration::ZERO).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::flaky::Flaky;
    use super::super::memory::MemoryStore;
    use super::*;
    use futures_util::FutureExt as _;

    async fn settle() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_claim_that_nobody_waits_for_any_more_is_given_back() {
        let (flaky, clock) = (Flaky::new(MemoryStore::new()), Clock::system());
        let claims = Claims::new(flaky.clone(), "claim:");
        let gate = flaky.hold_answers();
        let mut taking = Box::pin(claims.take("key", None, &clock));
        assert!(taking.as_mut().now_or_never().is_none());
        settle().await;
        assert_eq!(flaky.under_way(), 1);
        // The store has put the claim there, and has not said so yet.
        drop(taking);
        flaky.hold_no_more();
        gate.add_permits(1);
        settle().await;
        assert!(matches!(claims.look("key").await, Standing::Free(_)));
        assert!(matches!(claims.take("key", None, &clock).await, Taken::Ours(_)));
    }

    #[tokio::test]
    async fn the_claim_of_another_is_not_given_back() {
        let (store, clock) = (BoxStore::new(MemoryStore::new()), Clock::system());
        let claims = Claims::new(store.clone(), "claim:");
        let Taken::Ours(claim) = claims.take("key", None, &clock).await else { panic!() };
        // The store has forgotten it, and another process was faster.
        store.set("claim:key", "another", Duration::MAX).await.unwrap();
        drop(claim);
        settle().await;
        assert!(matches!(claims.look("key").await, Standing::Held));
    }

    #[tokio::test]
    async fn what_stands_for_a_free_one_is_replaced() {
        let (store, clock) = (BoxStore::new(MemoryStore::new()), Clock::system());
        let claims = Claims::new(store.clone(), "claim:");
        // A store that measures seconds has it for so long.
        store.set("claim:key", FREE, Duration::MAX).await.unwrap();
        let Standing::Free(free) = claims.look("key").await else { panic!() };
        assert!(matches!(claims.take("key", None, &clock).await, Taken::Theirs));
        assert!(matches!(claims.take("key", free, &clock).await, Taken::Ours(_)));
        assert!(matches!(claims.look("key").await, Standing::Held));
    }
}
