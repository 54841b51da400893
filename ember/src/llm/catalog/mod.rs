//! What is known of models: window, limits, prices, capabilities.
//!
//! The figures are list prices, compiled in from `catalog.csv`, which names its source and its
//! date. What is not in there is unknown: no price is guessed from a name that looks alike, and
//! an unknown price is not zero. A program adds and replaces entries at run time.

mod price;
mod model;
mod table;
mod dated;
#[expect(clippy::module_inception, reason = "the folder is about it and what stands in it")]
mod catalog;

pub use catalog::Catalog;
pub(super) use dated::without_date;
pub use model::{Capability, Model};
pub use price::Price;
