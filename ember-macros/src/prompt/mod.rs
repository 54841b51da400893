//! `prompt!` and `prompt_file!`: texts whose variables the compiler checks.

mod text;

use crate::diag::{Sink, nearest};
use proc_macro2::{Literal, Span, TokenStream};
use quote::{quote, quote_spanned};
use std::collections::HashSet;
use std::path::Path;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::{Expr, Ident, LitStr, Token};
use text::Variable;

/// A text, and values for some of its variables: `"…", name = value`.
struct Ast {
    text: LitStr,
    values: Vec<(Ident, Expr)>,
}

impl Parse for Ast {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let text = input.parse()?;
        let mut values = Vec::new();
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let name = input.parse()?;
            input.parse::<Token![=]>()?;
            values.push((name, input.parse()?));
        }
        Ok(Self { text, values })
    }
}

/// Expands `prompt!`.
pub(crate) fn literal(tokens: TokenStream) -> TokenStream {
    expand(tokens, |ast, sink| {
        let text = ast.text.value();
        let variables = text::read(&text, |at, length| text::span(&ast.text, at, length), sink);
        Some((text, variables, TokenStream::new()))
    })
}

/// Expands `prompt_file!`.
pub(crate) fn file(tokens: TokenStream) -> TokenStream {
    expand(tokens, |ast, sink| {
        let folder = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
        let path = Path::new(&folder).join(ast.text.value());
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                // Not the whole path, which differs from machine to machine.
                let told = ast.text.value();
                sink.at(
                    &ast.text,
                    format!("`{told}`, from the folder of `Cargo.toml`, cannot be read: {error}"),
                );
                return None;
            }
        };
        let variables = text::read(&text, |_, _| ast.text.span(), sink);
        // The compiler looks at the file again when it has changed.
        let path = path.to_string_lossy();
        Some((
            text,
            variables,
            quote!(
                const _: &::core::primitive::str = ::core::include_str!(#path);
            ),
        ))
    })
}

/// Checks a prompt, and emits a `format!` of it.
fn expand(
    tokens: TokenStream,
    read: impl FnOnce(&Ast, &Sink) -> Option<(String, Vec<Variable>, TokenStream)>,
) -> TokenStream {
    let sink = Sink::new();
    let parsed = Ast::parse.parse2(tokens).map_err(|error| sink.push(error)).ok();
    let read = parsed.and_then(|ast| read(&ast, &sink).map(|read| (ast, read)));
    let prompt = read.map(|(ast, (text, variables, more))| {
        check(&ast.values, &variables, &sink);
        emit(&text, &variables, &ast.values, &more)
    });
    match sink.finish() {
        Ok(()) => prompt.unwrap_or_default(),
        // A text of no length keeps the code around free of further errors.
        Err(errors) => quote!({ #errors ::std::string::String::new() }),
    }
}

/// Every value has a variable, and one only.
fn check(values: &[(Ident, Expr)], variables: &[Variable], sink: &Sink) {
    let names: Vec<_> = variables.iter().map(|variable| variable.name.as_str()).collect();
    let mut seen = HashSet::new();
    for (name, _) in values {
        let text = name.to_string();
        if !names.contains(&text.as_str()) {
            let hint = match nearest(&text, &names) {
                Some(near) => format!("; did you mean `{near}`?"),
                None => String::new(),
            };
            sink.at(name, format!("the prompt has no variable `{text}`{hint}"));
        } else if !seen.insert(text) {
            sink.at(name, format!("the variable `{name}` is given twice"));
        }
    }
}

/// Each variable is named to `format!`, at the place where it stands in the text.
fn emit(
    text: &str,
    variables: &[Variable],
    values: &[(Ident, Expr)],
    more: &TokenStream,
) -> TokenStream {
    let text = Literal::string(text);
    let mut named = HashSet::new();
    let arguments =
        variables.iter().filter(|variable| named.insert(&variable.name)).map(|variable| {
            let value = values.iter().find(|(name, _)| *name == variable.name);
            let name = Ident::new(&variable.name, Span::call_site());
            match value {
                Some((_, value)) => quote!(#name = #value),
                None => {
                    let captured = Ident::new(&variable.name, variable.span);
                    quote_spanned!(variable.span=> #name = #captured)
                }
            }
        });
    quote!({ #more ::std::format!(#text #(, #arguments)*) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(tokens: &str) -> String {
        literal(tokens.parse().unwrap()).to_string()
    }

    #[test]
    fn variables_are_captured_or_given() {
        let tokens = literal(r#""a {b} {{c}} {d} {b}", d = 1 + 2"#.parse().unwrap()).to_string();
        let expected = quote!({ ::std::format!("a {b} {{c}} {d} {b}", b = b, d = 1 + 2) });
        assert_eq!(tokens, expected.to_string());
    }

    #[test]
    fn mistakes_are_told_all_at_once() {
        let told = errors(r#""{question} {0} {", qestion = 1, question = 2, question = 3"#);
        for part in [
            "did you mean `question`?",
            "`{0}` names no variable",
            "never closed",
            "`question` is given twice",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(errors("7").contains("expected string literal"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let told = file(r#""prompts/none.md""#.parse().unwrap()).to_string();
        assert!(told.contains("prompts/none.md") && told.contains("cannot be read"), "{told}");
    }
}
