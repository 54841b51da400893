//! What keeps an application from starting, beside what its parts say of themselves.

use crate::ai::AiOptions;
use crate::base::{Finding, Location, PluginDescriptor, Registry, Scope};
use crate::llm::{Tool, ToolRegistry};
use crate::web::{Components, Need, Placed, RouteDescriptor, Settled};
use std::collections::BTreeMap;

/// A module that is named and holds nothing is probably misspelt, or not the one that was meant.
pub(super) fn check_modules(
    scope: &Scope,
    places: &[Location],
    has_routes: bool,
    findings: &mut Vec<Finding>,
) {
    let holds_nothing = |module: &&str| {
        let inside = Scope::module((*module).to_owned());
        !places.iter().any(|place| inside.contains(place.module))
    };
    for module in scope.modules().filter(holds_nothing) {
        let crate_name = module.split("::").next().unwrap_or(module);
        let elsewhere = Registry::<RouteDescriptor>::collect(&Scope::module(crate_name.to_owned()));
        match elsewhere.iter().next() {
            // `ember::app!()` stands in a module below the one that was meant.
            Some(route) if module.contains("::") => findings.push(
                Finding::new(format!(
                    "nothing is annotated in the module `{module}` or below, and `ember::app!()` takes no more; \
                     call it from a function in the module around the routes, such as `fn app() -> Ember`"
                ))
                .at(format!("`{}` ({})", route.name, route.location)),
            ),
            _ if has_routes && scope.modules().next() == Some(module) => {}
            _ => findings.push(Finding::new(format!(
                "nothing is annotated in the module `{module}`; is it declared with `mod`, and the name as \
                 `module_path!()` has it?"
            ))),
        }
    }
}

/// Plugins of one kind and name, of which at least one is the application's own. Whoever asks for
/// one finds those of other crates as well, so these are looked at, too.
pub(super) fn check_plugins(scope: &Scope) -> Vec<Finding> {
    let mut claimed = Registry::<PluginDescriptor>::collect(&Scope::everything()).duplicates();
    claimed.retain(|duplicate| {
        duplicate.entries.iter().any(|plugin| scope.contains(plugin.location.module))
    });
    claimed.into_iter().map(Finding::from).collect()
}

/// A route whose model could not tell its tools apart.
pub(super) fn check_tools(route: &Settled) -> Option<Finding> {
    let mut by_name: BTreeMap<&str, Vec<&Tool>> = BTreeMap::new();
    for tool in route.extension::<AiOptions>()?.all_tools() {
        by_name.entry(tool.name()).or_default().push(tool);
    }
    let (name, tools) = by_name.into_iter().find(|(_, tools)| tools.len() > 1)?;
    let finding = Finding::new(format!("a route has two tools of the name `{name}`")).at(route);
    let places = tools.into_iter().filter_map(Tool::location);
    Some(places.fold(finding, |finding, location| finding.at(format!("`{name}` ({location})"))))
}

/// What is wrong with the options of AI routes: once each, with all routes that have it.
pub(super) fn findings_of<'a>(
    routes: impl Iterator<Item = &'a Settled>,
    check: impl Fn(&AiOptions) -> Vec<Finding>,
) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for route in routes {
        for finding in route.extension::<AiOptions>().map(&check).unwrap_or_default() {
            match found.iter_mut().find(|known| known.message == finding.message) {
                Some(known) => known.places.push(route.to_string()),
                None => found.push(finding.at(route)),
            }
        }
    }
    found
}

/// Instructions of a route that cannot be read, or that nothing fills.
pub(super) fn check_prompt(route: &Settled) -> Option<Finding> {
    let path = route.parsed_path().ok()?;
    let error = route.extension::<AiOptions>()?.check_system(path.parameters()).err()?;
    Some(Finding::new(format!("{error}; parameters of the path and defaults fill it")).at(route))
}

/// The components that tools need and nobody provides: those of the application's own tools, and of
/// those that its routes name.
pub(super) fn check_tool_needs(
    routes: &[Placed],
    tools: &ToolRegistry,
    components: &Components,
) -> Vec<Finding> {
    let mut findings: BTreeMap<(Option<Location>, &str, &str), Finding> = BTreeMap::new();
    let routes = routes.iter().map(|placed| &placed.route);
    let options = routes.map(|route| (route, route.extension::<AiOptions>()));
    let of_routes = options.flat_map(|(route, options)| {
        let tools = options.map_or(&[][..], AiOptions::all_tools);
        tools.iter().map(move |tool| (tool, Some(route)))
    });
    for (tool, route) in tools.iter().map(|tool| (tool, None)).chain(of_routes) {
        for need in tool.needs().of::<Need>().filter(|need| !components.meets(**need)) {
            let name = need.type_name();
            let finding = findings.entry((tool.location(), tool.name(), name)).or_insert_with(|| {
                let message = format!(
                    "the tool `{}` needs a component of type `{name}`, and none is provided; {}",
                    tool.name(), need.advice(),
                );
                let place = tool.location().map(|location| format!("`{}` ({location})", tool.name()));
                place.into_iter().fold(Finding::new(message), Finding::at)
            });
            if let Some(route) = route {
                finding.places.push(route.to_string());
            }
        }
    }
    findings.into_values().collect()
}
