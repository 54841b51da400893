//! What happens before the first request and after the last one.

use crate::base::{Error, Finding, Registry, Result};
use crate::web::{ComponentDescriptor, Components, HookDescriptor, HookEvent, HookRun, Plan};
use std::fmt;
use std::time::Duration;

/// How long one component may take to be made, one hook to run, or one component to be taken down.
const PATIENCE: Duration = Duration::from_secs(60);

/// The factories and hooks of an application.
#[derive(Default)]
pub(super) struct Lifecycle {
    plan: Plan,
    hooks: Vec<&'static HookDescriptor>,
}

impl Lifecycle {
    pub(super) fn new(plan: Plan, hooks: &Registry<HookDescriptor>) -> Self {
        let server = hooks.iter().filter(|hook| matches!(hook.run, HookRun::Server(_)));
        Self { plan, hooks: server.collect() }
    }

    /// What hooks need and nobody provides.
    pub(super) fn missing(&self, components: &Components) -> Vec<Finding> {
        let missing = self.hooks.iter().flat_map(|hook| {
            let needs = hook.needs().into_iter().filter(|need| !components.meets(*need));
            needs.map(move |need| {
                let (name, advice) = (need.type_name(), need.advice());
                let message = format!("a hook needs a `{name}`, which nobody provides; {advice}");
                Finding::new(message).at(hook)
            })
        });
        missing.collect()
    }

    /// Tells whether components are still to be made.
    pub(super) fn makes_components(&self) -> bool {
        !self.plan.is_empty()
    }

    /// Makes the components, each after those that it depends on.
    ///
    /// When one fails, those that were made are taken down again.
    pub(super) async fn make(&self, mut components: Components) -> Result<Components> {
        let mut made: Vec<&'static ComponentDescriptor> = Vec::new();
        for factory in self.plan.iter() {
            match within(&format!("the component {factory}"), (factory.build)(&components)).await {
                Ok(built) => built.put_into(&mut components),
                Err(error) => {
                    take_down(made.into_iter().rev(), &components).await;
                    return Err(error);
                }
            }
            made.push(factory);
        }
        Ok(components)
    }

    /// Takes the components down, in the opposite order.
    pub(super) async fn take_down(&self, components: &Components) {
        take_down(self.plan.iter().rev(), components).await;
    }

    /// Tells whether anything is to be done at a moment.
    #[cfg(feature = "server")]
    pub(super) fn has(&self, event: HookEvent) -> bool {
        self.hooks.iter().any(|hook| hook.event == event)
    }

    /// Runs the hooks of a moment, in the order of their places; the first that fails ends it.
    pub(super) async fn run(&self, event: HookEvent, components: &Components) -> Result {
        for hook in self.hooks.iter().filter(|hook| hook.event == event) {
            if let HookRun::Server(run) = hook.run {
                within(&format!("the hook {hook}"), run(components)).await?;
            }
        }
        Ok(())
    }

    /// Runs the hooks of a moment that cannot be undone: each of them, whatever the others do.
    pub(super) async fn run_all(&self, event: HookEvent, components: &Components) {
        for hook in self.hooks.iter().filter(|hook| hook.event == event) {
            if let HookRun::Server(run) = hook.run
                && let Err(error) = within(&format!("the hook {hook}"), run(components)).await
            {
                tracing::error!(error = %error, "a hook failed");
            }
        }
    }
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle").field("plan", &self.plan).field("hooks", &self.hooks).finish()
    }
}

async fn take_down(
    factories: impl Iterator<Item = &'static ComponentDescriptor>,
    components: &Components,
) {
    for factory in factories {
        if let Some(teardown) = factory.teardown
            && let Err(error) =
                within(&format!("taking down {factory}"), teardown(components)).await
        {
            tracing::error!(error = %error, "a component was not taken down");
        }
    }
}

/// Waits with patience; an error says what it was about, and keeps its own text for whoever starts the application.
async fn within<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Error::new(error.kind(), format!("{what} failed: {error}"))),
        Err(_) => Err(Error::unavailable(format!("{what} was not done within {PATIENCE:?}"))),
    }
}
