//! Templates with loops and conditions.

use super::error::PromptError;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// How many steps a template may take; a loop over all that fits into a model takes fewer.
const FUEL: u64 = 10_000_000;

fn environment() -> Environment<'static> {
    // No loader, so that a template can include nothing.
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment
}

/// The variables of a template.
pub(super) fn variables(source: &str) -> Result<BTreeSet<String>, PromptError> {
    let environment = environment();
    let template =
        environment.template_from_str(source).map_err(|error| explain(source, &error))?;
    let globals: Vec<_> = environment.globals().map(|(name, _)| name.to_owned()).collect();
    let mut names: BTreeSet<_> = template.undeclared_variables(false).into_iter().collect();
    names.retain(|name| !globals.contains(name));
    Ok(names)
}

/// Fills a template.
pub(super) fn render(source: &str, values: &Map<String, Value>) -> Result<String, PromptError> {
    environment().render_str(source, values).map_err(|error| {
        let missing = match error.kind() {
            ErrorKind::UndefinedError => missing(source, values, &error),
            _ => None,
        };
        missing.unwrap_or_else(|| explain(source, &error))
    })
}

/// Which variable had no value where one was needed, if it was one of the template's.
fn missing(source: &str, values: &Map<String, Value>, error: &Error) -> Option<PromptError> {
    let range = error.range()?;
    let place = source.get(range.clone())?;
    let is_part = |char: char| char.is_alphanumeric() || char == '_';
    let mut words = place.split(|char| !is_part(char));
    let known = variables(source).ok()?;
    let name = words.find(|word| known.contains(*word) && !values.contains_key(*word))?;
    Some(PromptError::at(source, range.start, &format!("the variable `{name}` has no value")))
}

fn explain(source: &str, error: &Error) -> PromptError {
    let reason = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    match (error.range(), error.line()) {
        (Some(range), _) => PromptError::at(source, range.start, &reason),
        (None, Some(line)) => PromptError::new(format!("line {line}: {reason}")),
        (None, None) => PromptError::new(reason),
    }
}
