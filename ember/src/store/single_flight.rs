//! Of those who want the same at the same time, one makes it and the others wait for what comes of it.

use super::claims::{Claim, Claims, Standing, Taken};
use super::jitter::jitter;
use crate::base::Clock;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How soon a process asks again what became of another one's work, at first and at last.
const POLL: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));

/// What is being made at the moment, each under its key. Clones are the same.
///
/// With [`Claims`] it is one in all processes that share them. Within a process only the first of those who
/// wait asks the store; the others wait for that one.
pub(crate) struct SingleFlight<T>(Arc<Mutex<Flights<T>>>);

struct Flights<T> {
    under_way: HashMap<String, UnderWay<T>>,
    next: u64,
}

/// Which flight it is, and where is told what becomes of it.
type UnderWay<T> = (u64, watch::Receiver<Told<T>>);

#[derive(Debug, Clone)]
enum Told<T> {
    /// Another process makes it.
    Elsewhere,
    /// It is made here.
    Here,
    Outcome(T),
    /// It is for one caller alone.
    Alone,
}

/// How somebody waits.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    pub(crate) clock: &'a Clock,
    /// How long somebody waits for another one, before it takes that one's place; and in all no longer than
    /// twice as long, however many do.
    pub(crate) patience: Duration,
    /// Where processes agree; without it each is by itself.
    pub(crate) claims: Option<&'a Claims>,
}

/// What is to be done.
pub(crate) enum Joined<T> {
    /// Nobody else makes it: this one does.
    First(Flight<T>),
    /// Another one has made it.
    Outcome(T),
    /// What another one has made is for nobody else, or was waited for long enough: each makes its own, and nobody
    /// waits.
    Alone,
}

/// Until when a request waits, counted from when it came.
struct Limits {
    /// Until when another process is waited for.
    elsewhere: Instant,
    /// Until when anybody is.
    all: Instant,
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Flights { under_way: HashMap::new(), next: 0 })))
    }
}

impl<T> Clone for SingleFlight<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Clone> SingleFlight<T> {
    /// Begins to make something, or waits for whoever does.
    ///
    /// `look` finds what was made meanwhile: it is asked once more before anything is made, and whenever
    /// another process is asked about. Of those who have waited for one flight for longer than their
    /// patience, the first takes its place, and the others wait for that one, with patience anew. Whoever
    /// has waited for twice its patience in all waits for nobody any more.
    pub(crate) async fn join<L>(
        &self,
        key: &str,
        waiting: &Waiting<'_>,
        look: impl Fn() -> L,
    ) -> Joined<T>
    where
        L: Future<Output = Option<T>>,
    {
        let limits = Limits {
            elsewhere: waiting.clock.after(waiting.patience),
            all: waiting.clock.after(waiting.patience.saturating_mul(2)),
        };
        let mut too_late = None;
        loop {
            let (number, told) = match self.take_off(key, too_late) {
                Ok(flight) => return flight.lead(waiting, &limits, look).await,
                Err(under_way) => under_way,
            };
            match follow(told, waiting, &limits).await {
                Followed::Outcome(outcome) => return Joined::Outcome(outcome),
                Followed::Alone => return Joined::Alone,
                Followed::TooLate => too_late = Some(number),
                Followed::Abandoned => {}
            }
        }
    }

    /// A flight; or the one under way, unless it is that for which nobody waits any longer.
    fn take_off(&self, key: &str, too_late: Option<u64>) -> Result<Flight<T>, UnderWay<T>> {
        let mut flights = self.lock();
        if let Some((number, told)) = flights.under_way.get(key)
            && too_late != Some(*number)
            // One that was abandoned cannot tell any more.
            && told.has_changed().is_ok()
        {
            return Err((*number, told.clone()));
        }
        let number = flights.next;
        flights.next += 1;
        let (tell, told) = watch::channel(Told::Elsewhere);
        flights.under_way.insert(key.to_owned(), (number, told));
        drop(flights);
        Ok(Flight { flights: self.clone(), key: key.to_owned(), number, tell, claim: None })
    }
}

