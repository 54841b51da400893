use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use std::cell::RefCell;
use std::fmt::Display;
use std::thread;

/// Collects mistakes, so that all are reported at once.
///
/// Dropping it without a look at what it holds is a mistake of ours, and panics.
pub(crate) struct Sink {
    errors: RefCell<Option<Vec<syn::Error>>>,
}

impl Sink {
    pub(crate) fn new() -> Self {
        Self { errors: RefCell::new(Some(Vec::new())) }
    }

    /// Notes a mistake at these tokens.
    pub(crate) fn at(&self, tokens: impl ToTokens, message: impl Display) {
        self.push(syn::Error::new_spanned(tokens.into_token_stream(), message));
    }

    /// Notes a mistake at this place.
    pub(crate) fn at_span(&self, span: Span, message: impl Display) {
        self.push(syn::Error::new(span, message));
    }

    /// Notes a mistake that a parser has found.
    pub(crate) fn push(&self, error: syn::Error) {
        if let Some(errors) = &mut *self.errors.borrow_mut() {
            errors.push(error);
        }
    }

    /// Ends the collection: with what would be emitted for the mistakes, if there are any.
    pub(crate) fn finish(self) -> Result<(), TokenStream> {
        let errors = self.errors.borrow_mut().take().unwrap_or_default();
        let all = errors.into_iter().reduce(|mut all, error| {
            all.combine(error);
            all
        });
        match all {
            None => Ok(()),
            Some(error) => Err(error.into_compile_error()),
        }
    }
}

impl Drop for Sink {
    #[expect(clippy::panic, reason = "a mistake that nobody looks at would be lost")]
    fn drop(&mut self) {
        if self.errors.borrow().is_some() && !thread::panicking() {
            panic!("mistakes were collected and not looked at");
        }
    }
}

/// The known name that is nearest to an unknown one, if any is near, or else the only one that has all its words.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |other: &str| strsim::damerau_levenshtein(word, other);
    let nearest = known.iter().copied().min_by_key(|other| distance(other))?;
    // Two slips in a short word leave nothing of it.
    let allowed = (nearest.len() / 3).clamp(1, 3);
    if distance(nearest) <= allowed {
        return Some(nearest);
    }
    let has_all =
        |other: &&str| word.split('_').all(|word| other.split('_').any(|other| word == other));
    let mut longer = known.iter().copied().filter(has_all);
    longer.next().filter(|_| longer.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_reported() {
        let sink = Sink::new();
        sink.at_span(Span::call_site(), "first");
        sink.at_span(Span::call_site(), "second");
        let tokens = sink.finish().unwrap_err().to_string();
        assert!(tokens.contains("first") && tokens.contains("second"));
        assert!(Sink::new().finish().is_ok());
    }

    #[test]
    #[should_panic(expected = "not looked at")]
    fn mistakes_cannot_be_overlooked() {
        drop(Sink::new());
    }

    #[test]
    fn only_near_words_are_suggested() {
        assert_eq!(nearest("cahce", &["cache", "methods"]), Some("cache"));
        assert_eq!(nearest("method", &["cache", "methods"]), Some("methods"));
        assert_eq!(nearest("colour", &["cache", "methods"]), None);
        let hooks = ["before_server_start", "after_server_start", "before_endpoint"];
        assert_eq!(nearest("before_start", &hooks), Some("before_server_start"));
        assert_eq!(nearest("before", &hooks), None);
    }
}
