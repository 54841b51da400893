//! Of equal questions at the same time, one is asked and the others wait for what comes of it.

use crate::base::Clock;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// Who is asked at the moment, each under the key of the question.
pub(super) struct SingleFlight<T>(Arc<Mutex<Asked<T>>>);

struct Asked<T> {
    /// Which flight it is, and where its outcome will be told.
    flights: HashMap<String, (u64, watch::Receiver<Option<T>>)>,
    next: u64,
}

/// What became of asking.
pub(super) enum Joined<T> {
    /// Nobody else asks: this one does.
    First(Flight<T>),
    /// Another one has asked, and this came of it.
    Outcome(T),
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Asked { flights: HashMap::new(), next: 0 })))
    }
}

impl<T> Clone for SingleFlight<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Clone> SingleFlight<T> {
    /// Asks, or waits for whoever does, until a moment at most.
    ///
    /// Whoever is first should look once more for an answer: one may have come in between.
    pub(super) async fn join(&self, key: &str, clock: &Clock, until: Instant) -> Joined<T> {
        loop {
            let mut outcome = match self.take_off(key, clock.now() >= until) {
                Ok(flight) => return Joined::First(flight),
                Err(outcome) => outcome,
            };
            let left = until.saturating_duration_since(clock.now());
            let told = outcome.wait_for(Option::is_some);
            let told = tokio::select! {
                told = told => told,
                () = clock.sleep(left) => continue,
            };
            // An error here is a flight that was abandoned.
            if let Some(outcome) = told.ok().and_then(|outcome| outcome.clone()) {
                return Joined::Outcome(outcome);
            }
        }
    }

    /// A flight; or where to wait for the one under way, as long as there is patience.
    fn take_off(
        &self,
        key: &str,
        impatient: bool,
    ) -> Result<Flight<T>, watch::Receiver<Option<T>>> {
        let mut asked = self.lock();
        let number = asked.next;
        asked.next += 1;
        let (tell, outcome) = watch::channel(None);
        match asked.flights.entry(key.to_owned()) {
            // One that was abandoned cannot tell any more.
            Entry::Occupied(flight) if !impatient && flight.get().1.has_changed().is_ok() => {
                return Err(flight.get().1.clone());
            }
            Entry::Occupied(mut flight) => *flight.get_mut() = (number, outcome),
            Entry::Vacant(place) => {
                place.insert((number, outcome));
            }
        }
        drop(asked);
        Ok(Flight { flights: self.clone(), key: key.to_owned(), number, tell })
    }
}

impl<T> SingleFlight<T> {
    /// Tells whether nobody is asked.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().flights.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Asked<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn to ask. Dropped without an outcome, it leaves the turn to another.
pub(super) struct Flight<T> {
    flights: SingleFlight<T>,
    key: String,
    number: u64,
    tell: watch::Sender<Option<T>>,
}

impl<T> Flight<T> {
    /// The key of the question.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Tells the others what came of it.
    pub(super) fn land(&self, outcome: T) {
        self.tell.send_replace(Some(outcome));
    }
}

impl<T> Drop for Flight<T> {
    fn drop(&mut self) {
        let mut asked = self.flights.lock();
        if asked.flights.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            asked.flights.remove(&self.key);
        }
    }
}
