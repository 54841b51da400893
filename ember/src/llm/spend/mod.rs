//! What may be spent on models: a limit for a period of the calendar, and the accounts under it.
//!
//! A limit is kept in the `book` of this process, or in a store that processes share; `held` is what a call
//! has set aside of it.

mod period;
mod quote;
mod nanos;
mod book;
mod held;
mod limit;
mod account;
#[cfg(test)]
mod tests;

pub use account::SpendAccount;
pub use limit::SpendLimit;
