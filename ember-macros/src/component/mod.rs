//! `#[component]`.

use crate::args::Args;
use crate::beside::beside;
use crate::diag::Sink;
use crate::keys;
use crate::paths::{in_block, location};
use crate::sig::{Argument, Function, last_segment};
use crate::takes::{self, Takes, local};
use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Expr, Path, Type};

/// A factory in which nothing is wrong that a macro can see.
struct Checked {
    ember: Path,
    teardown: Option<Expr>,
    arguments: Vec<Argument>,
    output: Type,
}

/// Reads, checks and expands the attribute.
pub(crate) fn attribute(attribute: TokenStream, item: TokenStream) -> TokenStream {
    beside(item, |function, sink| check(attribute, function, sink), expand)
}

fn check(attribute: TokenStream, function: &Function, sink: &Sink) -> Option<Checked> {
    let mut args = Args::parse("component", &[keys::TEARDOWN], attribute, sink);
    let arguments = function.check("a component", sink);
    let teardown = args.take(keys::TEARDOWN);
    if let Some(other) = teardown.as_ref().filter(|value| !matches!(value, Expr::Path(_))) {
        sink.at(other, "`teardown` names an async function that takes the component");
    }
    match function.named_output() {
        Some(output) => {
            Some(Checked { ember: args.ember, teardown, arguments, output: output.clone() })
        }
        None => {
            let message = "a component is known by its type: the function returns `T` or `Result<T>` with a type that has a name";
            sink.at(function.name(), message);
            None
        }
    }
}

fn expand(factory: &Checked, function: &Function) -> TokenStream {
    let Checked { ember, teardown, arguments, output } = factory;
    let name = function.name();
    let (title, location) = (function.title(), location(name));
    let components = local("components");
    let Takes { names, statements } = Takes::from_components(arguments, &components);
    let wait = function.signature.asyncness.map(|_| quote!(.await));
    let call = quote!(#name(#(#names),*) #wait);
    let fails = last_segment(output).is_some_and(|name| name == "Result");
    let (value, built) = match fails {
        true => (
            quote_spanned!(output.span()=> <#output as __ember::Fallible>::Value),
            quote_spanned!(output.span()=> __ember::built(#call?)),
        ),
        false => (output.to_token_stream(), quote_spanned!(output.span()=> __ember::built(#call))),
    };
    let build = quote_spanned! {name.span()=>
        fn __build(#components: &__ember::Components) -> __ember::BuildFuture<'_> {
            __ember::Box::pin(async move {
                let _ = #components;
                #(#statements)*
                #built
            })
        }
    };
    let (taking_down, teardown) = match teardown {
        None => (TokenStream::new(), quote!(__ember::Option::None)),
        Some(path) => (
            quote_spanned! {path.span()=>
                fn __teardown(#components: &__ember::Components) -> __ember::TeardownFuture<'_> {
                    __ember::Box::pin(async move {
                        __ember::outcome(#path(__ember::component(#components)?).await)
                    })
                }
            },
            quote!(__ember::Option::Some(__teardown)),
        ),
    };
    let list = local(if arguments.is_empty() { "_needs" } else { "needs" });
    let needs = takes::needs(arguments);
    in_block(
        ember,
        quote! {
            #build
            #taking_down
            fn __needs(#list: &mut __ember::Vec<__ember::Need>) {
                #(#list.push(#needs);)*
            }
            __ember::inventory::submit! {
                __ember::ComponentDescriptor::new::<#value>(#title, #location, __needs, __build, #teardown)
            }
        },
    )
}
