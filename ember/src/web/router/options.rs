use crate::web::cache::{Cache, CacheEngine};
use crate::web::operation::{Notes, Security};
use http::{Extensions, StatusCode};
use std::borrow::Cow;

/// The options of a route, as its attribute sets them.
///
/// The expressions in an attribute are evaluated once, when the application is built.
#[derive(Debug, Clone, Default)]
pub struct RouteOptions {
    pub(crate) cache: Option<Cache>,
    pub(crate) notes: Notes,
    pub(crate) extensions: Extensions,
}

impl RouteOptions {
    /// Keeps answers, so that the handler need not run again.
    pub fn cache(&mut self, engine: impl CacheEngine) -> &mut Self {
        self.cache = Some(Cache::new(engine));
        self
    }

    /// Puts the route into these groups, beside those that it is in.
    pub fn tags(
        &mut self,
        tags: impl IntoIterator<Item = impl Into<Cow<'static, str>>>,
    ) -> &mut Self {
        for tag in tags.into_iter().map(Into::into) {
            if !self.notes.tags.contains(&tag) {
                self.notes.tags.push(tag);
            }
        }
        self
    }

    /// Says what the route does in one line, in place of the first paragraph of the doc comment.
    pub fn summary(&mut self, summary: impl Into<Cow<'static, str>>) -> &mut Self {
        self.notes.summary = Some(summary.into());
        self
    }

    /// Says that the route had better not be used any more.
    pub fn deprecated(&mut self, deprecated: bool) -> &mut Self {
        self.notes.deprecated = deprecated;
        self
    }

    /// Describes the status of success, where the result leaves it to the handler, as
    /// `(StatusCode, …)` does.
    ///
    /// It changes no answer.
    pub fn status(&mut self, status: StatusCode) -> &mut Self {
        self.notes.status = Some(status);
        self
    }

    /// Describes how a request can prove who makes it: any one of these ways, or none for a
    /// route that asks nobody.
    ///
    /// It lets nobody in and keeps nobody out; middleware does.
    pub fn security(&mut self, ways: impl IntoIterator<Item = Security>) -> &mut Self {
        self.notes.security = Some(ways.into_iter().collect());
        self
    }

    /// Leaves the route out of the OpenAPI document.
    pub fn hidden(&mut self, hidden: bool) -> &mut Self {
        self.notes.hidden = hidden;
        self
    }

    /// Leaves a value for extractors and middleware, found by its type.
    pub fn extension<T: Clone + Send + Sync + 'static>(&mut self, value: T) -> &mut Self {
        self.extensions.insert(value);
        self
    }

    /// Returns a value that was left, or puts in a default one.
    pub fn extension_mut<T: Clone + Default + Send + Sync + 'static>(&mut self) -> &mut T {
        self.extensions.get_or_insert_default()
    }
}
