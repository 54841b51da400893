//! Of equal questions at the same time, one is asked and the others wait for what comes of it.

use crate::base::Clock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Who is asked at the moment, each under the key of the question.
pub(super) struct SingleFlight<T>(Arc<Mutex<Asked<T>>>);

struct Asked<T> {
    flights: HashMap<String, UnderWay<T>>,
    next: u64,
}

/// Which flight it is, and where its outcome will be told.
type UnderWay<T> = (u64, watch::Receiver<Option<T>>);

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
    /// Asks, or waits for whoever does.
    ///
    /// Of those who have waited for one flight for longer than their patience, the first takes its
    /// place, and the others wait for that one, with patience anew.
    ///
    /// Whoever is first should look once more for an answer: one may have come in between.
    pub(super) async fn join(&self, key: &str, clock: &Clock, patience: Duration) -> Joined<T> {
        let mut too_late = None;
        loop {
            let (number, mut outcome) = match self.take_off(key, too_late) {
                Ok(flight) => return Joined::First(flight),
                Err(under_way) => under_way,
            };
            let told = outcome.wait_for(Option::is_some);
            let told = tokio::select! {
                // What is told in the last moment is not asked for again.
                biased;
                told = told => told,
                () = clock.sleep(patience) => {
                    too_late = Some(number);
                    continue;
                }
            };
            // An error here is a flight that was abandoned.
            if let Some(outcome) = told.ok().and_then(|outcome| outcome.clone()) {
                return Joined::Outcome(outcome);
            }
        }
    }

    /// A flight; or the one under way, unless it is that for which nobody waits any longer.
    fn take_off(&self, key: &str, too_late: Option<u64>) -> Result<Flight<T>, UnderWay<T>> {
        let mut asked = self.lock();
        if let Some((number, outcome)) = asked.flights.get(key)
            && too_late != Some(*number)
            // One that was abandoned cannot tell any more.
            && outcome.has_changed().is_ok()
        {
            return Err((*number, outcome.clone()));
        }
        let number = asked.next;
        asked.next += 1;
        let (tell, outcome) = watch::channel(None);
        asked.flights.insert(key.to_owned(), (number, outcome));
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
