//! Money as stores count it, in billionths of a dollar.

use crate::llm::usd::Usd;

/// How many 10⁻¹² dollars a billionth is.
pub(super) const PICOS_PER_NANO: u128 = 1_000;

/// How many billionths of a dollar an amount is, rounded up.
pub(super) fn nanos(amount: Usd) -> u64 {
    u64::try_from(amount.picos().div_ceil(PICOS_PER_NANO)).unwrap_or(u64::MAX)
}

/// So many billionths of a dollar; a debt is nothing.
pub(super) fn dollars(nanos: i64) -> Usd {
    Usd::from_picos(u128::try_from(nanos).unwrap_or(0) * PICOS_PER_NANO)
}
