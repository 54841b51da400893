use super::boxed::BoxStore;
use super::lenient::LenientStore;
use crate::base::{Clock, random_id};
use bytes::Bytes;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// What stands in place of a claim when what was made is for nobody else. No token is like it.
const ALONE: &[u8] = b"alone";

/// How long it stands there: long enough for those who wait to see it. Memcached knows no shorter time.
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

    /// Claims a key, if nobody has.
    pub(super) async fn take(&self, key: &str, clock: &Clock) -> Taken {
        // Whoever comes here has just looked for an answer, and so has noticed.
        if self.store.is_away() {
            return Taken::Unknown;
        }
        let Ok(token) = random_id() else { return Taken::Unknown };
        let (key, token) = (self.key(key), Bytes::from(token));
        // Counted from before the store begins to, so that it never ends later there than here.
        let until = clock.after(self.hold);
        let taken = self.store.compare_and_set(&key, None, token.clone(), self.hold);
        match taken.await {
            Some(true) => {}
            Some(false) => return Taken::Theirs,
            None => return Taken::Unknown,
        }
        let (release, released) = oneshot::channel();
        // Without a runtime nobody renews it, and it ends by itself.
        if let Ok(runtime) = Handle::try_current() {
            let clock = clock.clone();
            let held = Held { claims: self.clone(), key, token, until, clock };
            runtime.spawn(held.keep(released));
        }
        Taken::Ours(Claim { release: Some(release) })
    }

    /// Tells what became of somebody's claim.
    pub(super) async fn look(&self, key: &str) -> Standing {
        match self.store.get(&self.key(key)).await {
            Some(Some(value)) if value == ALONE => Standing::Alone,
            Some(Some(_)) => Standing::Held,
            Some(None) => Standing::Free,
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
    Free,
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
            store.compare_and_set(&self.key, ours(), ALONE, ALONE_FOR).await;
        } else if self.clock.now() < self.until {
            // Later it could be somebody else's.
            store.delete(&self.key).await;
        }
    }
}
