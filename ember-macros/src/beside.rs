//! Attributes that leave a block beside the function they stand on, and nothing else.

use crate::diag::Sink;
use crate::sig::{self, Function};
use proc_macro2::TokenStream;
use quote::quote;

/// Reads a function, checks it, and emits what follows from it beside it. The function is emitted
/// whatever is wrong.
pub(crate) fn beside<Checked>(
    item: TokenStream,
    check: impl FnOnce(&Function, &Sink) -> Option<Checked>,
    expand: impl FnOnce(&Checked, &Function) -> TokenStream,
) -> TokenStream {
    let function = match sig::parse(item) {
        Ok(function) => function,
        Err(tokens) => return tokens,
    };
    let sink = Sink::new();
    let checked = check(&function, &sink);
    let block = match (sink.finish(), checked) {
        (Ok(()), Some(checked)) => expand(&checked, &function),
        (Ok(()), None) => TokenStream::new(),
        (Err(errors), _) => errors,
    };
    quote!(#function #block)
}
