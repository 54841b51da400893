use super::ast::Ast;
use crate::diag::Sink;
use crate::sig::{Argument, Function, last_segment};
use crate::{doc, keys};
use proc_macro2::Span;
use quote::ToTokens as _;
use syn::{Expr, GenericArgument, Ident, Path, PathArguments, Type};

/// A tool in which nothing is wrong that a macro can see.
pub(super) struct Checked {
    pub(super) ember: Path,
    pub(super) name: String,
    pub(super) description: String,
    /// The options that are set when the tool is made, as methods and their values.
    pub(super) options: Vec<(Ident, Expr)>,
    pub(super) inputs: Vec<Input>,
}

/// An argument, and where it comes from.
pub(super) enum Input {
    /// The model gives it.
    Parameter(Box<Parameter>),
    /// The application gives it.
    Context(Box<Type>),
}

/// A parameter of a tool.
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) ty: Type,
    pub(super) default: Option<Expr>,
}

impl Checked {
    pub(super) fn check(ast: Ast, function: &Function, sink: &Sink) -> Self {
        let mut args = ast.args;
        let arguments = function.check_with_defaults("a tool", sink);
        if let Some(text) = &args.text {
            sink.at(text, "a tool is named by its function, or with `name = \"…\"`");
        }
        let name = args.take_text(keys::NAME, sink);
        let span = name.as_ref().map_or_else(|| function.name().span(), syn::LitStr::span);
        let name = name.map_or_else(|| function.title(), |name| name.value());
        check_name(&name, span, sink);
        let description = match args.take_text(keys::DESCRIPTION, sink) {
            Some(text) => text.value(),
            None => {
                doc::check("a tool", &function.attributes, sink);
                doc::before_heading(&doc::text(&function.attributes))
            }
        };
        let inputs = arguments.into_iter().filter_map(|argument| input(argument, sink)).collect();
        let options =
            [keys::TIMEOUT, keys::MAX_CALLS, keys::STRICT].into_iter().filter_map(|key| {
                let value = args.take(key)?;
                Some((Ident::new(key, Span::call_site()), value))
            });
        let options = options.collect();
        Self { options, ember: args.ember, name, description, inputs }
    }
}

/// What every provider accepts.
fn check_name(name: &str, span: Span, sink: &Sink) {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !(1..=64).contains(&name.len()) || !name.bytes().all(allowed) {
        let message = format!(
            "`{name}` cannot be the name of a tool: 1 to 64 letters, digits, `_` or `-` can"
        );
        sink.at_span(span, message);
    }
}

fn input(argument: Argument, sink: &Sink) -> Option<Input> {
    if !is_context(&argument.ty) {
        return parameter(argument, sink).map(Box::new).map(Input::Parameter);
    }
    for attribute in &argument.attributes {
        if attribute.path().is_ident(keys::DEFAULT) {
            sink.at(attribute, "the application gives this argument, so it has no default");
        }
    }
    Some(Input::Context(Box::new(argument.ty)))
}

/// Tells by its name whether a type is one that the application gives.
fn is_context(ty: &Type) -> bool {
    let Some(name) = last_segment(ty) else { return false };
    match name.to_string().as_str() {
        "Component" | "ToolContext" => true,
        "Option" => only_argument(ty).is_some_and(is_context),
        _ => false,
    }
}

/// `T` in `Option<T>`.
fn only_argument(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else {
        return None;
    };
    match arguments.args.first()? {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    }
}

fn parameter(argument: Argument, sink: &Sink) -> Option<Parameter> {
    let Some(name) = argument.name else {
        sink.at(&argument.ty, "an argument of a tool needs a name, which the model will use");
        return None;
    };
    if let Type::Reference(reference) = &argument.ty {
        let owned = match &*reference.elem {
            Type::Path(path) if path.path.is_ident("str") => "String".to_owned(),
            Type::Slice(slice) => format!("Vec<{}>", slice.elem.to_token_stream()),
            other => other.to_token_stream().to_string(),
        };
        let message = format!(
            "the argument `{name}` cannot be borrowed, as a tool keeps what the model gives: write `{owned}`"
        );
        sink.at(&argument.ty, message);
        return None;
    }
    let mut defaults =
        argument.attributes.iter().filter(|attribute| attribute.path().is_ident(keys::DEFAULT));
    let default = defaults.next().and_then(|attribute| match attribute.parse_args::<Expr>() {
        Ok(default) => Some(default),
        Err(_) => {
            sink.at(attribute, "a default is written `#[default(value)]`");
            None
        }
    });
    if let Some(second) = defaults.next() {
        sink.at(second, format!("the argument `{name}` has two defaults"));
    }
    doc::check("an argument", &argument.attributes, sink);
    let description = doc::text(&argument.attributes);
    Some(Parameter { name: name.to_string(), description, ty: argument.ty, default })
}
