//! The arguments of an attribute: perhaps a text first, then options, `key = value`.

use crate::diag::{Sink, nearest};
use crate::keys;
use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Expr, Ident, LitStr, Path, Token, parse_quote};

/// The arguments of an attribute as they were written.
pub(crate) struct Args {
    /// The text that comes first.
    pub(crate) text: Option<LitStr>,
    pub(crate) options: Vec<Opt>,
    /// How the `ember` crate is called.
    pub(crate) ember: Path,
}

/// An option: `key = value`.
pub(crate) struct Opt {
    pub(crate) key: Ident,
    pub(crate) value: Expr,
}

impl Args {
    /// Reads the arguments of the attribute `name`, which understands these keys and `crate`.
    pub(crate) fn parse(name: &str, known: &[&str], tokens: TokenStream, sink: &Sink) -> Self {
        let text = |input: ParseStream<'_>| {
            input.peek(LitStr).then(|| input.parse::<LitStr>()).transpose()
        };
        let (text, args) = Self::parse_after(name, known, tokens, sink, text);
        Self { text: text.flatten(), ..args }
    }

    /// Reads the arguments of `#[plugin]`, which understands every key.
    pub(crate) fn parse_open(tokens: TokenStream, sink: &Sink) -> Self {
        let text = |input: ParseStream<'_>| {
            input.peek(LitStr).then(|| input.parse::<LitStr>()).transpose()
        };
        let (text, args) = Self::parse_with("plugin", None, tokens, sink, text);
        Self { text: text.flatten(), ..args }
    }

    /// As [`Args::parse`], where something else than a text may come first.
    pub(crate) fn parse_after<T>(
        name: &str,
        known: &[&str],
        tokens: TokenStream,
        sink: &Sink,
        first: impl FnOnce(ParseStream<'_>) -> syn::Result<T>,
    ) -> (Option<T>, Self) {
        Self::parse_with(name, Some(known), tokens, sink, first)
    }

    /// Reads the arguments; every key is understood where none are listed.
    fn parse_with<T>(
        name: &str,
        known: Option<&[&str]>,
        tokens: TokenStream,
        sink: &Sink,
        first: impl FnOnce(ParseStream<'_>) -> syn::Result<T>,
    ) -> (Option<T>, Self) {
        let mut args = Self { text: None, options: Vec::new(), ember: parse_quote!(::ember) };
        let mut found = None;
        let parser = |input: ParseStream<'_>| {
            let before = input.cursor();
            found = Some(first(input)?);
            if input.cursor() != before {
                args.separator(input)?;
            }
            while !input.is_empty() {
                args.option(name, known, input, sink)?;
                args.separator(input)?;
            }
            Ok(())
        };
        if let Err(error) = parser.parse2(tokens) {
            sink.push(error);
        }
        (found, args)
    }

    #[expect(clippy::unused_self, reason = "reads as a step of the parser")]
    fn separator(&self, input: ParseStream<'_>) -> syn::Result<()> {
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        Ok(())
    }

    fn option(
        &mut self,
        name: &str,
        known: Option<&[&str]>,
        input: ParseStream<'_>,
        sink: &Sink,
    ) -> syn::Result<()> {
        let key = input.call(Ident::parse_any)?;
        let unknown = known
            .filter(|known| key != keys::CRATE && !known.iter().any(|known| key == known))
            .map(|known| unknown(name, known, &key.to_string()));
        if !input.peek(Token![=]) && key != keys::CRATE {
            sink.at(&key, unknown.unwrap_or_else(|| without_value(&key)));
            // What stands in place of the value belongs to the mistake.
            while !input.is_empty() && !input.peek(Token![,]) {
                input.parse::<TokenTree>()?;
            }
            return Ok(());
        }
        input.parse::<Token![=]>()?;
        if key == keys::CRATE {
            self.ember = input.call(Path::parse_mod_style)?;
            return Ok(());
        }
        let value = input.parse()?;
        if let Some(unknown) = unknown {
            sink.at(&key, unknown);
        } else if let Some(earlier) = self.options.iter().find(|option| option.key == key) {
            sink.at(&key, format!("the option `{key}` is set twice"));
            sink.at(&earlier.key, format!("`{key}` is set here first"));
        } else {
            self.options.push(Opt { key, value });
        }
        Ok(())
    }

    /// Takes the value of an option.
    pub(crate) fn take(&mut self, key: &str) -> Option<Expr> {
        let index = self.options.iter().position(|option| option.key == key)?;
        Some(self.options.remove(index).value)
    }

    /// Takes the value of an option that must be a text.
    pub(crate) fn take_text(&mut self, key: &str, sink: &Sink) -> Option<LitStr> {
        let value = self.take(key)?;
        match syn::parse2(quote!(#value)) {
            Ok(text) => Some(text),
            Err(_) => {
                sink.at(&value, format!("the value of `{key}` must be a text in quotes"));
                None
            }
        }
    }
}

fn without_value(key: &Ident) -> String {
    let is_switch = keys::SWITCHES.iter().any(|switch| key == switch);
    let value = if is_switch { "true" } else { "…" };
    format!("the option `{key}` needs a value: `{key} = {value}`")
}

fn unknown(name: &str, known: &[&str], key: &str) -> String {
    let hint = match nearest(key, known) {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => String::new(),
    };
    let all: Vec<_> =
        known.iter().chain([&keys::CRATE]).map(|known| format!("`{known}`")).collect();
    let name = if name.ends_with('!') { name.to_owned() } else { format!("#[{name}]") };
    format!("`{name}` has no option `{key}`{hint} (its options are {})", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(tokens: &str) -> String {
        let sink = Sink::new();
        Args::parse("get", &["cache", "methods"], tokens.parse().unwrap(), &sink);
        sink.finish().err().map(|tokens| tokens.to_string()).unwrap_or_default()
    }

    #[test]
    fn text_and_options_are_read() {
        let sink = Sink::new();
        let tokens = r#""/a", cache = f(1, 2), crate = ::flame::inner,"#.parse().unwrap();
        let mut args = Args::parse("get", &["cache"], tokens, &sink);
        sink.finish().unwrap();
        assert_eq!(args.text.as_ref().unwrap().value(), "/a");
        let value = args.take("cache").unwrap();
        let ember = &args.ember;
        assert_eq!(quote!(#ember).to_string(), ":: flame :: inner");
        assert_eq!(quote!(#value).to_string(), "f (1 , 2)");
        assert!(args.take("cache").is_none());
    }

    #[test]
    fn unknown_and_repeated_options_are_mistakes() {
        assert!(errors(r#""/a", cahce = 1"#).contains("did you mean `cache`?"));
        assert!(
            errors(r#""/a", colour = 1"#).contains("its options are `cache`, `methods`, `crate`")
        );
        let twice = errors(r#""/a", cache = 1, cache = 2"#);
        assert!(twice.contains("`cache` is set twice") && twice.contains("is set here first"));
        assert!(errors(r#""/a" cache = 1"#).contains("expected `,`"));
    }

    #[test]
    fn an_option_without_a_value_is_told_and_passed_over() {
        let told = errors(r#""/a", hidden, cahce, methods(GET), cache = 1, cache = 2"#);
        for part in [
            "`#[get]` has no option `hidden`",
            "did you mean `cache`?",
            "the option `methods` needs a value: `methods = …`",
            "`cache` is set twice",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let sink = Sink::new();
        Args::parse("get", &["hidden"], r#""/a", hidden"#.parse().unwrap(), &sink);
        assert!(sink.finish().unwrap_err().to_string().contains("`hidden = true`"));
    }
}
