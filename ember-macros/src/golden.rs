//! Expansions as they were last looked at.
//!
//! `tests/expand/NAME.in.rs` is what a user writes, `NAME.out.rs` what it becomes. After a change
//! that is meant, `EMBER_BLESS=1 cargo test -p ember-macros` writes the new expansions, and the
//! difference is read like any other.

use crate::{
    ai_route, blueprint, catch, component, hook, middleware, plugin, provider, route, schema, tool,
};
use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use std::fs;
use std::path::{Path, PathBuf};
use syn::{File, Item};

#[test]
fn expansions_are_as_they_were() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/expand");
    let mut inputs: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.retain(|path| path.to_string_lossy().ends_with(".in.rs"));
    assert!(!inputs.is_empty());
    for input in inputs {
        let expanded = expand(&fs::read_to_string(&input).unwrap());
        let output = PathBuf::from(input.to_string_lossy().replace(".in.rs", ".out.rs"));
        if std::env::var_os("EMBER_BLESS").is_some() {
            fs::write(&output, &expanded).unwrap();
        }
        let expected = fs::read_to_string(&output).unwrap_or_default();
        assert_eq!(expanded, expected, "{} has changed", output.display());
    }
}

/// Expands the first attribute of each item, as the compiler would.
fn expand(source: &str) -> String {
    let file: File = syn::parse_str(source).unwrap();
    let items = file.items.into_iter().map(expand_item);
    let expanded: File = syn::parse2(quote!(#(#items)*)).unwrap();
    prettyplease::unparse(&expanded)
}

fn expand_item(mut item: Item) -> TokenStream {
    let attributes = match &mut item {
        Item::Fn(item) => &mut item.attrs,
        Item::Struct(item) => &mut item.attrs,
        Item::Enum(item) => &mut item.attrs,
        Item::Macro(item) if item.mac.path.is_ident("blueprint") => {
            return blueprint::expand(item.mac.tokens.clone());
        }
        other => return other.to_token_stream(),
    };
    let ours = [
        "get",
        "route",
        "ai_route",
        "tool",
        "provider",
        "plugin",
        "derive",
        "hook",
        "catch",
        "middleware",
        "component",
    ];
    let place = attributes
        .iter()
        .position(|attribute| ours.iter().any(|name| attribute.path().is_ident(name)));
    let Some(attribute) = place.map(|place| attributes.remove(place)) else {
        return item.to_token_stream();
    };
    let arguments = match &attribute.meta {
        syn::Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    let item = item.to_token_stream();
    match attribute.path().get_ident().unwrap().to_string().as_str() {
        "get" => route::attribute(route::Kind::Method("get", "GET"), arguments, item),
        "route" => route::attribute(route::Kind::Any, arguments, item),
        "ai_route" => ai_route::attribute(arguments, item),
        "tool" => tool::attribute(arguments, item),
        "provider" => provider::attribute(arguments, item),
        "plugin" => plugin::attribute(arguments, item),
        "hook" => hook::attribute(arguments, item),
        "catch" => catch::attribute(arguments, item),
        "middleware" => middleware::attribute(arguments, item),
        "component" => component::attribute(arguments, item),
        _ => {
            let derived = schema::derive(item.clone());
            quote!(#item #derived)
        }
    }
}
