//! The path of a route, as it stands in an attribute.
//!
//! `ember::web::RoutePath` checks the same rules again at start-up, for paths that no macro has
//! seen; here each mistake is shown at the characters that are to blame.

use crate::diag::Sink;
use proc_macro2::Span;
use syn::ext::IdentExt as _;
use syn::parse::Parser as _;
use syn::{Ident, LitStr};

/// A parameter of a path.
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) span: Span,
}

/// Reads a path; whatever is wrong with it goes into the sink.
pub(crate) fn parse(literal: &LitStr, sink: &Sink) -> Vec<Parameter> {
    let text = literal.value();
    let refuse = |part: &Part<'_>, reason: &str| sink.at_span(part.span(literal), reason);
    let Some(rest) = text.strip_prefix('/') else {
        sink.at(literal, "a path starts with `/`");
        return Vec::new();
    };
    let bad = |char: char| matches!(char, '?' | '#') || char.is_control() || char.is_whitespace();
    if let Some((at, bad)) = text.char_indices().find(|(_, char)| bad(*char)) {
        refuse(
            &Part { text: &text[at..at + bad.len_utf8()], at },
            &format!("{bad:?} cannot stand in a path"),
        );
    }
    let mut parameters: Vec<Parameter> = Vec::new();
    let mut at = 1;
    let mut segments = rest.split('/').peekable();
    while let Some(text) = segments.next() {
        let part = Part { text, at };
        at += text.len() + 1;
        let last = segments.peek().is_none();
        match read(text) {
            Ok(None) if text.is_empty() && !last => {
                refuse(
                    &Part { text: "/", at: part.at },
                    "a path has no empty segments: one `/` is too much",
                );
            }
            Ok(None) => {}
            Ok(Some((_, true))) if !last => {
                refuse(
                    &part,
                    &format!("`{text}` takes all that follows, so it must stand at the end"),
                );
            }
            Ok(Some((name, _))) => match parameters.iter().find(|known| known.name == name) {
                Some(earlier) => {
                    refuse(&part, &format!("the parameter `{name}` is written twice in the path"));
                    // Where the compiler cannot show parts of a literal, both would be the same place.
                    if part.has_own_span(literal) {
                        sink.at_span(earlier.span, format!("`{name}` is written here first"));
                    }
                }
                None => {
                    parameters.push(Parameter { name: name.to_owned(), span: part.span(literal) })
                }
            },
            Err(reason) => refuse(&part, &reason),
        }
    }
    parameters
}

/// Reads a segment: nothing for a literal, else the name and whether it takes all that follows.
fn read(segment: &str) -> Result<Option<(&str, bool)>, String> {
    let Some(inner) = segment.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
        // Other frameworks write parameters like these.
        if let Some(name) = segment.strip_prefix('*') {
            let name = if is_name(name) { name } else { "rest" };
            return Err(format!(
                "`{segment}` is malformed: `{{*{name}}}` takes the rest of the path"
            ));
        }
        let foreign =
            segment.starts_with(':') || (segment.starts_with('<') && segment.ends_with('>'));
        return match segment.contains(['{', '}']) || foreign {
            true => Err(format!(
                "`{segment}` is malformed: a parameter is a whole segment, like `{{name}}`"
            )),
            false => Ok(None),
        };
    };
    let (name, rest) = inner.strip_prefix('*').map_or((inner, false), |name| (name, true));
    if is_name(name) {
        return Ok(Some((name, rest)));
    }
    let before = name.split_once(':').map(|(name, _)| name).filter(|name| is_name(name));
    Err(match before {
        Some(name) => format!(
            "`{segment}` is malformed: braces hold a name alone; the type is that of the argument, and `{{*{name}}}` takes the rest of the path"
        ),
        None => {
            format!("`{segment}` is malformed: between the braces stands the name of an argument")
        }
    })
}

/// Tells whether an argument can have this name. A keyword can be one as well: `r#type`.
fn is_name(text: &str) -> bool {
    Ident::parse_any.parse_str(text).is_ok()
}

/// A part of the text of a literal.
struct Part<'a> {
    text: &'a str,
    at: usize,
}

impl Part<'_> {
    /// The place of the part, or of the whole literal where the compiler cannot tell.
    fn span(&self, literal: &LitStr) -> Span {
        self.own_span(literal).unwrap_or_else(|| literal.span())
    }

    fn has_own_span(&self, literal: &LitStr) -> bool {
        self.own_span(literal).is_some()
    }

    fn own_span(&self, literal: &LitStr) -> Option<Span> {
        let token = literal.token();
        // Escapes and raw quotes move the characters; a plain literal has them one quote further.
        let plain = token.to_string() == format!("\"{}\"", literal.value());
        let start = self.at + 1;
        if plain { token.subspan(start..start + self.text.len()) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Result<Vec<String>, String> {
        let sink = Sink::new();
        let parameters = parse(&LitStr::new(path, Span::call_site()), &sink);
        match sink.finish() {
            Ok(()) => Ok(parameters.into_iter().map(|parameter| parameter.name).collect()),
            Err(tokens) => Err(tokens.to_string()),
        }
    }

    #[track_caller]
    fn refused(path: &str, reason: &str) {
        let error = read(path).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn parameters_are_found_in_order() {
        assert_eq!(read("/").unwrap(), Vec::<String>::new());
        assert_eq!(read("/users/{id}/files/{*file}").unwrap(), ["id", "file"]);
        assert_eq!(read("/a/").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn mistakes_have_a_reason_each() {
        refused("tasks", "starts with `/`");
        refused("/a//b", "empty segments");
        refused("/a/x{id}", "whole segment");
        refused("/a/:id", "like `{name}`");
        refused("/a/{id", "malformed");
        refused("/a/{}", "name of an argument");
        refused("/a/{file:path}", "braces hold a name alone");
        refused("/a/{file:path}", "`{*file}` takes the rest");
        refused("/a/*rest", "`{*rest}` takes the rest");
        refused("/a/*", "`{*rest}` takes the rest");
        refused("/a/{1}", "name of an argument");
        refused("/a/{id}/{id}", "written twice");
        refused("/{*rest}/a", "at the end");
        refused("/a b", "cannot stand in a path");
        refused("/a?b=c", "cannot stand in a path");
    }
}
