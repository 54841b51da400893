use super::{ComponentDescriptor, Components, Need};
use crate::base::{Descriptor as _, Finding, Registry};

/// The factories of an application, each after those that it depends on.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    ordered: Vec<&'static ComponentDescriptor>,
}

impl Plan {
    /// Puts factories in order, and promises what they make.
    ///
    /// Two that make the same, one that makes what is given already, one that needs what nobody
    /// provides, and a circle are findings; whatever can be is planned all the same.
    pub(crate) fn of(
        factories: &Registry<ComponentDescriptor>,
        overridden: &[Need],
        components: &mut Components,
        findings: &mut Vec<Finding>,
    ) -> Self {
        findings.extend(factories.duplicates().into_iter().map(Finding::from));
        let mut open: Vec<&'static ComponentDescriptor> = Vec::new();
        for factory in factories.iter() {
            let made = (factory.provides)();
            if overridden.contains(&made) {
                continue;
            }
            if components.meets(made) {
                findings.push(
                    Finding::new(format!(
                        "a component of type `{}` is given, and made by a function as well; \
                         in a test, `.override_component(…)` replaces it",
                        made.type_name()
                    ))
                    .at(factory),
                );
            } else if !open.iter().any(|other| (other.provides)() == made) {
                open.push(factory);
            }
        }
        let made: Vec<_> = open.iter().map(|factory| (factory.provides)()).collect();
        check_needs(&open, &made, components, findings);
        let ordered = in_order(open, &made, findings);
        made.into_iter().for_each(|need| components.promise(need));
        Self { ordered }
    }

    /// The factories, each after those that it depends on.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &'static ComponentDescriptor> {
        self.ordered.iter().copied()
    }

    /// Tells whether there is nothing to make.
    pub(crate) fn is_empty(&self) -> bool {
        self.ordered.is_empty()
    }
}

fn check_needs(
    factories: &[&'static ComponentDescriptor],
    made: &[Need],
    components: &Components,
    findings: &mut Vec<Finding>,
) {
    for factory in factories {
        for need in factory.all_needs() {
            if !made.contains(&need) && !components.meets(need) {
                findings.push(
                    Finding::new(format!(
                        "a component needs a `{}`, which nobody provides; {}",
                        need.type_name(),
                        need.advice()
                    ))
                    .at(factory),
                );
            }
        }
    }
}

/// Takes whatever depends on nothing that is still open, again and again; what is left goes in circles.
fn in_order(
    mut open: Vec<&'static ComponentDescriptor>,
    made: &[Need],
    findings: &mut Vec<Finding>,
) -> Vec<&'static ComponentDescriptor> {
    let mut ordered: Vec<&'static ComponentDescriptor> = Vec::new();
    let mut there: Vec<Need> = Vec::new();
    while !open.is_empty() {
        let is_free = |factory: &&'static ComponentDescriptor| {
            factory.all_needs().iter().all(|need| there.contains(need) || !made.contains(need))
        };
        let (free, rest): (Vec<_>, Vec<_>) = open.into_iter().partition(is_free);
        if free.is_empty() {
            findings.push(circle(&rest));
            break;
        }
        there.extend(free.iter().map(|factory| (factory.provides)()));
        ordered.extend(free);
        open = rest;
    }
    ordered
}

/// Follows what waits for each other until it comes round.
fn circle(waiting: &[&'static ComponentDescriptor]) -> Finding {
    let next = |factory: &'static ComponentDescriptor| {
        let needs = factory.all_needs();
        waiting.iter().copied().find(|other| needs.contains(&(other.provides)()))
    };
    let mut way: Vec<&'static ComponentDescriptor> = Vec::new();
    let mut at = waiting.first().copied();
    while let Some(factory) = at {
        if let Some(start) = way.iter().position(|passed| std::ptr::eq(*passed, factory)) {
            way.drain(..start);
            break;
        }
        way.push(factory);
        at = next(factory);
    }
    let names: Vec<_> = way.iter().chain(way.first()).map(|factory| factory.key()).collect();
    let message = format!("components need each other in a circle: {}", names.join(" → "));
    way.iter().fold(Finding::new(message), |finding, factory| finding.at(factory))
}
