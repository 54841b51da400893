//! The options of routes and blueprints, as calls that set them when the application is built.

use crate::args::Opt;
use crate::diag::Sink;
use crate::keys;
use crate::takes::local;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote};
use syn::{Expr, Ident};

/// An option that is set when the application is built.
pub(crate) struct Setting {
    /// Whether the AI wing keeps it.
    is_ai: bool,
    method: Ident,
    value: TokenStream,
}

/// The options that the AI wing keeps.
pub(crate) const AI: &[&str] = &[
    keys::TOOLS,
    keys::MODEL,
    keys::SYSTEM,
    keys::OPENAI_MODEL,
    keys::TOKEN_LIMITS,
    keys::SPEND_LIMIT,
    keys::SEMANTIC_CACHE,
    keys::STREAM,
    keys::ON_DISCONNECT,
];

/// Reads the options that are left.
pub(crate) fn read(options: Vec<Opt>, sink: &Sink) -> Vec<Setting> {
    options.into_iter().flat_map(|option| setting(option, sink)).collect()
}

fn setting(Opt { key, value }: Opt, sink: &Sink) -> Vec<Setting> {
    let is_ai = AI.iter().any(|known| key == known);
    let setting = |value| Setting { is_ai, method: key.clone(), value };
    if key == keys::TOOLS {
        tools(&value, sink).map(setting).into_iter().collect()
    } else if key == keys::MIDDLEWARE {
        middleware(&value, sink).into_iter().map(setting).collect()
    } else {
        vec![setting(value.into_token_stream())]
    }
}

/// `[get_weather, …]`: the types of the functions' names, which the compiler looks up.
fn tools(listed: &Expr, sink: &Sink) -> Option<TokenStream> {
    let Expr::Array(array) = listed else {
        sink.at(listed, "tools are listed in brackets: `tools = [get_weather]`");
        return None;
    };
    let mut tools = Vec::new();
    for element in &array.elems {
        match element {
            Expr::Path(path) if path.qself.is_none() => {
                let path = &path.path;
                tools.push(quote!(__ember::Tool::from(<#path as __ember::ToolItem>::TOOL)));
            }
            other => sink.at(other, "a tool is named by its function: `tools = [get_weather]`"),
        }
    }
    Some(quote!([#(#tools),*]))
}

/// `[log, RateLimit::per_minute(60)]`: each is set by itself, as each has a type of its own.
fn middleware(listed: &Expr, sink: &Sink) -> Vec<TokenStream> {
    let Expr::Array(array) = listed else {
        sink.at(listed, "middleware is listed in brackets: `middleware = [log]`");
        return Vec::new();
    };
    array.elems.iter().map(|element| element.to_token_stream()).collect()
}

/// A function that sets the options.
pub(crate) fn function(name: &str, settings: &[Setting]) -> TokenStream {
    let options = if settings.is_empty() { local("_options") } else { local("options") };
    let name = Ident::new(name, Span::call_site());
    let calls = settings.iter().map(|Setting { is_ai, method, value }| match is_ai {
        true => quote!(__ember::AiOptions::of(#options).#method(#value);),
        false => quote!(#options.#method(#value);),
    });
    quote! {
        fn #name(#options: &mut __ember::RouteOptions) {
            #(#calls)*
        }
    }
}
