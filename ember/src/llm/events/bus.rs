use super::Lists;
use futures_util::FutureExt as _;
use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::timeout;

/// One of the moments.
pub trait LifecycleEvent: Sealed + fmt::Debug + Send + Sync + Sized + 'static {
    /// What it is called: `request.start`.
    const NAME: &'static str;
}

/// Keeps the moments to those.
pub trait Sealed {
    /// Who listens to it.
    #[doc(hidden)]
    fn list(lists: &Lists) -> &List;
}

/// Whom to tell what happens. Clones are the same bus, so several clients can share one.
///
/// ```
/// use ember::llm::events::{EventBus, RequestComplete};
/// use ember::llm::{Client, FakeProvider};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ember::llm::Error> {
/// let bus = EventBus::new();
/// let listening = bus.on(|event: &RequestComplete| {
///     println!("{:?}: {:?}", event.request.model, event.duration);
/// });
/// let client = Client::builder().provider(FakeProvider::new()).events(bus.clone()).build()?;
/// client.ask("Hi").await?;
/// assert!(bus.off(listening));
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct EventBus(Arc<Lists>);

/// A subscriber, to be taken off the bus again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a subscriber that is to be taken off again is told by this"]
pub struct Subscription(u64);

/// How a subscriber ends: with nothing, or with an error for the log.
pub trait Outcome {
    /// The error, if there is one.
    fn into_error(self) -> Option<String>;
}

impl Outcome for () {
    fn into_error(self) -> Option<String> {
        None
    }
}

impl<E: fmt::Display> Outcome for Result<(), E> {
    fn into_error(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

impl EventBus {
    /// How long an async subscriber may take before it is left behind: 5 s.
    pub const PATIENCE: Duration = Duration::from_secs(5);

    /// A bus that nobody listens to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls a function at every event of its argument's type. It must not block.
    pub fn on<E: LifecycleEvent, O: Outcome>(
        &self,
        subscriber: impl Fn(&E) -> O + Send + Sync + 'static,
    ) -> Subscription {
        let call = move |event: &(dyn Any + Send + Sync)| {
            event.downcast_ref().and_then(|event: &E| subscriber(event).into_error())
        };
        self.add::<E>(Subscriber::Plain(Arc::new(call)))
    }

    /// Calls an async function at every event of its argument's type, and awaits it, for at most
    /// [`EventBus::PATIENCE`].
    pub fn on_async<E: LifecycleEvent, Fut>(
        &self,
        subscriber: impl Fn(Arc<E>) -> Fut + Send + Sync + 'static,
    ) -> Subscription
    where
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        let call = move |event: Event| -> Waiting {
            let work = event.downcast().ok().map(&subscriber);
            Box::pin(async move { work?.await.into_error() })
        };
        self.add::<E>(Subscriber::Async(Arc::new(call)))
    }

    /// Takes a subscriber off the bus; tells whether it was on it.
    pub fn off(&self, subscription: Subscription) -> bool {
        self.0.remove(subscription.0)
    }

    /// Tells whether anybody listens to a moment.
    pub fn has<E: LifecycleEvent>(&self) -> bool {
        !E::list(&self.0).is_empty()
    }

    fn add<E: LifecycleEvent>(&self, subscriber: Subscriber) -> Subscription {
        let id = self.0.next_id();
        E::list(&self.0).add(id, subscriber);
        Subscription(id)
    }

    /// Tells everybody who listens, one after another. Nothing is made if nobody does.
    pub(crate) async fn emit<E: LifecycleEvent>(&self, make: impl FnOnce() -> E) {
        let list = E::list(&self.0);
        if list.is_empty() {
            return;
        }
        list.tell(E::NAME, Arc::new(make())).await;
    }
}

impl fmt::Debug for EventBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBus").field("subscribers", &self.0.len()).finish()
    }
}

/// The subscribers of one moment, each of which knows the type of its event.
#[doc(hidden)]
#[derive(Default)]
pub struct List(RwLock<Option<Subscribers>>);

/// A list that is replaced, and never changed: whoever is told is told from the list of that moment.
type Subscribers = Arc<Vec<(u64, Subscriber)>>;

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("List").field(&self.len()).finish()
    }
}

impl List {
    pub(super) fn len(&self) -> usize {
        self.snapshot().len()
    }

    fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    async fn tell(&self, name: &str, event: Event) {
        for (_, subscriber) in self.snapshot().iter() {
            subscriber.call(name, &event).await;
        }
    }

    fn snapshot(&self) -> Subscribers {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }

    fn add(&self, id: u64, subscriber: Subscriber) {
        let mut list = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut entries = list.as_ref().map(|list| Vec::clone(list)).unwrap_or_default();
        entries.push((id, subscriber));
        *list = Some(Arc::new(entries));
    }

