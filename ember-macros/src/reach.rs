//! The option `scope`: how far a hook, a catcher or middleware reaches.

use crate::args::Args;
use crate::diag::{Sink, nearest};
use crate::keys;
use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};

const SCOPES: &[&str] = &["app", "blueprint"];

/// Takes the option, if it is there.
pub(crate) fn take(args: &mut Args, sink: &Sink) -> Option<TokenStream> {
    let value = args.take(keys::SCOPE)?;
    let text = value.to_token_stream().to_string();
    match text.as_str() {
        "app" => Some(quote!(__ember::Reach::App)),
        "blueprint" => Some(quote!(__ember::Reach::Blueprint)),
        _ => {
            let hint = nearest(&text, SCOPES).map(|near| format!("; did you mean `{near}`?"));
            sink.at(
                &value,
                format!(
                    "`scope` is `app` for everything, or `blueprint` for the routes of the blueprint around this module{}",
                    hint.unwrap_or_default()
                ),
            );
            None
        }
    }
}
