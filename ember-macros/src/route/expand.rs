use super::check::{Checked, Input};
use crate::paths::{in_block, location, name_type};
use crate::settings;
use crate::sig::{Function, type_arguments};
use crate::takes::{self, local};
use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Ident, Type};

/// Emits the function as it is, the type of its name, and its descriptor.
pub(super) fn expand(route: &Checked, function: &Function) -> TokenStream {
    let name = function.name();
    let name_type = name_type(&function.visibility, name);
    let (path, methods, docs) = (&route.path, &route.methods, &route.docs);
    let title = function.title();
    let location = location(name);
    let handle = handle(route, function);
    let describe = describe(route, function);
    let beside_path = &route.beside_path;
    let arguments = (!beside_path.is_empty()).then(|| quote!(.arguments(&[#(#beside_path),*])));
    let options =
        (!route.settings.is_empty()).then(|| settings::function("options", &route.settings));
    let block = in_block(
        &route.ember,
        quote! {
            impl __ember::RouteItem for #name {
                const ROUTE: __ember::RouteDescriptor =
                    __ember::RouteDescriptor::new::<Self>(#title, &[#(#methods),*], #path, #docs, #location)#arguments;
                #handle
                #describe
                #options
            }
            __ember::inventory::submit! { <#name as __ember::RouteItem>::ROUTE }
        },
    );
    quote!(#function #name_type #block)
}

/// Takes the arguments from the request, in their order, and calls the function.
///
/// Calls have the places of the user's tokens, so that messages point there. Variables have names
/// that meet no name of the user's, not even that of the function.
fn handle(route: &Checked, function: &Function) -> TokenStream {
    let variable = local("request");
    let names: Vec<Ident> =
        (0..route.inputs.len()).map(|index| local(&format!("arg{index}"))).collect();
    let takes = route.inputs.iter().zip(&names).filter_map(|(input, name)| match input {
        Input::Path { parameter, ty, .. } => Some(
            quote_spanned!(ty.span()=> let #name = __ember::path::<#ty>(&#variable, #parameter)?;),
        ),
        Input::Head(ty) => Some(
            quote_spanned!(ty.span()=> let #name = __ember::head::<#ty, _>(&mut #variable).await?;),
        ),
        Input::Last(_) => None,
    });
    // The last extractor consumes the request, so it comes last whatever its place.
    let last = route.inputs.iter().zip(&names).find_map(|(input, name)| match input {
        Input::Last(ty) => {
            Some(quote_spanned!(ty.span()=> let #name = __ember::last::<#ty, _>(#variable).await?;))
        }
        _ => None,
    });
    let needs_head = route.inputs.iter().any(|input| matches!(input, Input::Head(_)));
    let (kind, request) = match (needs_head, route.inputs.is_empty()) {
        (true, _) => (quote!(OfRequest), quote!(mut #variable)),
        (false, true) => (quote!(OfNothing), quote!()),
        (false, false) => (quote!(OfRequest), quote!(#variable)),
    };
    let function_name = function.name();
    let call = quote_spanned!(function_name.span()=> #function_name(#(#names),*).await);
    let answer = match function.named_output() {
        Some(ty) => quote_spanned!(ty.span()=> __ember::answer::<#ty>(#call)),
        None => quote_spanned!(function.output().span()=> __ember::answer(#call)),
    };
    // For what takes nothing no request is put together. What is not `Send` is shown at the name.
    quote_spanned! {function_name.span()=>
        const HANDLE: __ember::HandlerFn = __ember::HandlerFn::#kind(|#request| {
            __ember::Box::pin(async move {
                #(#takes)*
                #last
                #answer
            })
        });
    }
}

/// Asks the types what they need; those that cannot tell are told of by `handle`.
///
/// The types within other types, such as `T` in `Json<T>`, are asked for their schema here, where
/// the compiler knows whether they have one; the outer type could only demand it.
fn describe(route: &Checked, function: &Function) -> TokenStream {
    let variable = local("operation");
    let mut known: Vec<&Type> = Vec::new();
    let inputs = route.inputs.iter().map(|input| match input {
        Input::Path { parameter, ty, docs } => {
            known.push(ty);
            quote!(#variable.path_parameter::<#ty>(#parameter, #docs);)
        }
        Input::Head(ty) | Input::Last(ty) => {
            type_arguments(ty, &mut known);
            quote!((&&&__ember::Input::<#ty>::NEW).describe(#variable);)
        }
    });
    let inputs: Vec<_> = inputs.collect();
    let output = function.named_output();
    if let Some(output) = output {
        type_arguments(output, &mut known);
    }
    let schemas = takes::schemas(known, &variable);
    let operation = match (inputs.is_empty(), output) {
        (true, None) => quote!(_),
        _ => variable.into_token_stream(),
    };
    let output = output.map(|ty| quote!((&&__ember::Output::<#ty>::NEW).describe(#operation);));
    quote! {
        fn describe(#operation: &mut __ember::Operation) {
            #[allow(unused_imports)]
            use __ember::describe::{
                DescribeBody as _, DescribeHead as _, DescribeNothing as _, DescribeOutput as _, DescribeType as _,
            };
            #schemas
            #(#inputs)*
            #output
        }
    }
}
