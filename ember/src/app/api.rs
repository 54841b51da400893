//! What an application says of itself in its OpenAPI document, and where it shows it.

use super::ember::Ember;
use super::ready::Ready;
use crate::web::Security;
use crate::web::openapi::{document, page};
use std::borrow::Cow;

impl Ember {
    /// Names the application in its OpenAPI document; otherwise the name of its crate.
    #[must_use]
    pub fn title(mut self, title: impl Into<Cow<'static, str>>) -> Self {
        self.info.title = title.into();
        self
    }

    /// Sets the version in the OpenAPI document; otherwise that of the crate.
    #[must_use]
    pub fn version(mut self, version: impl Into<Cow<'static, str>>) -> Self {
        self.info.version = version.into();
        self
    }

    /// Says in the OpenAPI document what the application is for; Markdown. Otherwise the crate's description.
    #[must_use]
    pub fn description(mut self, description: impl Into<Cow<'static, str>>) -> Self {
        self.info.description = description.into();
        self
    }

    /// Adds an address that the application is reached under to the OpenAPI document.
    ///
    /// Behind a proxy that takes a prefix off it is that prefix: `"/api"`.
    #[must_use]
    pub fn server_url(mut self, url: impl Into<Cow<'static, str>>) -> Self {
        self.info.servers.push(url.into());
        self
    }

    /// Describes a group of routes in the OpenAPI document; groups are listed in the order of these calls.
    #[must_use]
    pub fn tag(
        mut self,
        name: impl Into<Cow<'static, str>>,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.info.tags.push((name.into(), description.into()));
        self
    }

    /// Describes a way in which requests to all routes that say nothing else prove who makes them.
    ///
    /// It lets nobody in and keeps nobody out; middleware does.
    #[must_use]
    pub fn security(mut self, way: Security) -> Self {
        self.info.security.push(way);
        self
    }

    /// Serves a page at this path that lists every route and lets it be tried, event streams
    /// included, and beside it the document, `openapi.json`.
    ///
    /// The page needs nothing from any other server. Middleware stands before it as before any
    /// route; it shows every route to whoever reaches it.
    ///
    /// ```no_run
    /// # fn main() -> ember::Result {
    /// ember::app!().docs("/docs").run()
    /// # }
    /// ```
    #[must_use]
    pub fn docs(mut self, path: impl Into<String>) -> Self {
        let path = path.into();
        self.docs = Some(Box::new(move |info| page::routes(&path, info)));
        self
    }

    /// Takes name, version and description of the crate that calls [`app!`](crate::app!).
    #[doc(hidden)]
    #[must_use]
    pub fn of_crate(
        mut self,
        name: Option<&'static str>,
        version: Option<&'static str>,
        description: Option<&'static str>,
    ) -> Self {
        self.info.title = name.map_or(self.info.title, Cow::Borrowed);
        self.info.version = version.map_or(self.info.version, Cow::Borrowed);
        self.info.description = description.map_or(self.info.description, Cow::Borrowed);
        self
    }

    /// Adds the routes of the page.
    pub(super) fn add_docs(mut self) -> Self {
        match self.docs.take() {
            Some(docs) => docs(&self.info).into_iter().fold(self, Self::route),
            None => self,
        }
    }
}

impl Ready {
    /// The application as an OpenAPI 3.1 document.
    ///
    /// Equal applications have equal documents. See [`openapi`](crate::web::openapi) for what
    /// OpenAPI cannot say.
    pub fn openapi(&self) -> serde_json::Value {
        document(&self.site().state().routes, &self.info)
    }
}
