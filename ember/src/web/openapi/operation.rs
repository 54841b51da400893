//! One operation of the document.

use super::security::Schemes;
use crate::base::schema::{SchemaSet, without_null};
use crate::web::operation::{
    Content, Operation, Outcome, Parameter, ParameterType, Place, Shape, Status,
};
use crate::web::state::RouteEntry;
use http::Method;
use serde_json::{Map, Value, json};

/// Writes an operation object (OpenAPI 3.1 §4.8.10).
///
/// `names` are the names of the path's parameters as the document has them, each with whether it
/// takes the rest of the path.
pub(super) fn operation(
    route: &RouteEntry,
    method: &Method,
    id: &str,
    names: &[(String, bool)],
    schemas: &mut SchemaSet,
    schemes: &Schemes<'_>,
) -> Value {
    let mut object = Map::new();
    if !route.notes.tags.is_empty() {
        object.insert("tags".into(), json!(route.notes.tags));
    }
    let (summary, description) = split(&route.docs);
    let summary = route.notes.summary.as_deref().unwrap_or(&summary);
    insert_text(&mut object, "summary", summary);
    insert_text(&mut object, "description", description);
    object.insert("operationId".into(), id.into());
    if route.notes.deprecated {
        object.insert("deprecated".into(), true.into());
    }
    let has_body = !matches!(*method, Method::GET | Method::HEAD | Method::TRACE);
    let parameters = parameters(route, names, has_body, schemas);
    if !parameters.is_empty() {
        object.insert("parameters".into(), parameters.into());
    }
    if let Some(body) = route.operation.body.as_ref().filter(|_| has_body) {
        let content = contents(&body.contents, |shape| schema(shape, true, schemas));
        object.insert("requestBody".into(), json!({"content": content, "required": body.required}));
    }
    object.insert("responses".into(), responses(route, schemas));
    if let Some(requirements) = schemes.of_route(route) {
        object.insert("security".into(), requirements);
    }
    object.into()
}

/// The first paragraph of a doc comment on one line, and what follows it.
fn split(docs: &str) -> (String, &str) {
    let (first, rest) = docs.trim().split_once("\n\n").unwrap_or((docs.trim(), ""));
    (first.split_whitespace().collect::<Vec<_>>().join(" "), rest.trim())
}

fn insert_text(object: &mut Map<String, Value>, key: &str, text: &str) {
    if !text.is_empty() {
        object.insert(key.into(), text.into());
    }
}

fn parameters(
    route: &RouteEntry,
    names: &[(String, bool)],
    has_body: bool,
    schemas: &mut SchemaSet,
) -> Vec<Value> {
    let operation = &route.operation;
    let mut all: Vec<Parameter> = path_parameters(route, operation, schemas);
    let mut types = operation.parameter_types.clone();
    // A form is read from the query of a request that has no body.
    if let Some(body) = operation.body.as_ref().filter(|body| body.or_query && !has_body) {
        types.extend(body.contents.iter().filter_map(|content| match content.shape {
            Shape::Type(type_name) => Some(ParameterType::named(Place::Query, type_name)),
            _ => None,
        }));
    }
    for ParameterType { place, type_name, .. } in
        types.into_iter().filter(|ty| ty.place != Place::Path)
    {
        for (name, mut schema, required) in schemas.members(type_name).into_iter().flatten() {
            if all.iter().any(|known| known.place == place && known.name == name) {
                continue;
            }
            let mut parameter = Parameter::new(place, name);
            // What is left out is null; nothing in a query says null.
            schema = without_null(schema);
            if let Some(object) = schema.as_object_mut() {
                if let Some(Value::String(text)) = object.remove("description") {
                    parameter = parameter.description(text);
                }
                parameter.deprecated = object.remove("deprecated") == Some(Value::Bool(true));
            }
            parameter.required = required;
            all.push(parameter.shape(crate::base::Schema::from(schema)));
        }
    }
    all.extend(operation.parameters.iter().filter(|known| known.place != Place::Path).cloned());
    let mut written = Vec::with_capacity(all.len());
    let mut of_path = names.iter();
    for parameter in &all {
        let mut object = Map::new();
        let mut takes_rest = false;
        match parameter.place {
            // Under the names that the path has in the document.
            Place::Path => {
                let Some((name, rest)) = of_path.next() else { continue };
                object.insert("name".into(), name.as_str().into());
                takes_rest = *rest;
            }
            _ => {
                object.insert("name".into(), parameter.name.as_ref().into());
            }
        }
        object.insert("in".into(), parameter.place.as_str().into());
        insert_text(&mut object, "description", &parameter.description);
        if parameter.required || parameter.place == Place::Path {
            object.insert("required".into(), true.into());
        }
        if parameter.deprecated {
            object.insert("deprecated".into(), true.into());
        }
        object.insert("schema".into(), schema(&parameter.shape, true, schemas));
        if takes_rest {
            object.insert("x-ember-rest".into(), true.into());
        }
        written.push(object.into());
    }
    written
}

