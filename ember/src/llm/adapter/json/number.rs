use super::reader::Refused;
use serde::de::Visitor;
use serde_json::Number;

/// How many digits always fit.
const SHORT: usize = 18;

/// How long the number is that begins here; `None` if none does (RFC 8259, 6).
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    at += match bytes.get(at)? {
        b'0' => 1,
        _ => digits(&bytes[at..])?,
    };
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        at += digits(&bytes[at..])?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        at += digits(&bytes[at..])?;
    }
    Some(at)
}

fn digits(bytes: &[u8]) -> Option<usize> {
    let count = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count > 0).then_some(count)
}

/// Tells a number to whoever wants it.
pub(super) fn visit<'de, V: Visitor<'de>>(number: &str, visitor: V) -> Result<V::Value, Refused> {
    if number.len() <= SHORT && number.bytes().all(|byte| byte.is_ascii_digit()) {
        let add = |value, digit: u8| value * 10 + u64::from(digit - b'0');
        return visitor.visit_u64(number.bytes().fold(0, add));
    }
    // Which fraction is next to a number is not for two to decide.
    let number: Number = serde_json::from_str(number).map_err(|_| Refused)?;
    if let Some(whole) = number.as_u64() {
        visitor.visit_u64(whole)
    } else if let Some(negative) = number.as_i64() {
        visitor.visit_i64(negative)
    } else {
        visitor.visit_f64(number.as_f64().ok_or(Refused)?)
    }
}
