//! What a model is asked, and what it answers.

mod request;
mod finish;
mod dropped;
mod response;

pub use dropped::Dropped;
pub(crate) use finish::mark_truncated;
pub(super) use finish::refused;
pub use finish::{Finish, FinishReason};
pub use request::{ChatRequest, ResponseFormat, ToolChoice};
pub use response::{Cached, ChatResponse};
