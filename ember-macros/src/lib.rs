//! The attributes of the `ember` framework; see its documentation for what they do.
//!
//! Each macro is a pipeline of four types: tokens, an `Ast` as the user wrote it, a `Checked`
//! form in which nothing can be wrong any more, and tokens again. Mistakes are collected in a
//! `Sink` and reported together, each at the tokens that are to blame; the user's
//! own item is emitted even then, so that one mistake makes one message. What is emitted is
//! short, and calls `ember::__private` for everything else.

mod diag;
mod keys;
mod args;
mod doc;
mod path;
mod sig;
mod paths;
mod fallback;
mod beside;
mod takes;
mod reach;
mod settings;
mod route;
mod ai_route;
mod blueprint;
mod hook;
mod catch;
mod middleware;
mod component;
mod tool;
mod provider;
mod plugin;
mod prompt;
mod schema;
mod test;
#[cfg(test)]
mod golden;

use proc_macro::TokenStream;

macro_rules! route_attributes {
    ($($name:ident $method:literal;)*) => {$(
        #[doc = concat!("A route that answers to ", $method, ". See `ember::", stringify!($name), "`.")]
        #[proc_macro_attribute]
        pub fn $name(attribute: TokenStream, item: TokenStream) -> TokenStream {
            route::attribute(route::Kind::Method(stringify!($name), $method), attribute.into(), item.into()).into()
        }
    )*};
}

route_attributes! {
    get "GET";
    post "POST";
    put "PUT";
    patch "PATCH";
    delete "DELETE";
    head "HEAD";
    options "OPTIONS";
}

/// A route that answers to several methods. See `ember::route`.
#[proc_macro_attribute]
pub fn route(attribute: TokenStream, item: TokenStream) -> TokenStream {
    route::attribute(route::Kind::Any, attribute.into(), item.into()).into()
}

/// A route that talks to a model. See `ember::ai_route`.
#[proc_macro_attribute]
pub fn ai_route(attribute: TokenStream, item: TokenStream) -> TokenStream {
    ai_route::attribute(attribute.into(), item.into()).into()
}

/// Options of all routes in this module and below. See `ember::blueprint`.
#[proc_macro]
pub fn blueprint(tokens: TokenStream) -> TokenStream {
    blueprint::expand(tokens.into()).into()
}

/// A function that runs around handlers, or at the start and stop of the server. See `ember::hook`.
#[proc_macro_attribute]
pub fn hook(attribute: TokenStream, item: TokenStream) -> TokenStream {
    hook::attribute(attribute.into(), item.into()).into()
}

/// A function that answers in place of errors. See `ember::catch`.
#[proc_macro_attribute]
pub fn catch(attribute: TokenStream, item: TokenStream) -> TokenStream {
    catch::attribute(attribute.into(), item.into()).into()
}

/// A function that runs around handlers and decides whether they run. See `ember::middleware`.
#[proc_macro_attribute]
pub fn middleware(attribute: TokenStream, item: TokenStream) -> TokenStream {
    middleware::attribute(attribute.into(), item.into()).into()
}

/// A function that makes a component when the application starts. See `ember::component`.
#[proc_macro_attribute]
pub fn component(attribute: TokenStream, item: TokenStream) -> TokenStream {
    component::attribute(attribute.into(), item.into()).into()
}

/// A function that a model may call. See `ember::tool`.
#[proc_macro_attribute]
pub fn tool(attribute: TokenStream, item: TokenStream) -> TokenStream {
    tool::attribute(attribute.into(), item.into()).into()
}

/// A provider that `LLM_PROVIDER` can name. See `ember::provider`.
#[proc_macro_attribute]
pub fn provider(attribute: TokenStream, item: TokenStream) -> TokenStream {
    provider::attribute(attribute.into(), item.into()).into()
}

/// A type that is found by a kind and a name. See `ember::plugin`.
#[proc_macro_attribute]
pub fn plugin(attribute: TokenStream, item: TokenStream) -> TokenStream {
    plugin::attribute(attribute.into(), item.into()).into()
}

/// A text with variables that the compiler checks. See `ember::prompt`.
#[proc_macro]
pub fn prompt(tokens: TokenStream) -> TokenStream {
    prompt::literal(tokens.into()).into()
}

/// The same from a file. See `ember::prompt_file`.
#[proc_macro]
pub fn prompt_file(tokens: TokenStream) -> TokenStream {
    prompt::file(tokens.into()).into()
}

/// An async function that is a test. See `ember::test`.
#[proc_macro_attribute]
pub fn test(attribute: TokenStream, item: TokenStream) -> TokenStream {
    test::attribute(attribute.into(), item.into()).into()
}

/// The JSON Schema of a type. See `ember::JsonSchema`.
#[proc_macro_derive(JsonSchema, attributes(ember, schemars, serde, validate, garde))]
pub fn json_schema(item: TokenStream) -> TokenStream {
    schema::derive(item.into()).into()
}