/// All parameters of the path, in their order, with what is known of each.
fn path_parameters(
    route: &RouteEntry,
    operation: &Operation,
    schemas: &mut SchemaSet,
) -> Vec<Parameter> {
    let mut all: Vec<_> = route
        .parameters
        .iter()
        .map(|name| {
            let told = |known: &&Parameter| known.place == Place::Path && known.name == *name;
            operation.parameters.iter().find(told).cloned().unwrap_or_else(|| Parameter::path(name))
        })
        .collect();
    let of_path = operation.parameter_types.iter().filter(|ty| ty.place == Place::Path);
    for ParameterType { type_name, .. } in of_path {
        if let Some(members) = schemas.members(type_name) {
            for (name, schema, _) in members {
                if let Some(parameter) = all.iter_mut().find(|known| known.name == name) {
                    parameter.shape = crate::base::Schema::from(schema).into();
                }
            }
            continue;
        }
        let Some(schema) = schemas.read(type_name) else { continue };
        let items = schema.get("prefixItems").and_then(Value::as_array).cloned();
        let shapes = items.unwrap_or_else(|| vec![schema]);
        if shapes.len() == all.len() {
            for (parameter, schema) in all.iter_mut().zip(shapes) {
                parameter.shape = crate::base::Schema::from(schema).into();
            }
        }
    }
    for parameter in &mut all {
        if parameter.shape == Shape::Unknown {
            parameter.shape = Shape::Text;
        }
    }
    all
}

fn contents(contents: &[Content], mut schema: impl FnMut(&Shape) -> Value) -> Value {
    let media = contents.iter().map(|content| {
        let schema = schema(&content.shape);
        let nothing = schema.as_object().is_some_and(Map::is_empty);
        let object = if nothing { json!({}) } else { json!({"schema": schema}) };
        (content.media_type.to_string(), object)
    });
    Value::Object(media.collect())
}

fn schema(shape: &Shape, read: bool, schemas: &mut SchemaSet) -> Value {
    let known = match shape {
        Shape::Unknown => None,
        Shape::Text => Some(json!({"type": "string"})),
        Shape::Type(name) if read => schemas.read(name),
        Shape::Type(name) => schemas.written(name),
        Shape::Schema(schema) => Some(schema.as_value().clone()),
    };
    known.unwrap_or_else(|| json!({}))
}

fn responses(route: &RouteEntry, schemas: &mut SchemaSet) -> Value {
    let mut outcomes: Vec<Outcome> = route.operation.outcomes.clone();
    for outcome in &mut outcomes {
        if outcome.status == Status::Success
            && let Some(status) = route.notes.status
        {
            outcome.status = status.into();
        }
    }
    if outcomes.is_empty() {
        outcomes.push(Outcome::new(Status::Default).description("Whatever the handler answers"));
    }
    // Digits stand before `XX`, and both before `default`; the order of the rest is that of the types.
    outcomes.sort_by_key(|outcome| outcome.status.to_string());
    let mut responses = Map::new();
    for outcome in &outcomes {
        let mut object = Map::new();
        let description = match &*outcome.description {
            "" if is_problem(outcome) => "A problem",
            "" => outcome.status.sentence(),
            description => description,
        };
        object.insert("description".into(), description.into());
        if outcome.status != Status::Default {
            let headers = headers(route, outcome, schemas);
            if !headers.is_empty() {
                object.insert("headers".into(), headers.into());
            }
        }
        if !outcome.contents.is_empty() {
            let content = contents(&outcome.contents, |shape| schema(shape, false, schemas));
            object.insert("content".into(), content);
        }
        responses.entry(outcome.status.to_string()).or_insert(object.into());
    }
    responses.into()
}

fn headers(route: &RouteEntry, outcome: &Outcome, schemas: &mut SchemaSet) -> Map<String, Value> {
    let mut headers = Map::new();
    if outcome.status == Status::Redirection {
        let location = json!({"schema": {"type": "string", "format": "uri-reference"}});
        headers.insert("location".into(), location);
    }
    for header in &route.operation.response_headers {
        let mut object = Map::new();
        insert_text(&mut object, "description", &header.description);
        object.insert("schema".into(), schema(&header.shape, false, schemas));
        headers.insert(header.name.to_string(), object.into());
    }
    headers
}

fn is_problem(outcome: &Outcome) -> bool {
    outcome.contents.iter().all(|content| content.media_type == crate::base::Problem::MEDIA_TYPE)
        && !outcome.contents.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_paragraph_is_the_summary() {
        assert_eq!(
            split("One task,\nby number.\n\nMore.\n\nEven more."),
            ("One task, by number.".into(), "More.\n\nEven more.")
        );
        assert_eq!(split(""), (String::new(), ""));
    }
}
