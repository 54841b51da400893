//! What every provider must do, as a test that a provider can run over itself.
//!
//! The test knows nothing of how a provider talks to its service, so whoever runs it plays the
//! service: for each [`Scenario`] they make a provider whose service does what the scenario says.
//! Each is asked both ways, at once and as a stream; the stream is not the lesser of the two.

mod scenario;
mod rules;

pub use scenario::{Scenario, Subject};

use crate::llm::Provider;
use std::error::Error as StdError;
use std::fmt;

/// Puts a provider to the test.
///
/// The function makes the provider for a scenario, or returns `None` where the provider has no
/// such thing, for example no tools; the scenario is then skipped, which the report tells.
///
/// ```
/// use ember::llm::{ErrorKind, FakeProvider, FakeReply};
/// use ember::testing::conformance::{self, Scenario, Subject};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let report = conformance::provider(async |scenario| {
///     let reply = match scenario {
///         Scenario::Text(text) => FakeReply::new().text(text),
///         Scenario::Failure(kind) => FakeReply::error(kind, "as the service says it"),
///         _ => return None,
///     };
///     Some(Subject::new(FakeProvider::new().respond(move |_| reply.clone())))
/// })
/// .await
/// .unwrap();
/// assert!(report.passed.contains(&"a text is the same both ways"));
/// # }
/// ```
///
/// # Errors
/// Every rule that the provider breaks, with what it did.
pub async fn provider<P: Provider>(
    make: impl AsyncFn(Scenario) -> Option<Subject<P>>,
) -> Result<Report, NotConforming> {
    let mut report = Report::default();
    let mut broken = Vec::new();
    for (scenario, name, rule) in rules::all::<P>() {
        let Some(subject) = make(scenario).await else {
            report.skipped.push(name);
            continue;
        };
        match rule(subject).await {
            Ok(true) => report.passed.push(name),
            Ok(false) => report.skipped.push(name),
            Err(what) => broken.push((name, what)),
        }
    }
    if broken.is_empty() { Ok(report) } else { Err(NotConforming { broken }) }
}

/// What a provider was put to, all of which it has passed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The rules that it keeps.
    pub passed: Vec<&'static str>,
    /// The rules that were not put to the test.
    pub skipped: Vec<&'static str>,
}

/// The rules that a provider breaks.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotConforming {
    /// Each rule, and what the provider did.
    pub broken: Vec<(&'static str, String)>,
}

impl fmt::Display for NotConforming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the provider breaks {} rules:", self.broken.len())?;
        self.broken.iter().try_for_each(|(rule, what)| write!(f, "\n- {rule}: {what}"))
    }
}

/// As it is shown, so that `unwrap` says it in a way that can be read.
impl fmt::Debug for NotConforming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for NotConforming {}
