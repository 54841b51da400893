//! `#[provider]`.

use crate::args::Args;
use crate::diag::Sink;
use crate::keys;
use crate::paths::{in_block, location};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Generics, Ident, Item, LitStr, Path};

/// A provider attribute in which nothing is wrong that a macro can see.
struct Checked {
    ember: Path,
    name: LitStr,
    ty: Ident,
    /// The settings it reads, as methods of the descriptor and their texts.
    settings: Vec<(Ident, LitStr)>,
}

/// Reads, checks and expands the attribute. The type is emitted whatever is wrong.
pub(crate) fn attribute(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let sink = Sink::new();
    let checked = check(attribute, &item, &sink);
    let block = match (sink.finish(), checked) {
        (Ok(()), Some(checked)) => expand(&checked),
        (Ok(()), None) => TokenStream::new(),
        (Err(errors), _) => errors,
    };
    quote!(#item #block)
}

fn check(attribute: TokenStream, item: &TokenStream, sink: &Sink) -> Option<Checked> {
    let known = &[keys::API_KEY_ENV, keys::MODEL_ENV, keys::BASE_URL_ENV, keys::DEFAULT_MODEL];
    let mut args = Args::parse("provider", known, attribute, sink);
    let settings = known.iter().filter_map(|key| {
        let text = args.take_text(key, sink)?;
        Some((Ident::new(key, text.span()), text))
    });
    let settings = settings.collect();
    let (ty, generics) = match syn::parse2::<Item>(item.clone()) {
        Ok(Item::Struct(item)) => (item.ident, item.generics),
        Ok(Item::Enum(item)) => (item.ident, item.generics),
        Ok(_) => {
            sink.at(
                item,
                "`#[provider]` stands on the type that implements `Provider`: a struct or an enum",
            );
            return None;
        }
        Err(error) => {
            sink.push(error);
            return None;
        }
    };
    if let Generics { params, .. } = &generics
        && !params.is_empty()
    {
        sink.at(&generics, "a provider cannot be generic: nobody would choose its types");
    }
    match args.text {
        Some(name) if !name.value().trim().is_empty() => {
            Some(Checked { ember: args.ember, name, ty, settings })
        }
        Some(empty) => {
            sink.at(empty, "the name of a provider cannot be empty");
            None
        }
        None => {
            let message = "a provider needs a name first, which `LLM_PROVIDER` can hold: `#[provider(\"name\")]`";
            sink.at_span(Span::call_site(), message);
            None
        }
    }
}

fn expand(provider: &Checked) -> TokenStream {
    let Checked { ember, name, ty, settings } = provider;
    let location = location(ty);
    let (methods, texts): (Vec<_>, Vec<_>) =
        settings.iter().map(|(method, text)| (method, text)).unzip();
    in_block(
        ember,
        quote! {
            __ember::inventory::submit! {
                __ember::ProviderDescriptor::new::<#ty>(#name, #location)#(.#methods(#texts))*
            }
        },
    )
}