impl<T> SingleFlight<T> {
    /// Tells whether nothing is made.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().under_way.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Flights<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of a flight that somebody waited for.
enum Followed<T> {
    Outcome(T),
    Alone,
    TooLate,
    Abandoned,
}

async fn follow<T: Clone>(
    mut told: watch::Receiver<Told<T>>,
    waiting: &Waiting<'_>,
    limits: &Limits,
) -> Followed<T> {
    let Waiting { clock, patience, .. } = waiting;
    loop {
        let left = limits.all.saturating_duration_since(clock.now());
        let patience = match &*told.borrow_and_update() {
            Told::Outcome(outcome) => return Followed::Outcome(outcome.clone()),
            Told::Alone => return Followed::Alone,
            Told::Here => left.min(*patience),
            // Whoever waits for the other process does so for no longer than its own patience.
            Told::Elsewhere => left,
        };
        tokio::select! {
            // What is told in the last moment is not made again.
            biased;
            changed = told.changed() => if changed.is_err() {
                return Followed::Abandoned;
            },
            () = clock.sleep(patience) => {
                let is_over = clock.now() >= limits.all;
                return if is_over { Followed::Alone } else { Followed::TooLate };
            }
        }
    }
}

/// The turn to make something. Dropped without an outcome, it leaves the turn to another, of this process or
/// of another one.
pub(crate) struct Flight<T> {
    flights: SingleFlight<T>,
    key: String,
    number: u64,
    tell: watch::Sender<Told<T>>,
    claim: Option<Claim>,
}

impl<T> Flight<T> {
    /// The key of what is made.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Tells the others in this process what came of it. Those in other processes look for it themselves,
    /// once the flight is dropped.
    pub(crate) fn land(&self, outcome: T) {
        self.tell.send_replace(Told::Outcome(outcome));
    }

    /// Tells all others that what came of it is for nobody else, so that each makes its own at once.
    pub(crate) fn alone(mut self) {
        self.tell.send_replace(Told::Alone);
        self.alone_elsewhere();
    }

    /// As [`Flight::alone`], for those in other processes only.
    pub(crate) fn alone_elsewhere(&mut self) {
        if let Some(claim) = self.claim.take() {
            claim.alone();
        }
    }
}

impl<T: Clone> Flight<T> {
    /// Waits until no other process makes it.
    async fn lead<L>(
        mut self,
        waiting: &Waiting<'_>,
        limits: &Limits,
        look: impl Fn() -> L,
    ) -> Joined<T>
    where
        L: Future<Output = Option<T>>,
    {
        if let Some(claims) = waiting.claims {
            match self.claim(claims, waiting.clock, limits, &look).await {
                Claiming::Ours => {}
                // The last look is too short a while ago for another one.
                Claiming::Unclaimed => {
                    self.tell.send_replace(Told::Here);
                    return Joined::First(self);
                }
                Claiming::Outcome(outcome) => {
                    self.land(outcome.clone());
                    return Joined::Outcome(outcome);
                }
                Claiming::Alone => {
                    self.tell.send_replace(Told::Alone);
                    return Joined::Alone;
                }
            }
        }
        // Those who wait begin to count anew.
        self.tell.send_replace(Told::Here);
        // Somebody may have been done since this one has looked.
        match look().await {
            Some(outcome) => {
                self.land(outcome.clone());
                Joined::Outcome(outcome)
            }
            None => Joined::First(self),
        }
    }

