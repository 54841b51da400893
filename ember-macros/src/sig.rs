//! The function that an attribute stands on.

use crate::diag::Sink;
use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt as _, quote};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, FnArg, GenericArgument, Ident, Pat, PathArguments, ReturnType, Signature, Type,
    Visibility,
};

/// A function, with its body left unparsed: what is wrong in there is the compiler's to say.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    body: TokenStream,
}

/// An argument of a function.
pub(crate) struct Argument {
    /// Its name, where it has one.
    pub(crate) name: Option<Ident>,
    pub(crate) ty: Type,
    /// The attributes on it, which the compiler does not see.
    pub(crate) attributes: Vec<Attribute>,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let signature = input.parse()?;
        let body = match input.parse()? {
            TokenTree::Group(body) if input.is_empty() => body.into_token_stream(),
            other => {
                return Err(syn::Error::new(
                    other.span(),
                    "a function with a body is expected here",
                ));
            }
        };
        Ok(Self { attributes, visibility, signature, body })
    }
}

/// The function as the user wrote it, but for the attributes on its arguments, which only this macro knows.
impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let mut signature = self.signature.clone();
        for input in &mut signature.inputs {
            if let FnArg::Typed(argument) = input {
                argument.attrs.retain(|attribute| !is_ours(attribute));
            }
        }
        tokens.append_all(&self.attributes);
        self.visibility.to_tokens(tokens);
        signature.to_tokens(tokens);
        self.body.to_tokens(tokens);
    }
}

fn is_ours(attribute: &Attribute) -> bool {
    crate::doc::is_doc(attribute) || attribute.path().is_ident(crate::keys::DEFAULT)
}

fn is_cfg(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr")
}

impl Function {
    pub(crate) fn name(&self) -> &Ident {
        &self.signature.ident
    }

    /// What the function is called in messages and documents.
    pub(crate) fn title(&self) -> String {
        self.name().unraw().to_string()
    }

    /// The function without its attributes, for where it stands within another.
    pub(crate) fn without_attributes(&self) -> TokenStream {
        let (signature, body) = (&self.signature, &self.body);
        quote!(#signature #body)
    }

    /// The type of the result; `()` where none is written.
    pub(crate) fn output(&self) -> TokenStream {
        match &self.signature.output {
            ReturnType::Default => quote!(()),
            ReturnType::Type(_, ty) => ty.to_token_stream(),
        }
    }

    /// The type of the result, if it is one that can be named.
    pub(crate) fn named_output(&self) -> Option<&Type> {
        match &self.signature.output {
            ReturnType::Type(_, ty) if !mentions_impl(ty) => Some(ty),
            _ => None,
        }
    }

    /// Checks that this is a free function that can be called without a type being chosen, and
    /// returns its arguments. `what` is the thing that it makes, for messages: "a route".
    pub(crate) fn check(&self, what: &str, sink: &Sink) -> Vec<Argument> {
        let arguments = self.check_with_defaults(what, sink);
        for attribute in arguments.iter().flat_map(|argument| &argument.attributes) {
            if attribute.path().is_ident(crate::keys::DEFAULT) {
                let message = format!(
                    "an argument of {what} has no default, which those of tools can have: take an `Option<…>`, \
                     or a struct whose field has a `#[serde(default)]`"
                );
                sink.at(attribute, message);
            }
        }
        arguments
    }

    /// As [`Function::check`], for what may have defaults.
    pub(crate) fn check_with_defaults(&self, what: &str, sink: &Sink) -> Vec<Argument> {
        let signature = &self.signature;
        if let Some(token) = &signature.constness {
            sink.at(token, format!("{what} cannot be a `const` function"));
        }
        if !matches!(signature.safety, syn::Safety::Default) {
            sink.at(&signature.safety, format!("{what} cannot be an `unsafe` function"));
        }
        if let Some(abi) = &signature.abi {
            sink.at(abi, format!("{what} cannot be an `extern` function"));
        }
        if !signature.generics.params.is_empty() {
            sink.at(
                &signature.generics,
                format!("{what} cannot be generic: nobody would choose its types"),
            );
        }
        if let Some(variadic) = &signature.variadic {
            sink.at(variadic, format!("{what} has a fixed number of arguments"));
        }
        let arguments = signature.inputs.iter().filter_map(|input| match input {
            FnArg::Receiver(receiver) => {
                sink.at(receiver, format!("{what} is a free function: it cannot take `self`"));
                None
            }
            FnArg::Typed(argument) => {
                for attribute in argument.attrs.iter().filter(|attribute| is_cfg(attribute)) {
                    sink.at(
                        attribute,
                        "an argument cannot depend on a condition, as the call of the function is written at once: put \
                         it on the function, and write one for each case",
                    );
                }
                if mentions_impl(&argument.ty) {
                    sink.at(&argument.ty, "an argument needs a type that has a name, so `impl Trait` cannot stand here");
                    return None;
                }
                let name = match &*argument.pat {
                    Pat::Ident(pat) => Some(pat.ident.unraw()),
                    _ => None,
                };
                let ty = (*argument.ty).clone();
                Some(Argument { name, ty, attributes: argument.attrs.clone() })
            }
        });
        arguments.collect()
    }

    /// Checks that the function is async.
    pub(crate) fn check_async(&self, what: &str, sink: &Sink) {
        if self.signature.asyncness.is_none() {
            let message = format!("{what} is an async function: write `async fn {}`", self.name());
            sink.at(self.signature.fn_token, message);
        }
    }
}

fn mentions_impl(ty: &Type) -> bool {
    let mut tokens: Vec<_> = ty.to_token_stream().into_iter().collect();
    while let Some(token) = tokens.pop() {
        match token {
            TokenTree::Ident(ident) if ident == "impl" => return true,
            TokenTree::Group(group) => tokens.extend(group.stream()),
            _ => {}
        }
    }
    false
}

/// The types that stand within a type: `Json<Task>` and `Task` in `Result<Json<Task>>`.
pub(crate) fn type_arguments<'a>(ty: &'a Type, found: &mut Vec<&'a Type>) {
    let mut inner = |ty: &'a Type| {
        found.push(ty);
        type_arguments(ty, found);
    };
    match ty {
        Type::Path(path) => {
            for segment in &path.path.segments {
                let PathArguments::AngleBracketed(arguments) = &segment.arguments else { continue };
                for argument in &arguments.args {
                    if let GenericArgument::Type(ty) = argument {
                        inner(ty);
                    }
                }
            }
        }
        Type::Tuple(tuple) => tuple.elems.iter().for_each(inner),
        Type::Array(array) => inner(&array.elem),
        Type::Slice(slice) => inner(&slice.elem),
        Type::Reference(reference) => inner(&reference.elem),
        Type::Group(group) => type_arguments(&group.elem, found),
        Type::Paren(paren) => type_arguments(&paren.elem, found),
        _ => {}
    }
}

/// The last segment of a path, if the type is one: `Path` of `ember::Path<u64>`.
pub(crate) fn last_segment(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

/// Checks that an item is parsed as a function; what is no function is given back as it was, with the mistake.
pub(crate) fn parse(item: TokenStream) -> Result<Function, TokenStream> {
    syn::parse2(item.clone()).map_err(|error| {
        let error =
            syn::Error::new(error.span(), format!("this attribute stands on a function: {error}"));
        let error = error.into_compile_error();
        quote!(#item #error)
    })
}
