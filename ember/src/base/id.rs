use crate::base::{Error, Result};

/// Returns 128 bits from the operating system's generator as 32 hexadecimal digits.
pub(crate) fn random_id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::getrandom(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    let mut id = String::with_capacity(2 * bytes.len());
    // Formatting takes five hundred instructions a byte.
    for byte in bytes {
        id.push(digit(byte >> 4));
        id.push(digit(byte));
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_32_hexadecimal_digits_and_no_two_are_alike() {
        let ids: std::collections::HashSet<_> = (0..64).map(|_| random_id().unwrap()).collect();
        assert_eq!(ids.len(), 64);
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(is_digit)));
        // Every digit has its place: sixteen of them among two thousand.
        let all: std::collections::BTreeSet<_> = ids.iter().flat_map(|id| id.bytes()).collect();
        assert_eq!(all.into_iter().collect::<Vec<_>>(), b"0123456789abcdef");
    }
}
