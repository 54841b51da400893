use crate::diag::Sink;
use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The text of the doc comments among these attributes.
///
/// One space after the slashes is dropped, and so are blank lines at both ends.
pub(crate) fn text(attributes: &[Attribute]) -> String {
    let comments: Vec<_> = attributes.iter().filter_map(comment).collect();
    let lines = comments.iter().flat_map(|comment| without_margin(comment));
    let lines: Vec<_> =
        lines.map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

/// The lines of a comment. Of several, those after the first may have a margin: a column of stars, or as many spaces
/// as all of them begin with, but for the one that is dropped of any line.
fn without_margin(comment: &str) -> Vec<&str> {
    let mut lines: Vec<_> = comment.split('\n').collect();
    let Some((_, rest)) = lines.split_first_mut() else { return lines };
    let indent = |line: &str| line.len() - line.trim_start().len();
    let texts = || rest.iter().filter(|line| !line.trim().is_empty());
    let Some(margin) = texts().map(|line| indent(line)).min() else { return lines };
    let is_starred = texts().all(|line| indent(line) == margin && line[margin..].starts_with('*'));
    let width = if is_starred { margin + 1 } else { margin.saturating_sub(1) };
    for line in rest {
        *line = line.get(width..).unwrap_or_default();
    }
    lines
}

/// Checks that the doc comment of a thing can be read here. `what` is the thing, for messages: "a tool".
pub(crate) fn check(what: &str, attributes: &[Attribute], sink: &Sink) {
    for attribute in attributes.iter().filter(|attribute| is_doc(attribute)) {
        if let Meta::NameValue(pair) = &attribute.meta
            && !matches!(pair.value, Expr::Lit(_))
        {
            let message = format!(
                "the description of {what} is read before other macros run: write the text itself"
            );
            sink.at(&pair.value, message);
        }
    }
}

/// What a doc comment says before its first heading: what a model should read of it.
pub(crate) fn before_heading(text: &str) -> String {
    let lines: Vec<_> = text.lines().take_while(|line| !line.starts_with('#')).collect();
    lines.join("\n").trim_end().to_owned()
}

/// Tells whether an attribute is a doc comment.
pub(crate) fn is_doc(attribute: &Attribute) -> bool {
    attribute.path().is_ident("doc")
}

fn comment(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(pair) if is_doc(attribute) => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn comments_of_several_lines_have_no_margin() {
        let read = |comment: &str| text(&[parse_quote!(#[doc = #comment])]);
        assert_eq!(read("\n * Adds.\n *\n *   - two\n "), "Adds.\n\n  - two");
        assert_eq!(read(" Adds.\n * Two.\n "), "Adds.\nTwo.");
        assert_eq!(read("\n    Adds.\n\n      two\n"), "Adds.\n\n  two");
        assert_eq!(read(" Adds:\n * one\n - two\n"), "Adds:\n* one\n- two");
        assert_eq!(read(" Größe\n Zahl"), "Größe\nZahl");
        assert_eq!(read(" * one"), "* one");
    }

    #[test]
    fn lines_are_joined_without_their_margin() {
        let attributes: Vec<Attribute> = vec![
            parse_quote!(#[doc = " Adds two numbers."]),
            parse_quote!(#[inline]),
            parse_quote!(#[doc = ""]),
            parse_quote!(#[doc = "   indented"]),
            parse_quote!(#[doc = " # Errors"]),
            parse_quote!(#[doc = " Never."]),
        ];
        let text = text(&attributes);
        assert_eq!(text, "Adds two numbers.\n\n  indented\n# Errors\nNever.");
        assert_eq!(before_heading(&text), "Adds two numbers.\n\n  indented");
    }
}
