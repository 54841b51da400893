use super::error::PromptError;

/// A piece of a text with variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Variable(String),
}

/// Reads a text with variables: `{name}`; `{{` and `}}` stand for braces.
pub(super) fn parse(text: &str) -> Result<Vec<Piece>, PromptError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(offset) = text[at..].find(['{', '}']) {
        let brace = at + offset;
        literal.push_str(&text[at..brace]);
        let rest = &text[brace..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            literal.push_str(&rest[..1]);
            at = brace + 2;
            continue;
        }
        if rest.starts_with('}') {
            return Err(PromptError::at(
                text,
                brace,
                "a `}` that closes nothing; `}}` is the brace itself",
            ));
        }
        let Some(end) = rest.find('}') else {
            return Err(PromptError::at(
                text,
                brace,
                "a `{` that is never closed; `{{` is the brace itself",
            ));
        };
        let name = &rest[1..end];
        if !is_name(name) {
            let shown: String = name.chars().take(40).collect();
            let reason = format!("`{{{shown}}}` names no variable; `{{{{` is the brace itself");
            return Err(PromptError::at(text, brace, &reason));
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Variable(name.to_owned()));
        at = brace + end + 1;
    }
    literal.push_str(&text[at..]);
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    Ok(pieces)
}

/// A word of letters, digits and `_` that begins with no digit.
fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && chars.all(|char| char.is_alphanumeric() || char == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_braces_are_told_apart() {
        let text = |text: &str| Piece::Text(text.to_owned());
        let variable = |name: &str| Piece::Variable(name.to_owned());
        for (source, expected) in [
            ("", vec![]),
            ("a {b} c", vec![text("a "), variable("b"), text(" c")]),
            ("{a}{b_2}", vec![variable("a"), variable("b_2")]),
            ("{{\"a\": {a}}}", vec![text("{\"a\": "), variable("a"), text("}")]),
            ("ü {{}} {ä}", vec![text("ü {} "), variable("ä")]),
        ] {
            assert_eq!(parse(source).unwrap(), expected, "{source}");
        }
    }

    #[test]
    fn mistakes_have_a_place() {
        for (source, place) in [
            ("a {", "line 1, column 3: a `{` that is never closed"),
            ("ü\nü } b", "line 2, column 3: a `}` that closes nothing"),
            ("{}", "line 1, column 1: `{}` names no variable"),
            ("a\n\n  {b c}", "line 3, column 3: `{b c}` names no variable"),
            ("{1}", "names no variable"),
            ("{a:?}", "names no variable"),
        ] {
            let error = parse(source).unwrap_err().to_string();
            assert!(error.contains(place), "{source}: {error}");
        }
    }
}
