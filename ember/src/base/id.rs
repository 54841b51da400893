use crate::base::{Error, Result};
use std::fmt::Write as _;

/// Returns 128 bits from the operating system's generator as 32 hexadecimal digits.
pub(crate) fn random_id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::getrandom(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    let mut text = String::with_capacity(32);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
