//! `#[tool]`.

mod ast;
mod check;
mod expand;

use crate::diag::Sink;
use crate::{fallback, sig};
use ast::Ast;
use check::Checked;
use proc_macro2::TokenStream;

/// Reads, checks and expands the attribute.
pub(crate) fn attribute(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let function = match sig::parse(item) {
        Ok(function) => function,
        Err(tokens) => return tokens,
    };
    let sink = Sink::new();
    let ast = Ast::parse(attribute, &sink);
    let ember = ast.args.ember.clone();
    let checked = Checked::check(ast, &function, &sink);
    match sink.finish() {
        Ok(()) => expand::expand(&checked, &function),
        Err(errors) => fallback::tool(&ember, &function, errors),
    }
}
