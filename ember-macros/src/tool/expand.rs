use super::check::{Checked, Parameter};
use crate::paths::{in_block, location, name_type};
use crate::sig::Function;
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;
use syn::spanned::Spanned as _;

/// Emits the function as it is, the type of its name, and its descriptor.
pub(super) fn expand(tool: &Checked, function: &Function) -> TokenStream {
    let name = function.name();
    let name_type = name_type(&function.visibility, name);
    let (title, description) = (&tool.name, &tool.description);
    let location = location(name);
    let defaults = defaults(&tool.parameters);
    let parameters = parameters(&tool.parameters);
    let call = call(tool, function);
    let options = tool.timeout.as_ref().map(|timeout| {
        quote! {
            fn options(options: &mut __ember::ToolOptions) {
                options.timeout(#timeout);
            }
        }
    });
    let block = in_block(
        &tool.ember,
        quote! {
            #(#defaults)*
            impl __ember::ToolItem for #name {
                const TOOL: __ember::ToolDescriptor =
                    __ember::ToolDescriptor::new::<Self>(#title, #description, #location);
                #parameters
                #call
                #options
            }
            __ember::inventory::submit! { <#name as __ember::ToolItem>::TOOL }
        },
    );
    quote!(#function #name_type #block)
}

/// The defaults, each a function, as they are wanted in two places.
fn defaults(parameters: &[Parameter]) -> Vec<TokenStream> {
    let defaults = (0..).zip(parameters).filter_map(|(index, Parameter { ty, default, .. })| {
        let (name, default) = (default_name(index), default.as_ref()?);
        Some(quote_spanned! {ty.span()=>
            fn #name() -> #ty {
                #default
            }
        })
    });
    defaults.collect()
}

fn default_name(index: usize) -> Ident {
    format_ident!("__default{index}")
}

/// Describes the parameters to the model.
///
/// Here and in `call`, calls have the places of the user's tokens, so that messages point there.
/// Variables are interpolated: the name of one that had the place of a `macro_rules!` would not
/// be found.
fn parameters(parameters: &[Parameter]) -> TokenStream {
    let variable = format_ident!("parameters");
    let adds = (0..).zip(parameters).map(|(index, parameter)| {
        let Parameter { name, description, ty, default } = parameter;
        let default_name = default_name(index);
        match default {
            None => quote_spanned!(ty.span()=> #variable.add::<#ty>(#name, #description);),
            Some(_) => quote_spanned! {ty.span()=>
                #variable.add_or::<#ty>(#name, #description, __ember::default_json!(#default_name()));
            },
        }
    });
    let argument = if parameters.is_empty() { quote!(_) } else { quote!(#variable) };
    quote! {
        fn parameters(#argument: &mut __ember::Parameters) {
            #(#adds)*
        }
    }
}

/// Reads the arguments and calls the function.
fn call(tool: &Checked, function: &Function) -> TokenStream {
    let variable = format_ident!("arguments");
    let names: Vec<Ident> =
        (0..tool.parameters.len()).map(|index| format_ident!("arg{index}")).collect();
    let takes = (0..).zip(&tool.parameters).map(|(index, parameter)| {
        let Parameter { name, ty, default, .. } = parameter;
        let default_name = default_name(index);
        match default {
            None => quote_spanned!(ty.span()=> #variable.take::<#ty>(#name)),
            Some(_) => quote_spanned!(ty.span()=> #variable.take_or::<#ty>(#name, #default_name)),
        }
    });
    let takes = (!names.is_empty()).then(|| {
        quote! {
            let (#(::core::option::Option::Some(#names),)*) = (#(#takes,)*) else {
                return ::core::result::Result::Err(#variable.refuse());
            };
        }
    });
    let arguments = if names.is_empty() { quote!(#variable) } else { quote!(mut #variable) };
    let function_name = function.name();
    let call = quote_spanned!(function_name.span()=> #function_name(#(#names),*));
    let call = match function.signature.asyncness {
        Some(_) => quote!(#call.await),
        // A function that blocks must not block a worker.
        None => quote!(__ember::blocking(move || #call).await),
    };
    let finish = if tool.fallible { quote!(tool_result) } else { quote!(tool_value) };
    // What cannot be written as JSON is shown at the type of the result.
    let result = quote_spanned!(function.output().span()=> result);
    quote_spanned! {function_name.span()=>
        fn call(#arguments: __ember::Arguments) -> __ember::ToolFuture {
            __ember::Box::pin(async move {
                #takes
                #variable.finish()?;
                let #result = #call;
                __ember::#finish(#result)
            })
        }
    }
}
