use crate::diag::Sink;
use proc_macro2::Span;
use syn::parse::Parser as _;
use syn::{Ident, LitStr};

/// A variable of a prompt, and where it stands.
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) span: Span,
}

/// Finds the variables of a text: `{name}`; `{{` and `}}` stand for braces.
///
/// The rules are those of `PromptTemplate`, which reads texts when the program runs.
pub(super) fn read(text: &str, place: impl Fn(usize, usize) -> Span, sink: &Sink) -> Vec<Variable> {
    let mut variables = Vec::new();
    let mut at = 0;
    while let Some(offset) = text[at..].find(['{', '}']) {
        let brace = at + offset;
        let rest = &text[brace..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            at = brace + 2;
            continue;
        }
        let refuse = |length, reason: &str| {
            let line = text[..brace].matches('\n').count() + 1;
            let line = if text.contains('\n') { format!(" (line {line})") } else { String::new() };
            sink.at_span(place(brace, length), format!("{reason}{line}"));
        };
        if rest.starts_with('}') {
            refuse(1, "a `}` that closes nothing; `}}` is the brace itself");
            at = brace + 1;
            continue;
        }
        let Some(end) = rest.find('}') else {
            refuse(1, "a `{` that is never closed; `{{` is the brace itself");
            break;
        };
        let name = &rest[1..end];
        // A keyword can be no variable, and would have to be given another name anyhow.
        match (|input: syn::parse::ParseStream<'_>| input.parse::<Ident>()).parse_str(name) {
            Ok(ident) if ident == name => {
                let span = place(brace + 1, name.len());
                variables.push(Variable { name: name.to_owned(), span });
            }
            _ => {
                let shown: String = name.chars().take(40).collect();
                refuse(
                    end + 1,
                    &format!("`{{{shown}}}` names no variable; `{{{{` is the brace itself"),
                );
            }
        }
        at = brace + end + 1;
    }
    variables
}

/// The place of a part of a literal, or of the whole where the compiler cannot tell.
pub(super) fn span(literal: &LitStr, at: usize, length: usize) -> Span {
    let token = literal.token();
    // Escapes and raw quotes move the characters; a plain literal has them one quote further.
    let plain = token.to_string() == format!("\"{}\"", literal.value());
    let part = if plain { token.subspan(at + 1..at + 1 + length) } else { None };
    part.unwrap_or_else(|| literal.span()).resolved_at(literal.span())
}
