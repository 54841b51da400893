use super::ast::{Ast, Kind};
use crate::args::Args;
use crate::diag::{Sink, nearest};
use crate::path::{self, Parameter};
use crate::settings::{self, Setting};
use crate::sig::{Argument, Function};
use crate::{doc, keys};
use proc_macro2::Span;
use quote::ToTokens as _;
use syn::{Expr, GenericArgument, Ident, LitStr, Path, PathArguments, Type};

/// A route in which nothing is wrong that a macro can see.
pub(super) struct Checked {
    pub(super) ember: Path,
    pub(super) path: LitStr,
    pub(super) methods: Vec<String>,
    pub(super) docs: String,
    pub(super) inputs: Vec<Input>,
    /// The names of arguments that take nothing from the path, which may be one of a prefix.
    pub(super) beside_path: Vec<String>,
    pub(super) settings: Vec<Setting>,
}

/// An argument, and where it comes from.
pub(super) enum Input {
    /// The parameter of the path that has its name.
    Path { parameter: String, ty: Type, docs: String },
    /// The head of the request.
    Head(Type),
    /// The whole request: the last extractor.
    Last(Type),
}

const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"];

/// Types that give a handler the whole path, parameters included.
const WHOLE_PATH: &[&str] = &["Path", "Request", "RequestParts"];

/// Extractors around another one.
const AROUND: &[&str] = &["Valid", "Result"];

impl Checked {
    pub(super) fn check(ast: Ast, function: &Function, sink: &Sink) -> Option<Self> {
        let Ast { kind, mut args } = ast;
        let what = if matches!(kind, Kind::Ai) { "an AI route" } else { "a route" };
        function.check_async(what, sink);
        let arguments = function.check(what, sink);
        let methods = methods(kind, &mut args, sink);
        let settings = settings::read(std::mem::take(&mut args.options), sink);
        let Some(path) = args.text else {
            let example = format!("a route needs a path first: `#[{}(\"/…\")]`", kind.name());
            sink.at_span(Span::call_site(), example);
            return None;
        };
        let parameters = path::parse(&path, sink);
        let beside_path = beside_path(&parameters, &arguments);
        let inputs = inputs(parameters, arguments, sink);
        let docs = doc::text(&function.attributes);
        Some(Self { ember: args.ember, path, methods, docs, inputs, beside_path, settings })
    }
}

/// Sorts the arguments: those named like a parameter of the path, and the extractors.
fn inputs(mut parameters: Vec<Parameter>, arguments: Vec<Argument>, sink: &Sink) -> Vec<Input> {
    let whole_path = arguments.iter().any(|argument| takes_whole_path(&argument.ty));
    let names: Vec<_> = arguments
        .iter()
        .filter_map(|argument| argument.name.as_ref().map(Ident::to_string))
        .collect();
    let mut inputs: Vec<_> =
        arguments.into_iter().map(|argument| input(&mut parameters, argument)).collect();
    if let Some(last) = inputs.iter_mut().rfind(|input| matches!(input, Input::Head(_)))
        && let Input::Head(ty) = last
    {
        *last = Input::Last(ty.clone());
    }
    for Parameter { name, span } in parameters.iter().filter(|_| !whole_path) {
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let hint = match nearest(name, &names) {
            Some(near) => format!("is the argument `{near}` meant, or is an argument missing?"),
            None => format!("add `{name}: …`, or `Path<…>` for all parameters"),
        };
        sink.at_span(
            *span,
            format!("no argument takes the parameter `{name}` of the path; {hint}"),
        );
    }
    inputs
}

/// Tells whether a type sees all parameters, itself or within an extractor around it.
fn takes_whole_path(ty: &Type) -> bool {
    let path = match ty {
        Type::Path(path) => path,
        Type::Group(group) => return takes_whole_path(&group.elem),
        Type::Paren(paren) => return takes_whole_path(&paren.elem),
        _ => return false,
    };
    let Some(last) = path.path.segments.last() else { return false };
    if WHOLE_PATH.iter().any(|known| last.ident == known) {
        return true;
    }
    match &last.arguments {
        PathArguments::AngleBracketed(inner) if AROUND.iter().any(|known| last.ident == known) => {
            let first = inner.args.first();
            matches!(first, Some(GenericArgument::Type(ty)) if takes_whole_path(ty))
        }
        _ => false,
    }
}

fn input(parameters: &mut Vec<Parameter>, argument: Argument) -> Input {
    let position = argument.name.and_then(|name| position(parameters, &name));
    match position {
        Some(position) => {
            let docs = doc::text(&argument.attributes);
            Input::Path { parameter: parameters.remove(position).name, ty: argument.ty, docs }
        }
        None => Input::Head(argument.ty),
    }
}

/// Finds the parameter that an argument of this name takes.
fn position(parameters: &[Parameter], name: &Ident) -> Option<usize> {
    let name = name.to_string();
    // A leading underscore says that the function does not use the value.
    let unused = name.strip_prefix('_');
    parameters.iter().position(|known| known.name == name || unused == Some(&known.name))
}

fn beside_path(parameters: &[Parameter], arguments: &[Argument]) -> Vec<String> {
    let beside = arguments.iter().filter(|argument| !takes_whole_path(&argument.ty));
    let names = beside.filter_map(|argument| argument.name.as_ref());
    names.filter(|name| position(parameters, name).is_none()).map(Ident::to_string).collect()
}

fn methods(kind: Kind, args: &mut Args, sink: &Sink) -> Vec<String> {
    let listed = args.take(keys::METHODS);
    match (kind, listed) {
        (Kind::Method(_, method), _) => vec![method.to_owned()],
        (_, Some(listed)) => listed_methods(&listed, sink),
        (Kind::Ai, None) => vec!["POST".to_owned()],
        (Kind::Any, None) => {
            sink.at_span(
                Span::call_site(),
                "`#[route]` needs its methods: `methods = [GET, POST]`",
            );
            Vec::new()
        }
    }
}

/// `[GET, POST]`, or the same in quotes.
fn listed_methods(listed: &Expr, sink: &Sink) -> Vec<String> {
    let Expr::Array(array) = listed else {
        sink.at(listed, "methods are listed in brackets: `methods = [GET, POST]`");
        return Vec::new();
    };
    if array.elems.is_empty() {
        sink.at(array, "a route needs at least one method");
    }
    let mut methods: Vec<String> = Vec::new();
    for element in &array.elems {
        let text = element.to_token_stream().to_string();
        let method = text.trim_matches('"').to_owned();
        if !METHODS.contains(&method.as_str()) {
            let hint = nearest(&method.to_uppercase(), METHODS)
                .map(|near| format!("; did you mean `{near}`?"));
            sink.at(element, format!("`{method}` is no method{}", hint.unwrap_or_default()));
        } else if methods.contains(&method) {
            sink.at(element, format!("the method `{method}` is listed twice"));
        } else {
            methods.push(method);
        }
    }
    methods
}
