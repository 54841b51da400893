//! An answer as a stream of events: what it consists of, how its form is agreed on, and how it is framed.

mod token;
mod framed;
mod wanted;
#[expect(clippy::module_inception, reason = "the folder is about it and what it does on its way")]
mod token_stream;

pub use token::IntoToken;
pub use token_stream::{TokenStream, sse_stream};
pub(super) use wanted::{Suggested, Wanted};
