use serde::de::{Deserializer, Error as _};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};
use std::str::FromStr;

/// An amount of US dollars, exact to 10⁻¹² of one.
///
/// Prices are told in dollars for a million tokens, with at most six decimals; a single token
/// then costs a whole number of 10⁻¹² dollars, and sums have no error. Floating point was
/// refused: it is off by the third request.
///
/// ```
/// use ember::llm::Usd;
///
/// let spent: Usd = ["0.1", "0.2"].map(|text| text.parse::<Usd>().unwrap()).into_iter().sum();
/// assert_eq!(spent.to_string(), "0.3");
/// assert_eq!(format!("${spent:.6}"), "$0.300000");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(u128);

/// How many decimals are kept.
const DECIMALS: usize = 12;

/// One dollar.
const DOLLAR: u128 = 10_u128.pow(DECIMALS as u32);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many 10⁻¹² dollars.
    pub const fn from_picos(picos: u128) -> Self {
        Self(picos)
    }

    /// The amount in 10⁻¹² dollars.
    pub const fn picos(self) -> u128 {
        self.0
    }

    /// The nearest floating-point number, for charts; sums are made before.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / DOLLAR as f64
    }

    /// What is left of the amount without another; nothing, if that is more.
    pub(super) const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The amount so many times. What is too large to be told stays at the largest amount.
    #[must_use]
    pub const fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count as u128))
    }
}

impl Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Debug for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Usd({self})")
    }
}

impl fmt::Display for Usd {
    /// Prints every decimal that is there, or as many as the format asks for, rounded half up.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = f.precision().map_or(DECIMALS, |decimals| decimals.min(DECIMALS));
        let step = 10_u128.pow((DECIMALS - decimals) as u32);
        let rounded = self.0.saturating_add(step / 2) / step;
        let scale = 10_u128.pow(decimals as u32);
        let (whole, part) = (rounded / scale, rounded % scale);
        let mut text = match decimals {
            0 => whole.to_string(),
            _ => format!("{whole}.{part:0decimals$}"),
        };
        if f.precision().is_none() {
            text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
        }
        f.write_str(&text)
    }
}

/// A text that is no amount: digits, a point, and at most twelve digits more, or six for a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseUsdError;

impl fmt::Display for ParseUsdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount of dollars is written with digits and at most 12 decimals, a price of a million tokens with at most 6")
    }
}

impl std::error::Error for ParseUsdError {}

impl FromStr for Usd {
    type Err = ParseUsdError;

    fn from_str(text: &str) -> Result<Self, ParseUsdError> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > DECIMALS {
            return Err(ParseUsdError);
        }
        let number = |text: &str| text.parse::<u128>().map_err(|_| ParseUsdError);
        let part = number(part)? * 10_u128.pow((DECIMALS - part.len()) as u32);
        let whole = number(whole)?.checked_mul(DOLLAR).ok_or(ParseUsdError)?;
        whole.checked_add(part).map(Self).ok_or(ParseUsdError)
    }
}

/// As text, because a number in JSON is read as floating point nearly everywhere.
impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    #[test]
    fn amounts_are_read_and_printed_exactly() {
        for text in ["0", "1", "0.000000000001", "12.5", "1000000", "0.03"] {
            assert_eq!(usd(text).to_string(), text);
        }
        assert_eq!(usd("0.50").to_string(), "0.5");
        assert_eq!(
            format!("{:.2} {:.0} {:.3}", usd("0.005"), usd("1.5"), usd("2")),
            "0.01 2 2.000"
        );
        assert_eq!(format!("{:.2}", usd("0.995")), "1.00");
        for text in ["", ".", "1.", ".5", "-1", "1e3", "0.0000000000001", "+1"] {
            assert_eq!(text.parse::<Usd>(), Err(ParseUsdError), "{text}");
        }
        assert_eq!("9".repeat(60).parse::<Usd>(), Err(ParseUsdError));
    }

    #[test]
    fn sums_have_no_error() {
        let tenth = usd("0.1");
        assert_eq!((0..10).map(|_| tenth).sum::<Usd>(), usd("1"));
        assert_eq!(usd("0.0000001").times(3), usd("0.0000003"));
        assert_eq!(Usd::from_picos(u128::MAX) + tenth, Usd::from_picos(u128::MAX));
    }

    #[test]
    fn json_keeps_every_digit() {
        let json = serde_json::to_string(&usd("0.000000000001")).unwrap();
        assert_eq!(json, r#""0.000000000001""#);
        assert_eq!(serde_json::from_str::<Usd>(&json).unwrap(), Usd::from_picos(1));
    }
}
