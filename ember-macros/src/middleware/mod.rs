//! `#[middleware]`.

use crate::args::Args;
use crate::beside::beside;
use crate::diag::Sink;
use crate::paths::{in_block, location};
use crate::sig::{Function, last_segment};
use crate::{keys, reach};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Path;

/// Middleware in which nothing is wrong that a macro can see.
struct Checked {
    ember: Path,
    reach: Option<TokenStream>,
}

/// Reads, checks and expands the attribute.
pub(crate) fn attribute(attribute: TokenStream, item: TokenStream) -> TokenStream {
    beside(item, |function, sink| Some(check(attribute, function, sink)), expand)
}

fn check(attribute: TokenStream, function: &Function, sink: &Sink) -> Checked {
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
    Checked { ember: args.ember, reach }
}

/// Checks that the function is middleware, and leaves a descriptor if it reaches routes by itself.
fn expand(Checked { ember, reach }: &Checked, function: &Function) -> TokenStream {
    let name = function.name();
    let make = quote_spanned! {name.span()=>
        fn __make() -> __ember::BoxMiddleware {
            __ember::boxed_middleware(#name)
        }
    };
    let (title, location) = (function.title(), location(name));
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
