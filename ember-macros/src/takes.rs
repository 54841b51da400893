//! How the arguments of a function are taken, where there is a request and where there is none yet.

use crate::sig::{Argument, last_segment};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use std::collections::BTreeSet;
use syn::spanned::Spanned as _;
use syn::{Ident, Type};

/// A name that meets no name of the user's: neither that of a function nor that of an argument.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// Statements that take arguments, and the names of what they take.
pub(crate) struct Takes {
    pub(crate) names: Vec<Ident>,
    pub(crate) statements: Vec<TokenStream>,
}

impl Takes {
    /// Takes extractors from the head of a request, which is `parts`.
    pub(crate) fn from_parts(arguments: &[Argument], parts: &Ident) -> Self {
        Self::each(
            arguments,
            |name, ty| quote_spanned!(ty.span()=> let #name = __ember::part::<#ty>(#parts).await?;),
        )
    }

    /// Takes components from all that are there.
    pub(crate) fn from_components(arguments: &[Argument], components: &Ident) -> Self {
        Self::each(arguments, |name, ty| {
            let take = if is_component(ty) { quote!(component) } else { quote!(cloned) };
            quote_spanned!(ty.span()=> let #name = __ember::#take::<#ty>(#components)?;)
        })
    }

    fn each(arguments: &[Argument], take: impl Fn(&Ident, &Type) -> TokenStream) -> Self {
        let names: Vec<_> = (0..arguments.len())
            .map(|index| format_ident!("arg{index}", span = Span::mixed_site()))
            .collect();
        let statements =
            names.iter().zip(arguments).map(|(name, argument)| take(name, &argument.ty)).collect();
        Self { names, statements }
    }
}

/// The components that stand behind arguments, as expressions.
pub(crate) fn needs(arguments: &[Argument]) -> Vec<TokenStream> {
    let needs = arguments.iter().map(|Argument { ty, .. }| match is_component(ty) {
        true => quote_spanned!(ty.span()=> <#ty as __ember::FromComponents>::need()),
        false => quote_spanned!(ty.span()=> __ember::need_of::<#ty>()),
    });
    needs.collect()
}

/// Asks extractors what they need, and says what else is known.
pub(crate) fn describe(
    arguments: &[Argument],
    more: impl Fn(&Ident) -> TokenStream,
) -> TokenStream {
    let types: Vec<_> = arguments.iter().map(|argument| &argument.ty).collect();
    let operation = local("operation");
    let more = more(&operation);
    quote! {
        fn __describe(#operation: &mut __ember::Operation) {
            let _ = &#operation;
            #(<#types as __ember::FromRequestParts>::describe(#operation);)*
            #more
        }
    }
}

/// Asks the types within types for their schemas, which the outer types could only demand.
pub(crate) fn schemas(types: Vec<&Type>, operation: &Ident) -> TokenStream {
    let mut asked = BTreeSet::new();
    let types = types.into_iter().filter(|ty| asked.insert(ty.to_token_stream().to_string()));
    quote!(#((&&__ember::Known::<#types>::NEW).describe(#operation);)*)
}

fn is_component(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|name| name == "Component")
}
