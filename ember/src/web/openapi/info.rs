use crate::web::operation::Security;
use std::borrow::Cow;

/// What the document says about the application as a whole.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ApiInfo {
    /// What the application is called.
    pub title: Cow<'static, str>,
    /// The version of the application.
    pub version: Cow<'static, str>,
    /// What it is for; Markdown.
    pub description: Cow<'static, str>,
    /// The addresses that it is reached under; none for the address of the document itself.
    pub servers: Vec<Cow<'static, str>>,
    /// Groups of routes, each with a description, in the order in which they are listed. Others
    /// follow in the order of the routes.
    pub tags: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    /// How a request can prove who makes it, unless a route says otherwise: any one of these.
    pub security: Vec<Security>,
}

impl ApiInfo {
    /// An application of this name and version.
    pub fn new(title: impl Into<Cow<'static, str>>, version: impl Into<Cow<'static, str>>) -> Self {
        Self {
            title: title.into(),
            version: version.into(),
            description: Cow::Borrowed(""),
            servers: Vec::new(),
            tags: Vec::new(),
            security: Vec::new(),
        }
    }
}

impl Default for ApiInfo {
    fn default() -> Self {
        Self::new("An Ember application", "0.0.0")
    }
}
