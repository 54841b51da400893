//! Who answers, what it is made from, and how it is found by its name.

#[expect(clippy::module_inception, reason = "the folder is about it and how it comes about")]
mod provider;
mod timeouts;
mod config;
mod descriptor;

pub use config::ProviderConfig;
pub use descriptor::ProviderDescriptor;
pub use provider::{BoxProvider, Provider};
pub use timeouts::Timeouts;
