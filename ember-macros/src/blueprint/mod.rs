//! `blueprint!`.

use crate::args::Args;
use crate::diag::Sink;
use crate::paths::{in_block, location_at};
use crate::{keys, path, settings};
use proc_macro2::{Span, TokenStream};
use quote::quote;

/// Reads, checks and expands the macro; what is wrong is all that is emitted then.
pub(crate) fn expand(tokens: TokenStream) -> TokenStream {
    let sink = Sink::new();
    let known = &[
        keys::PREFIX,
        keys::HOST,
        keys::HOSTS,
        keys::LIMITS,
        keys::TOKEN_LIMITS,
        keys::SPEND_LIMIT,
        keys::MIDDLEWARE,
        keys::TAGS,
        keys::DEPRECATED,
        keys::HIDDEN,
        keys::SECURITY,
        keys::CACHE,
    ];
    let mut args = Args::parse("blueprint!", known, tokens, &sink);
    if let Some(text) = &args.text {
        sink.at(text, "the prefix is an option: `prefix = \"/…\"`");
    }
    let prefix = args.take_text(keys::PREFIX, &sink);
    if let Some(prefix) = &prefix {
        path::parse(prefix, &sink);
        if prefix.value().len() > 1 && prefix.value().ends_with('/') {
            sink.at(prefix, "a prefix does not end with `/`: the paths below it begin with one");
        }
    }
    let settings = settings::read(std::mem::take(&mut args.options), &sink);
    if let Err(errors) = sink.finish() {
        return errors;
    }
    let prefix = prefix.map_or_else(String::new, |prefix| prefix.value());
    let location = location_at(Span::call_site());
    let options = settings::function("__options", &settings);
    in_block(
        &args.ember,
        quote! {
            #options
            __ember::inventory::submit! {
                __ember::BlueprintDescriptor::new(#prefix, #location, __options)
            }
        },
    )
}
