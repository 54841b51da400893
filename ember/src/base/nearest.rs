/// How near a name must be to be the one that was meant, from 0 to 1.
const NEAR: f64 = 0.75;

/// The name that was probably meant, if one is near enough: for messages about one that there is not.
pub(crate) fn nearest<'a>(
    names: impl IntoIterator<Item = &'a str>,
    meant: &str,
) -> Option<&'a str> {
    let rated = names.into_iter().map(|name| (strsim::jaro_winkler(name, meant), name));
    let nearest = rated.max_by(|(a, _), (b, _)| a.total_cmp(b));
    nearest.filter(|(near, _)| *near > NEAR).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_seen_and_another_word_is_not_taken_for_one() {
        let names = ["question", "language", "openai"];
        assert_eq!(nearest(names, "qestion"), Some("question"));
        assert_eq!(nearest(names, "opnai"), Some("openai"));
        assert_eq!(nearest(names, "colour"), None);
        assert_eq!(nearest(names, ""), None);
        assert_eq!(nearest([], "question"), None);
    }
}
