use super::ApiInfo;
use super::ids::operation_ids;
use super::operation::operation;
use super::security::Schemes;
use crate::base::Problem;
use crate::base::schema::{SchemaSet, TypeSchema};
use crate::web::router::{RoutePath, Segment};
use crate::web::state::RouteEntry;
use http::Method;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The methods that a path item has a word for (OpenAPI 3.1 §4.8.9), in the order of the document.
const METHODS: [Method; 8] = [
    Method::GET,
    Method::PUT,
    Method::POST,
    Method::DELETE,
    Method::OPTIONS,
    Method::HEAD,
    Method::PATCH,
    Method::TRACE,
];

/// Writes the OpenAPI 3.1 document of these routes.
///
/// ```
/// use ember::prelude::*;
///
/// /// Greets somebody.
/// #[get("/hello/{name}")]
/// async fn hello(name: String) -> String {
///     format!("Hello, {name}!")
/// }
///
/// let document = ember::app!().build().unwrap().openapi();
/// assert_eq!(document["paths"]["/hello/{name}"]["get"]["summary"], "Greets somebody.");
/// ```
pub fn document(routes: &[RouteEntry], info: &ApiInfo) -> Value {
    let listed: Vec<_> = routes.iter().filter(|route| !route.notes.hidden).collect();
    let types = listed.iter().flat_map(|route| &route.operation.schemas).copied();
    let mut schemas = SchemaSet::new([TypeSchema::of::<Problem<'_>>()].into_iter().chain(types));
    let schemes = Schemes::of(info, &listed);
    let placed = place(&listed);
    let operations: Vec<_> = placed.iter().map(|placed| (placed.route, placed.method)).collect();
    let mut paths: Map<String, Value> = Map::new();
    for (place, id) in placed.iter().zip(operation_ids(&operations)) {
        let item = paths.entry(place.path.clone()).or_insert_with(|| json!({}));
        item[place.method.as_str().to_ascii_lowercase()] =
            operation(place.route, place.method, &id, &place.names, &mut schemas, &schemes);
    }
    let mut document = head(info);
    document.insert("paths".into(), paths.into());
    if !info.security.is_empty() {
        document.insert("security".into(), schemes.any(&info.security));
    }
    let tags = tags(info, &listed);
    if !tags.is_empty() {
        document.insert("tags".into(), tags.into());
    }
    let mut document = Value::Object(document);
    let definitions = schemas.finish(&mut document);
    let schemes = schemes.into_objects();
    let mut components = Map::new();
    if !definitions.is_empty() {
        components.insert("schemas".into(), definitions.into());
    }
    if !schemes.is_empty() {
        components.insert("securitySchemes".into(), schemes.into());
    }
    if !components.is_empty() {
        document["components"] = components.into();
    }
    document
}

fn head(info: &ApiInfo) -> Map<String, Value> {
    let mut about = Map::new();
    about.insert("title".into(), info.title.as_ref().into());
    if !info.description.is_empty() {
        about.insert("description".into(), info.description.as_ref().into());
    }
    about.insert("version".into(), info.version.as_ref().into());
    let mut document = Map::new();
    document.insert("openapi".into(), "3.1.1".into());
    document.insert("info".into(), about.into());
    if !info.servers.is_empty() {
        let servers = info.servers.iter().map(|url| json!({"url": url}));
        document.insert("servers".into(), servers.collect());
    }
    document
}

/// An operation and where it stands in the document.
struct Placed<'a> {
    route: &'a RouteEntry,
    method: &'a Method,
    path: String,
    /// The parameters of the path, and whether each takes the rest of it.
    names: Vec<(String, bool)>,
}

/// All operations in the order of the document: paths as the routes have them, methods as OpenAPI lists them.
fn place<'a>(routes: &[&'a RouteEntry]) -> Vec<Placed<'a>> {
    // A path that cannot be parsed is a finding of the start-up check, and has no address.
    let parsed: Vec<(&RouteEntry, RoutePath)> = routes
        .iter()
        .filter_map(|route| route.path.parse().ok().map(|path| (*route, path)))
        .collect();
    // `{rest}` looks like `{segment}`; where one address has both, the rest keeps its star.
    let segments: BTreeSet<(String, &Method)> = parsed
        .iter()
        .filter(|(_, path)| !takes_rest(path))
        .flat_map(|(route, path)| {
            route.methods.iter().map(|method| (template(path, false).0, method))
        })
        .collect();
    let mut by_path: Vec<Vec<Placed<'a>>> = Vec::new();
    let mut templates: BTreeMap<String, usize> = BTreeMap::new();
    for (route, path) in &parsed {
        for method in METHODS.iter().filter(|method| route.methods.contains(method)) {
            let starred = takes_rest(path) && segments.contains(&(template(path, false).0, method));
            let (shape, mut text, mut names) = template(path, starred);
            let place = *templates.entry(shape).or_insert_with(|| {
                by_path.push(Vec::new());
                by_path.len() - 1
            });
            let others = &mut by_path[place];
            if let Some(first) = others.first() {
                text = first.path.clone();
                for (own, (name, _)) in names.iter_mut().zip(&first.names) {
                    own.0.clone_from(name);
                }
            }
            // A second route of the same address, for another host say, cannot be told.
            if others.iter().all(|other| other.method != method) {
                others.push(Placed { route, method, path: text, names });
            }
        }
    }
    for operations in &mut by_path {
        operations.sort_by_key(|placed| METHODS.iter().position(|method| method == placed.method));
    }
    by_path.into_iter().flatten().collect()
}

fn takes_rest(path: &RoutePath) -> bool {
    path.segments().iter().any(|segment| matches!(segment, Segment::Rest(_)))
}

/// The path as OpenAPI writes it: its shape, its text, and its parameters.
fn template(path: &RoutePath, starred: bool) -> (String, String, Vec<(String, bool)>) {
    let (mut shape, mut text, mut names) = (String::new(), String::new(), Vec::new());
    for segment in path.segments() {
        let (name, rest) = match segment {
            Segment::Literal(literal) => {
                shape.extend(["/", literal]);
                text.extend(["/", literal]);
                continue;
            }
            Segment::Parameter(name) => (name, false),
            Segment::Rest(name) => (name, true),
        };
        let star = if rest && starred { "*" } else { "" };
        shape.extend(["/{", star, "}"]);
        text.extend(["/{", star, name, "}"]);
        names.push((format!("{star}{name}"), rest));
    }
    (shape, text, names)
}

/// The groups: those with a description first, then the others as they are met.
fn tags(info: &ApiInfo, routes: &[&RouteEntry]) -> Vec<Value> {
    let mut tags: Vec<(&Cow<'static, str>, &str)> =
        info.tags.iter().map(|(name, description)| (name, &**description)).collect();
    for name in routes.iter().flat_map(|route| &route.notes.tags) {
        if tags.iter().all(|(known, _)| *known != name) {
            tags.push((name, ""));
        }
    }
    let written = tags.into_iter().map(|(name, description)| match description {
        "" => json!({"name": name}),
        _ => json!({"name": name, "description": description}),
    });
    written.collect()
}
