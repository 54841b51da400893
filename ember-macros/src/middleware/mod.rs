//! `#[middleware]`.

use crate::args::Args;
use crate::diag::Sink;
use crate::paths::{in_block, location};
use crate::sig::{self, Function, last_segment};
use crate::{keys, reach};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Path;

/// Reads, checks and expands the attribute. The function is emitted whatever is wrong.
pub(crate) fn attribute(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let function = match sig::parse(item) {
        Ok(function) => function,
        Err(tokens) => return tokens,
    };
    let sink = Sink::new();
    let (ember, reach) = check(attribute, &function, &sink);
    let block = match sink.finish() {
        Ok(()) => expand(&ember, reach, &function),
        Err(errors) => errors,
    };
    quote!(#function #block)
}

fn check(attribute: TokenStream, function: &Function, sink: &Sink) -> (Path, Option<TokenStream>) {
    let mut args = Args::parse("middleware", &[keys::SCOPE], attribute, sink);
    function.check_async("middleware", sink);
    let arguments = function.check("middleware", sink);
    let ends_well = match &arguments[..] {
        [.., request, next] => {
            last_segment(&request.ty).is_some_and(|name| name == "Request")
                && last_segment(&next.ty).is_some_and(|name| name == "Next")
        }
        _ => false,
    };
    if !ends_well {
        let message = "the last two arguments of middleware are `request: Request, next: Next`";
        sink.at(function.name(), message);
    }
    let reach = reach::take(&mut args, sink);
    (args.ember, reach)
}

/// Checks that the function is middleware, and leaves a descriptor if it reaches routes by itself.
fn expand(ember: &Path, reach: Option<TokenStream>, function: &Function) -> TokenStream {
    let name = function.name();
    let make = quote_spanned! {name.span()=>
        fn __make() -> __ember::BoxMiddleware {
            __ember::boxed_middleware(#name)
        }
    };
    let (title, location) = (name.to_string(), location(name));
    let left = match reach {
        Some(reach) => quote! {
            __ember::inventory::submit! {
                __ember::MiddlewareDescriptor::new(#title, #reach, #location, __make)
            }
        },
        None => quote!(
            const _: fn() -> __ember::BoxMiddleware = __make;
        ),
    };
    in_block(ember, quote!(#make #left))
}
