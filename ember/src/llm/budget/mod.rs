//! What requests may spend, and what they have spent.

mod spent;
mod reservation;
mod plan;
#[expect(clippy::module_inception, reason = "the folder is about it and what it is asked with")]
mod budget;
mod embedding;
mod meter;

pub(super) use budget::BoxBudget;
pub use budget::Budget;
pub(crate) use embedding::ReservedEmbedding;
pub(super) use meter::{Account, Meter};
pub use plan::Plan;
pub use reservation::Reservation;
pub use spent::Spent;
