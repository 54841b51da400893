//! What is emitted around everything: a block of its own, in which `__ember` is the private module.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Ident, Path, Visibility};

/// Puts items into a block of their own.
///
/// A function in it has a name that begins with two underscores, so that the user's function,
/// which it calls, can have any.
pub(crate) fn in_block(ember: &Path, items: TokenStream) -> TokenStream {
    quote! {
        const _: () = {
            use #ember::__private as __ember;
            #items
        };
    }
}

/// The place of a function in the source.
pub(crate) fn location(name: &Ident) -> TokenStream {
    // The line is that of the name, not of the attribute.
    location_at(name.span())
}

/// A place in the source.
pub(crate) fn location_at(span: Span) -> TokenStream {
    let line = quote_spanned!(span=> ::core::line!());
    quote! {
        __ember::Location { module: ::core::module_path!(), file: ::core::file!(), line: #line }
    }
}

/// The type of a function's own name, by which other macros refer to it.
///
/// It has braces, so that it lives among the types only, and the function among the values.
pub(crate) fn name_type(visibility: &Visibility, name: &Ident) -> TokenStream {
    quote! {
        #[doc(hidden)]
        #[allow(dead_code, missing_debug_implementations, non_camel_case_types, unreachable_pub)]
        #visibility struct #name {}
    }
}
