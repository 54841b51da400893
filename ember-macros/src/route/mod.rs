//! `#[get]` and its siblings.

mod ast;
mod check;
mod expand;

pub(crate) use ast::Kind;

use crate::diag::Sink;
use crate::{fallback, sig};
use ast::Ast;
use check::Checked;
use proc_macro2::TokenStream;

/// Reads, checks and expands a route attribute.
pub(crate) fn attribute(kind: Kind, attribute: TokenStream, item: TokenStream) -> TokenStream {
    let function = match sig::parse(item) {
        Ok(function) => function,
        Err(tokens) => return tokens,
    };
    let sink = Sink::new();
    let ast = Ast::parse(kind, attribute, &sink);
    let ember = ast.args.ember.clone();
    let checked = Checked::check(ast, &function, &sink);
    match (sink.finish(), checked) {
        (Ok(()), Some(checked)) => expand::expand(&checked, &function),
        (Ok(()), None) => fallback::route(&ember, &function, TokenStream::new()),
        (Err(errors), _) => fallback::route(&ember, &function, errors),
    }
}
