//! Keys of our own API: what the program says of them, and what they do while it runs.

mod virtual_key;
mod caller;
mod keyring;
mod virtual_keys;

pub(super) use caller::Caller;
pub(super) use keyring::Keyring;
pub use virtual_key::VirtualKey;
pub(super) use virtual_keys::VARIABLE;
pub use virtual_keys::VirtualKeys;
