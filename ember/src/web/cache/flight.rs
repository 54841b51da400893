use super::kept::CachedResponse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The answers that are being made: whoever wants one of them waits, instead of making it again.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<String, watch::Receiver<Landing>>>>);

/// What became of an answer.
#[derive(Debug, Clone)]
pub(super) enum Landing {
    UnderWay,
    Kept(CachedResponse),
    /// There was an answer, which is for one caller only.
    NotKept,
}

/// Who makes an answer, and who waits for it.
pub(super) enum Role {
    Leader(Flight),
    Follower(watch::Receiver<Landing>),
}

impl Flights {
    /// Joins whoever makes the answer of a key, or begins to make it.
    pub(super) fn join(&self, key: &str) -> Role {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match flights.entry(key.to_owned()) {
            Entry::Occupied(flight) => Role::Follower(flight.get().clone()),
            Entry::Vacant(place) => {
                let (landing, watched) = watch::channel(Landing::UnderWay);
                place.insert(watched);
                Role::Leader(Flight { flights: self.clone(), key: key.to_owned(), landing })
            }
        }
    }
}

/// An answer that is being made. Dropping it frees whoever waits: one of them makes it then.
pub(super) struct Flight {
    flights: Flights,
    key: String,
    landing: watch::Sender<Landing>,
}

impl Flight {
    /// Tells whoever waits what became of it.
    pub(super) fn land(self, landing: Landing) {
        self.landing.send_replace(landing);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // Before the sender goes, so that nobody joins a flight that will never land.
        self.flights.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