    /// Claims the key, or waits for whoever has.
    async fn claim<L>(
        &mut self,
        claims: &Claims,
        clock: &Clock,
        limits: &Limits,
        look: &impl Fn() -> L,
    ) -> Claiming<T>
    where
        L: Future<Output = Option<T>>,
    {
        let (mut pause, longest) = POLL;
        let mut standing = Standing::Free(None);
        loop {
            if let Standing::Free(free) = standing {
                match claims.take(&self.key, free, clock).await {
                    Taken::Ours(claim) => {
                        self.claim = Some(claim);
                        return Claiming::Ours;
                    }
                    Taken::Theirs => {}
                    Taken::Unknown => return Claiming::Unclaimed,
                }
            }
            let found;
            (found, standing) = tokio::join!(look(), claims.look(&self.key));
            if let Some(outcome) = found {
                return Claiming::Outcome(outcome);
            }
            match standing {
                Standing::Held | Standing::Free(_) => {}
                Standing::Alone => return Claiming::Alone,
                Standing::Unknown => return Claiming::Unclaimed,
            }
            let left = limits.elsewhere.saturating_duration_since(clock.now());
            if left.is_zero() {
                return Claiming::Unclaimed;
            }
            if matches!(standing, Standing::Held) {
                clock.sleep((pause + jitter(pause)).min(left)).await;
                pause = (pause * 2).min(longest);
            }
        }
    }
}

/// What came of claiming a key.
enum Claiming<T> {
    Ours,
    /// The store is away, or patience has ended.
    Unclaimed,
    Outcome(T),
    Alone,
}

impl<T> Drop for Flight<T> {
    fn drop(&mut self) {
        // Before the sender goes, so that nobody joins a flight that will never land.
        let mut flights = self.flights.lock();
        if flights.under_way.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            flights.under_way.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::boxed::BoxStore;
    use super::super::flaky::Flaky;
    use super::super::memory::MemoryStore;
    use super::*;
    use crate::base::clock::{ManualClock, millis, secs};
    use futures_util::FutureExt as _;
    use futures_util::future::join_all;

    /// Some processes on one store.
    struct Processes {
        hands: ManualClock,
        store: Flaky,
        claims: Claims,
    }

    impl Processes {
        fn new() -> Self {
            let hands = ManualClock::new();
            let store = Flaky::new(MemoryStore::new().clock(hands.clock()));
            let claims = Claims::new(store.clone(), "claim:");
            Self { hands, store, claims }
        }

        /// Joins in a process what is looked for under `answer` in the store.
        async fn join(&self, process: &SingleFlight<String>) -> Joined<String> {
            let clock = self.hands.clock();
            let waiting = Waiting { clock: &clock, patience: secs(30), claims: Some(&self.claims) };
            let look = || async {
                let answer = BoxStore::new(self.store.clone()).get("answer").await.ok()??;
                Some(String::from_utf8_lossy(&answer).into_owned())
            };
            process.join("key", &waiting, look).await
        }

        async fn first(&self, process: &SingleFlight<String>) -> Flight<String> {
            match self.join(process).await {
                Joined::First(flight) => flight,
                _ => panic!("somebody else makes it"),
            }
        }

        async fn keep(&self, answer: &'static str) {
            BoxStore::new(self.store.clone()).set("answer", answer, Duration::MAX).await.unwrap();
        }

        /// Lets time pass while somebody waits.
        async fn pass<T>(&self, work: impl Future<Output = T>) -> (T, Duration) {
            let (clock, mut work) = (self.hands.clock(), Box::pin(work));
            let begun = clock.now();
            for _ in 0..100_000 {
                if let Some(outcome) = work.as_mut().now_or_never() {
                    return (outcome, clock.now() - begun);
                }
                tokio::task::yield_now().await;
                self.hands.advance(millis(5));
            }
            panic!("it never ended");
        }
    }

    #[tokio::test]
    async fn one_of_all_processes_makes_it_and_the_others_find_it() {
        let all = Processes::new();
        let (here, there) = (SingleFlight::default(), SingleFlight::default());
        let flight = all.first(&here).await;
        let mut others = Box::pin(join_all((0..100).map(|_| all.join(&there))));
        assert!(others.as_mut().now_or_never().is_none());
        let asked = all.store.asked();
        // Longer than a claim is held without being renewed.
        for _ in 0..2_000 {
            all.hands.advance(millis(10));
            tokio::task::yield_now().await;
            assert!(others.as_mut().now_or_never().is_none());
        }
        let asked = all.store.asked() - asked;
        assert!(asked < 400, "one of a hundred asks, now and then: {asked}");
        all.keep("made once").await;
        flight.land("made once".to_owned());
        drop(flight);
        let (others, _) = all.pass(others).await;
        let made = |joined| matches!(joined, Joined::Outcome(answer) if answer == "made once");
        assert!(others.into_iter().all(made));
        assert!(here.is_empty() && there.is_empty());
    }

    #[tokio::test]
    async fn who_gives_up_or_makes_it_for_itself_frees_the_others() {
        for alone in [false, true] {
            let all = Processes::new();
            let (here, there) = (SingleFlight::default(), SingleFlight::default());
            let flight = all.first(&here).await;
            let mut others = Box::pin(join_all((0..3).map(|_| all.join(&there))));
            assert!(others.as_mut().now_or_never().is_none());
            if alone {
                flight.alone();
                let (others, took) = all.pass(others).await;
                assert!(others.iter().all(|joined| matches!(joined, Joined::Alone)));
                assert!(took < secs(1), "{took:?}");
                // And it is forgotten soon.
                all.hands.advance(secs(1));
                all.first(&there).await;
            } else {
                drop(flight);
                let firsts = async {
                    let next = all.join(&there).await;
                    assert!(matches!(next, Joined::First(_)), "the turn is left to another");
                };
                drop(others);
                let (_, took) = all.pass(firsts).await;
                assert!(took < secs(1), "{took:?}");
            }
            assert!(here.is_empty() && there.is_empty());
        }
    }

    #[tokio::test]
    async fn the_claim_of_a_process_that_died_expires() {
        let all = Processes::new();
        let store = BoxStore::new(all.store.clone());
        // As a process leaves it that was killed.
        store.compare_and_set("claim:key", None, "somebody", secs(5)).await.unwrap();
        let here = SingleFlight::default();
        let (joined, took) = all.pass(all.join(&here)).await;
        assert!(matches!(joined, Joined::First(_)));
        assert!(took >= secs(4) && took < secs(7), "{took:?}");
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_patience_and_no_two_of_a_process_end_it() {
        let all = Processes::new();
        let store = BoxStore::new(all.store.clone());
        store.compare_and_set("claim:key", None, "somebody", Duration::MAX).await.unwrap();
        let here = SingleFlight::default();
        let makes = || async {
            match all.join(&here).await {
                Joined::First(flight) => {
                    // It takes its time, and the others wait for it and not for the claim.
                    all.hands.clock().sleep(secs(20)).await;
                    flight.land("made".to_owned());
                    1
                }
                Joined::Outcome(answer) => {
                    assert_eq!(answer, "made");
                    0
                }
                Joined::Alone => panic!("it is for all"),
            }
        };
        let (made, took) = all.pass(join_all((0..20).map(|_| makes()))).await;
        assert_eq!(made.into_iter().sum::<u32>(), 1);
        assert!(took >= secs(49) && took < secs(55), "{took:?}");
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_twice_its_patience_however_many_stall() {
        for shared in [false, true] {
            let (all, here) = (Processes::new(), SingleFlight::default());
            let clock = all.hands.clock();
            let begun = clock.now();
            let claims = shared.then_some(&all.claims);
            let waiting = Waiting { clock: &clock, patience: secs(30), claims };
            let join = || async {
                let joined = here.join("key", &waiting, || async { None::<String> }).await;
                let took = clock.now() - begun;
                // It never comes to an end.
                clock.sleep(secs(100)).await;
                drop(joined);
                took
            };
            let (took, _) = all.pass(join_all((0..6).map(|_| join()))).await;
            assert!(took.iter().all(|took| *took <= secs(61)), "{shared} {took:?}");
            let late = took.iter().filter(|took| **took > secs(20)).count();
            assert_eq!(late, 5, "one goes first, and then another one: {took:?}");
            assert_eq!(took.iter().filter(|took| **took > secs(50)).count(), 4, "{took:?}");
        }
    }

    #[tokio::test]
    async fn without_the_store_each_process_is_by_itself() {
        let all = Processes::new();
        let (here, there) = (SingleFlight::default(), SingleFlight::default());
        all.store.go_away(true);
        let flights = [all.first(&here).await, all.first(&there).await];
        let mut other = Box::pin(all.join(&here));
        assert!(other.as_mut().now_or_never().is_none(), "within a process it is still one");
        all.store.go_away(false);
        drop(flights);
        assert!(matches!(other.await, Joined::First(_)));
        // It goes away while somebody waits.
        let all = Processes::new();
        let _flight = all.first(&here).await;
        let mut other = Box::pin(all.join(&there));
        assert!(other.as_mut().now_or_never().is_none());
        all.store.go_away(true);
        let (joined, took) = all.pass(other).await;
        assert!(matches!(joined, Joined::First(_)) && took < secs(1), "{took:?}");
    }

    #[tokio::test]
    async fn a_panic_of_the_first_leaves_the_turn_to_another() {
        let all = Arc::new(Processes::new());
        let (here, there) = (SingleFlight::default(), SingleFlight::default());
        let panicking = {
            let (all, here) = (all.clone(), here.clone());
            tokio::spawn(async move {
                let _flight = all.first(&here).await;
                panic!("the handler fails");
            })
        };
        assert!(panicking.await.is_err());
        let (joined, _) = all.pass(all.join(&there)).await;
        assert!(matches!(joined, Joined::First(_)));
        assert!(here.is_empty());
    }
}
