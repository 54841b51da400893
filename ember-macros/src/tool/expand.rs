use super::check::{Checked, Input, Parameter};
use crate::paths::{in_block, location, name_type};
use crate::sig::Function;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Ident, Type};

/// Emits the function as it is, the type of its name, and its descriptor.
pub(super) fn expand(tool: &Checked, function: &Function) -> TokenStream {
    let name = function.name();
    let name_type = name_type(&function.visibility, name);
    let (title, description) = (&tool.name, &tool.description);
    let location = location(name);
    let defaults = defaults(&tool.inputs);
    let parameters = parameters(&tool.inputs);
    let needs = needs(&tool.inputs);
    let call = call(tool, function);
    let options = options(tool);
    let block = in_block(
        &tool.ember,
        quote! {
            #(#defaults)*
            impl __ember::ToolItem for #name {
                const TOOL: __ember::ToolDescriptor =
                    __ember::ToolDescriptor::new::<Self>(#title, #description, #location);
                #parameters
                #needs
                #call
                #options
            }
            __ember::inventory::submit! { <#name as __ember::ToolItem>::TOOL }
        },
    );
    quote!(#function #name_type #block)
}

/// Sets the options of the attribute.
fn options(tool: &Checked) -> Option<TokenStream> {
    let variable = local("options");
    let sets = tool.options.iter().map(|(method, value)| quote!(#variable.#method(#value);));
    let sets: Vec<_> = sets.collect();
    (!sets.is_empty()).then(|| {
        quote! {
            fn options(#variable: &mut __ember::ToolOptions) {
                #(#sets)*
            }
        }
    })
}

/// A variable of ours: one of the user's that has the same name is another.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// What the model gives, with the place of each among the arguments.
fn given(inputs: &[Input]) -> impl Iterator<Item = (usize, &Parameter)> {
    inputs.iter().enumerate().filter_map(|(index, input)| match input {
        Input::Parameter(parameter) => Some((index, &**parameter)),
        Input::Context(_) => None,
    })
}

/// What the application gives.
fn supplied(inputs: &[Input]) -> impl Iterator<Item = (usize, &Type)> {
    inputs.iter().enumerate().filter_map(|(index, input)| match input {
        Input::Parameter(_) => None,
        Input::Context(ty) => Some((index, &**ty)),
    })
}

/// The defaults, each a function, as they are wanted in two places.
fn defaults(inputs: &[Input]) -> Vec<TokenStream> {
    let defaults = given(inputs).filter_map(|(index, Parameter { ty, default, .. })| {
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
fn parameters(inputs: &[Input]) -> TokenStream {
    let variable = local("parameters");
    let adds = given(inputs).map(|(index, parameter)| {
        let Parameter { name, description, ty, default } = parameter;
        let default_name = default_name(index);
        match default {
            None => quote_spanned!(ty.span()=> #variable.add::<#ty>(#name, #description);),
            Some(_) => quote_spanned! {ty.span()=>
                #variable.add_or::<#ty>(#name, #description, __ember::default_json!(#default_name()));
            },
        }
    });
    let adds: Vec<_> = adds.collect();
    let argument = if adds.is_empty() { quote!(_) } else { variable.to_token_stream() };
    quote! {
        fn parameters(#argument: &mut __ember::Parameters) {
            #(#adds)*
        }
    }
}

/// Says what the application must have.
fn needs(inputs: &[Input]) -> Option<TokenStream> {
    let variable = local("needs");
    let needs = supplied(inputs).map(|(_, ty)| {
        quote_spanned!(ty.span()=> <#ty as __ember::FromToolContext>::describe(#variable);)
    });
    let needs: Vec<_> = needs.collect();
    (!needs.is_empty()).then(|| {
        quote! {
            fn needs(#variable: &mut __ember::ToolNeeds) {
                #(#needs)*
            }
        }
    })
}

/// Reads the arguments and calls the function.
fn call(tool: &Checked, function: &Function) -> TokenStream {
    let variable = local("arguments");
    let names: Vec<Ident> =
        (0..tool.inputs.len()).map(|index| local(&format!("arg{index}"))).collect();
    let taken: Vec<_> = given(&tool.inputs).map(|(index, _)| &names[index]).collect();
    let takes = given(&tool.inputs).map(|(index, parameter)| {
        let Parameter { name, ty, default, .. } = parameter;
        let default_name = default_name(index);
        match default {
            None => quote_spanned!(ty.span()=> #variable.take::<#ty>(#name)),
            Some(_) => quote_spanned!(ty.span()=> #variable.take_or::<#ty>(#name, #default_name)),
        }
    });
    let takes = (!taken.is_empty()).then(|| {
        quote! {
            let (#(::core::option::Option::Some(#taken),)*) = (#(#takes,)*) else {
                return ::core::result::Result::Err(#variable.refuse());
            };
        }
    });
    let supplies = supplied(&tool.inputs).map(|(index, ty)| {
        let name = &names[index];
        quote_spanned!(ty.span()=> let #name = #variable.supply::<#ty>()?;)
    });
    let arguments = if taken.is_empty() { quote!(#variable) } else { quote!(mut #variable) };
    let function_name = function.name();
    let call = quote_spanned!(function_name.span()=> #function_name(#(#names),*));
    let call = match function.signature.asyncness {
        Some(_) => quote!(#call.await),
        // A function that blocks must not block a worker.
        None => quote!(__ember::blocking(move || #call).await),
    };
    // What cannot be written as JSON is shown at the type of the result, which takes a variable
    // that stands there. Nothing of the user's follows that it could hide.
    let result = Ident::new("__result", function.output().span());
    let write = quote_spanned! {function.output().span()=>
        (&&__ember::ToolOutput::of(&#result)).kind().write(#result)
    };
    quote_spanned! {function_name.span()=>
        fn call(#arguments: __ember::Arguments) -> __ember::ToolFuture {
            #[allow(unused_imports)]
            use __ember::{ToolResultKind as _, ToolValueKind as _};
            __ember::Box::pin(async move {
                #takes
                #(#supplies)*
                #variable.finish()?;
                let #result = #call;
                #write
            })
        }
    }
}
