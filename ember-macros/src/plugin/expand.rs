use super::check::Checked;
use crate::paths::{in_block, location};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;

/// Emits the descriptor.
pub(super) fn expand(plugin: &Checked) -> TokenStream {
    let Checked { ember, kind, name, ty, make, metadata } = plugin;
    let location = location(ty);
    let make = match make {
        Some(make) => quote_spanned!(make.span()=> __ember::plugin(#make)),
        None => {
            quote_spanned!(ty.span()=> __ember::plugin(<#ty as ::core::default::Default>::default))
        }
    };
    let (keys, values): (Vec<_>, Vec<_>) = metadata
        .iter()
        .map(|(key, value)| (key, quote_spanned!(value.span()=> __ember::plugin_value(#value))))
        .unzip();
    in_block(
        ember,
        quote! {
            __ember::inventory::submit! {
                __ember::PluginDescriptor::new(
                    #kind,
                    #name,
                    #location,
                    || __ember::Vec::from([#((#keys, #values)),*]),
                    || #make,
                )
            }
        },
    )
}