    pub(super) fn remove(&self, id: u64) -> bool {
        let mut list = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Some(entries) = &*list else { return false };
        let mut left = Vec::clone(entries);
        left.retain(|(known, _)| *known != id);
        let removed = left.len() < entries.len();
        *list = (!left.is_empty()).then(|| Arc::new(left));
        removed
    }
}

/// A moment of some type.
type Event = Arc<dyn Any + Send + Sync>;

type Waiting = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// A function that ends in an error for the log, or in none.
trait Call: Fn(&(dyn Any + Send + Sync)) -> Option<String> + Send + Sync {}

impl<F: Fn(&(dyn Any + Send + Sync)) -> Option<String> + Send + Sync> Call for F {}

#[derive(Clone)]
enum Subscriber {
    Plain(Arc<dyn Call>),
    Async(Arc<dyn Fn(Event) -> Waiting + Send + Sync>),
}

impl Subscriber {
    /// Calls it, and logs whatever goes wrong with it.
    async fn call(&self, name: &str, event: &Event) {
        let outcome = match self {
            Self::Plain(call) => catch_unwind(AssertUnwindSafe(|| call(&**event))),
            // The function may panic before there is a future.
            Self::Async(call) => match catch_unwind(AssertUnwindSafe(|| call(event.clone()))) {
                Ok(work) => {
                    match timeout(EventBus::PATIENCE, AssertUnwindSafe(work).catch_unwind()).await {
                        Ok(outcome) => outcome,
                        Err(_) => Ok(Some("it takes too long".to_owned())),
                    }
                }
                Err(panic) => Err(panic),
            },
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(error)) => tracing::warn!(event = name, error, "a subscriber failed"),
            Err(_) => tracing::error!(event = name, "a subscriber panicked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::events::{RequestStart, ToolComplete, ToolStart};
    use std::sync::Mutex;

    fn event() -> RequestStart {
        RequestStart { request: Arc::new("x".into()) }
    }

    /// A list that subscribers write to.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<&'static str>>>);

    impl Seen {
        fn note(&self, what: &'static str) {
            self.0.lock().unwrap().push(what);
        }

        fn take(&self) -> Vec<&'static str> {
            std::mem::take(&mut self.0.lock().unwrap())
        }

        fn noting<E>(&self, what: &'static str) -> impl Fn(&E) + Send + Sync + 'static {
            let seen = self.clone();
            move |_| seen.note(what)
        }
    }

    #[tokio::test]
    async fn subscribers_are_called_in_order_whatever_their_kind_until_they_are_off() {
        let (bus, seen) = (EventBus::new(), Seen::default());
        let first = bus.on::<RequestStart, _>(seen.noting("first"));
        let slow = seen.clone();
        let second = bus.on_async(move |_: Arc<RequestStart>| {
            let slow = slow.clone();
            async move {
                tokio::task::yield_now().await;
                slow.note("second");
            }
        });
        let _third = bus.on::<RequestStart, _>(seen.noting("third"));
        let _other = bus.on::<ToolStart, _>(seen.noting("other"));
        bus.emit(event).await;
        assert_eq!(seen.take(), ["first", "second", "third"]);
        assert!(bus.off(second) && !bus.off(second) && bus.off(first));
        bus.emit(event).await;
        assert_eq!(seen.take(), ["third"]);
        assert!(bus.has::<ToolStart>() && !bus.has::<ToolComplete>());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_fails_panics_or_hangs_does_not_keep_the_next_one() {
        let (bus, seen) = (EventBus::new(), Seen::default());
        let _ = bus.on(|_: &RequestStart| -> Result<(), &str> { Err("no") });
        let _ = bus.on(|_: &RequestStart| -> () { panic!("oh") });
        let _ = bus.on_async(|_: Arc<RequestStart>| async { Err::<(), _>("no") });
        let _ = bus.on_async(|event: Arc<RequestStart>| async move {
            assert!(event.request.messages.is_empty(), "a panic on the way");
        });
        let _ = bus.on_async(|event: Arc<RequestStart>| {
            assert!(event.request.messages.is_empty(), "a panic before there is a future");
            async {}
        });
        let _ = bus.on_async(|_: Arc<RequestStart>| std::future::pending::<()>());
        let _ = bus.on::<RequestStart, _>(seen.noting("last"));
        bus.emit(event).await;
        assert_eq!(seen.take(), ["last"]);
    }

    #[tokio::test]
    async fn nothing_is_made_when_nobody_listens() {
        let bus = EventBus::new();
        bus.emit(|| -> RequestStart { panic!("nobody asked") }).await;
        let listening = bus.on(|_: &RequestStart| {});
        assert!(bus.off(listening));
        bus.emit(|| -> RequestStart { panic!("nobody asked any more") }).await;
    }
}
