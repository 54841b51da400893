/// The id without the date at its end, if there is one.
pub(in crate::llm) fn without_date(id: &str) -> Option<&str> {
    if let Some(stem) = id.strip_suffix("-latest") {
        return Some(stem);
    }
    [11, 9].into_iter().find_map(|length| {
        let (stem, date) = id.split_at_checked(id.len().checked_sub(length)?)?;
        (!stem.is_empty() && is_date(date)).then_some(stem)
    })
}

/// Tells whether a text is `-2025-08-07`, `-20250807` or `@20250807`.
pub(super) fn is_date(text: &str) -> bool {
    let shape = match text.len() {
        11 => "-dddd-dd-dd",
        9 if text.starts_with('@') => "@dddddddd",
        9 => "-dddddddd",
        _ => return false,
    };
    text.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
        b'd' => byte.is_ascii_digit(),
        _ => byte == wanted,
    })
}
