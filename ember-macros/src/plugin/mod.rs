//! `#[plugin]`.

mod check;
mod expand;

use crate::args::Args;
use crate::diag::Sink;
use check::Checked;
use proc_macro2::TokenStream;
use quote::quote;

/// Reads, checks and expands the attribute. The type is emitted whatever is wrong.
pub(crate) fn attribute(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let sink = Sink::new();
    let args = Args::parse_open(attribute, &sink);
    let checked = Checked::check(args, &item, &sink);
    let block = match (sink.finish(), checked) {
        (Ok(()), Some(checked)) => expand::expand(&checked),
        (Ok(()), None) => TokenStream::new(),
        (Err(errors), _) => errors,
    };
    quote!(#item #block)
}
