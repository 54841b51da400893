use super::ast::Ast;
use crate::diag::Sink;
use crate::sig::{Argument, Function, last_segment};
use crate::{doc, keys};
use proc_macro2::Span;
use syn::ext::IdentExt as _;
use syn::{Expr, Path, Type};

/// A tool in which nothing is wrong that a macro can see.
pub(super) struct Checked {
    pub(super) ember: Path,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) timeout: Option<Expr>,
    pub(super) parameters: Vec<Parameter>,
    /// Whether the function returns a `Result`, by the name of its type.
    pub(super) fallible: bool,
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
        let arguments = function.check("a tool", sink);
        if let Some(text) = &args.text {
            sink.at(text, "a tool is named by its function, or with `name = \"…\"`");
        }
        let name = args.take_text(keys::NAME, sink);
        let span = name.as_ref().map_or_else(|| function.name().span(), syn::LitStr::span);
        let name = name.map_or_else(|| function.name().unraw().to_string(), |name| name.value());
        check_name(&name, span, sink);
        let description = match args.take_text(keys::DESCRIPTION, sink) {
            Some(text) => text.value(),
            None => doc::before_heading(&doc::text(&function.attributes)),
        };
        let parameters =
            arguments.into_iter().filter_map(|argument| parameter(argument, sink)).collect();
        let fallible =
            function.named_output().and_then(last_segment).is_some_and(|ty| ty == "Result");
        Self {
            timeout: args.take(keys::TIMEOUT),
            ember: args.ember,
            name,
            description,
            parameters,
            fallible,
        }
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

fn parameter(argument: Argument, sink: &Sink) -> Option<Parameter> {
    let Some(name) = argument.name else {
        sink.at(&argument.ty, "an argument of a tool needs a name, which the model will use");
        return None;
    };
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
    let description = doc::text(&argument.attributes);
    Some(Parameter { name: name.to_string(), description, ty: argument.ty, default })
}
