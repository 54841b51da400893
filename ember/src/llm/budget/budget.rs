use super::plan::Plan;
use super::reservation::Reservation;
use crate::llm::error::Error;
use crate::store::BoxStore;
use std::pin::Pin;
use std::sync::Arc;

/// What a client may spend: asked before a request is sent, told what it has cost.
///
/// One request is one reservation, however many rounds of tools it takes, and however it ends:
/// answered, failed, or abandoned.
///
/// ```
/// use ember::llm::{Budget, Client, Error, ErrorKind, FakeProvider, Plan, Reservation, Spent};
/// use std::ops::ControlFlow;
///
/// /// Stops an answer that grows longer than anybody reads.
/// struct Short;
///
/// struct Reading;
///
/// impl Budget for Short {
///     async fn reserve(&self, plan: &mut Plan<'_>) -> Result<Box<dyn Reservation>, Error> {
///         plan.request.max_tokens.get_or_insert(50);
///         Ok(Box::new(Reading))
///     }
/// }
///
/// impl Reservation for Reading {
///     fn used(&mut self, spent: &Spent) -> ControlFlow<Error> {
///         match spent.usage.total_output() {
///             0..=50 => ControlFlow::Continue(()),
///             _ => ControlFlow::Break(Error::new(ErrorKind::BudgetExceeded, "too long")),
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let client = Client::new(FakeProvider::new().text("word ".repeat(60))).budget(Short);
/// assert_eq!(client.ask("Hi").await.unwrap_err().kind(), ErrorKind::BudgetExceeded);
/// # }
/// ```
pub trait Budget: Send + Sync + 'static {
    /// Sets aside what a request is expected to use, and may bound it.
    ///
    /// # Errors
    /// When there is not so much left, the request is larger than any may be, or nobody can tell.
    ///
    /// # Cancel safety
    /// The future may be dropped at any time; whatever was set aside by then must be given back.
    fn reserve(
        &self,
        plan: &mut Plan<'_>,
    ) -> impl Future<Output = Result<Box<dyn Reservation>, Error>> + Send;

    /// Tells whether anything is left, before little things are paid for such as the embedding of a
    /// question. Unless it is implemented, there always is.
    ///
    /// # Errors
    /// When nothing is left, or nobody can tell.
    fn check(&self) -> impl Future<Output = Result<(), Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// What tells this account from others, where one may hold for a call in several places: of those of one
    /// identity only the first is asked. `None` unless it is implemented: then each is.
    fn identity(&self) -> Option<String> {
        None
    }

    /// Learns at start-up in which store the application keeps what its processes share, where the budget
    /// is one of the application's client. Notes are told in the log, and by the command `check`.
    fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        let _ = (store, notes);
    }
}

/// A budget whose type is forgotten: those of a client stand in one list.
#[derive(Clone)]
pub(in crate::llm) struct BoxBudget(Arc<dyn Erased>);

impl BoxBudget {
    pub(in crate::llm) fn new(budget: impl Budget) -> Self {
        Self(Arc::new(budget))
    }

    async fn reserve(&self, plan: &mut Plan<'_>) -> Result<Box<dyn Reservation>, Error> {
        self.0.reserve(plan).await
    }

    pub(in crate::llm) async fn check(&self) -> Result<(), Error> {
        self.0.check().await
    }

    pub(in crate::llm) fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        self.0.keep_in(store, notes);
    }

    /// Sets aside what a request is expected to use, once from each account.
    pub(in crate::llm) async fn reserve_all(
        budgets: &[Self],
        plan: &mut Plan<'_>,
    ) -> Result<Vec<Box<dyn Reservation>>, Error> {
        let (mut reservations, mut known) = (Vec::with_capacity(budgets.len()), Vec::new());
        for budget in budgets {
            let identity = budget.0.identity();
            if identity.is_some() && known.contains(&identity) {
                continue;
            }
            known.push(identity);
            reservations.push(budget.reserve(plan).await?);
        }
        // A later budget may have bounded the answer further than an earlier one knew.
        if let Some(longest) = plan.request.max_tokens {
            reservations.iter_mut().for_each(|reservation| reservation.bounded(longest));
        }
        Ok(reservations)
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// The boxed twin of [`Budget`].
trait Erased: Send + Sync {
    fn reserve<'a>(&'a self, plan: &'a mut Plan<'_>) -> Boxed<'a, Box<dyn Reservation>>;
    fn check(&self) -> Boxed<'_, ()>;
    fn identity(&self) -> Option<String>;
    fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>);
}

impl<B: Budget> Erased for B {
    fn reserve<'a>(&'a self, plan: &'a mut Plan<'_>) -> Boxed<'a, Box<dyn Reservation>> {
        Box::pin(Budget::reserve(self, plan))
    }

    fn check(&self) -> Boxed<'_, ()> {
        Box::pin(Budget::check(self))
    }

    fn identity(&self) -> Option<String> {
        Budget::identity(self)
    }

    fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        Budget::keep_in(self, store, notes);
    }
}
