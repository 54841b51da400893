//! `#[ember::test]`.

use crate::args::Args;
use crate::diag::Sink;
use crate::sig::{self, Function};
use proc_macro2::TokenStream;
use quote::quote;

/// Reads, checks and expands the attribute.
pub(crate) fn attribute(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let function = match sig::parse(item) {
        Ok(function) => function,
        Err(tokens) => return tokens,
    };
    let sink = Sink::new();
    let args = Args::parse("ember::test", &[], attribute, &sink);
    if let Some(text) = &args.text {
        sink.at(text, "a test has the name of its function");
    }
    function.check_async("a test", &sink);
    if let Some(argument) = function.check("a test", &sink).first() {
        sink.at(&argument.ty, "nobody calls a test with arguments");
    }
    match sink.finish() {
        Ok(()) => expand(&args.ember, &function),
        Err(errors) => quote!(#function #errors),
    }
}

/// The function stands within one that the test harness can call.
fn expand(ember: &syn::Path, function: &Function) -> TokenStream {
    let Function { attributes, visibility, signature, .. } = function;
    let (name, output) = (&signature.ident, &signature.output);
    let inner = function.without_attributes();
    quote! {
        #(#attributes)*
        #[::core::prelude::v1::test]
        #visibility fn #name() #output {
            #inner
            #ember::__private::block_on(#name())
        }
    }
}
