use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The text of the doc comments among these attributes.
///
/// One space after the slashes is dropped, and so are blank lines at both ends.
pub(crate) fn text(attributes: &[Attribute]) -> String {
    let lines: Vec<_> = attributes.iter().filter_map(line).collect();
    let lines = lines
        .iter()
        .flat_map(|line| line.split('\n'))
        .map(|line| line.strip_prefix(' ').unwrap_or(line));
    let lines: Vec<_> = lines.map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
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

fn line(attribute: &Attribute) -> Option<String> {
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
