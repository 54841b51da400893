//! What is emitted when something is wrong: the user's function as it is, the type of its name
//! with an implementation that satisfies whoever refers to it, and the messages.

use crate::paths::{in_block, location, name_type};
use crate::sig::Function;
use proc_macro2::TokenStream;
use quote::quote;
use syn::Path;

pub(crate) fn route(ember: &Path, function: &Function, errors: TokenStream) -> TokenStream {
    let name = function.name();
    let location = location(name);
    let implementation = quote! {
        impl __ember::RouteItem for #name {
            const ROUTE: __ember::RouteDescriptor = __ember::RouteDescriptor::new::<Self>("", &[], "/", "", #location);
            const HANDLE: __ember::HandlerFn = __ember::HandlerFn::OfNothing(|| ::core::unimplemented!());
            fn describe(_: &mut __ember::Operation) {}
        }
    };
    with(ember, function, implementation, errors)
}

pub(crate) fn tool(ember: &Path, function: &Function, errors: TokenStream) -> TokenStream {
    let name = function.name();
    let location = location(name);
    let implementation = quote! {
        impl __ember::ToolItem for #name {
            const TOOL: __ember::ToolDescriptor = __ember::ToolDescriptor::new::<Self>("", "", #location);
            fn parameters(_: &mut __ember::Parameters) {}
            fn call(_: __ember::Arguments) -> __ember::ToolFuture {
                ::core::unimplemented!()
            }
        }
    };
    with(ember, function, implementation, errors)
}

fn with(
    ember: &Path,
    function: &Function,
    implementation: TokenStream,
    errors: TokenStream,
) -> TokenStream {
    let name_type = name_type(&function.visibility, function.name());
    // A method cannot have a type of its name beside it.
    let beside = match function.signature.receiver() {
        Some(_) => TokenStream::new(),
        None => {
            let block = in_block(ember, implementation);
            quote!(#name_type #block)
        }
    };
    quote! {
        #function
        #beside
        #errors
    }
}
