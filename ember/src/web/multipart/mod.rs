//! Forms with files (`multipart/form-data`, RFC 7578), read part by part as they arrive.
//!
//! Nothing is kept in memory but the piece that is being read; what a handler wants whole it
//! asks for, within the limits.

mod limits;
mod metered;
#[expect(clippy::module_inception, reason = "the folder is about the type")]
mod multipart;

pub use limits::MultipartLimits;
pub use multipart::{Field, Multipart};
