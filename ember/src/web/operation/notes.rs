use super::Security;
use http::StatusCode;
use std::borrow::Cow;

/// What the options of a route say about it, beside what its types tell.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Notes {
    /// The groups that it belongs to.
    pub tags: Vec<Cow<'static, str>>,
    /// What it does in one line, in place of the first paragraph of the doc comment.
    pub summary: Option<Cow<'static, str>>,
    /// Whether it had better not be used any more.
    pub deprecated: bool,
    /// The status of success, where the type of the result leaves it to the handler.
    pub status: Option<StatusCode>,
    /// How a request can prove who makes it: any one of these. `None` where nothing is said,
    /// nothing in the list where nobody is asked.
    pub security: Option<Vec<Security>>,
    /// Whether the document leaves the route out.
    pub hidden: bool,
}
