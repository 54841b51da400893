use crate::web::cache::Cache;
use crate::web::catcher::CatcherDescriptor;
use crate::web::limits::RouteLimits;
use crate::web::middleware::{BoxMiddleware, IntoMiddleware};
use crate::web::operation::{Notes, Security};
use http::{Extensions, StatusCode};
use std::borrow::Cow;
use std::fmt;

/// The options of a route, as its attribute and the blueprints around it set them.
///
/// The expressions in an attribute are evaluated once, when the application is built: those of
/// the outermost blueprint first and those of the route last. What is listed, such as middleware
/// and tags, adds up; anything else is replaced by what stands further in.
#[derive(Debug, Clone, Default)]
pub struct RouteOptions {
    /// Where what is set now stands, in words that are the same in all processes of a program: the methods
    /// and the path of a route, a blueprint with its prefix, or nothing for the application.
    pub(crate) place: String,
    pub(crate) name: Option<String>,
    pub(crate) hosts: Vec<String>,
    pub(crate) middleware: Vec<BoxMiddleware>,
    pub(crate) cache: Option<Cache>,
    /// The cache was set here, and by none around it.
    pub(crate) has_own_cache: bool,
    /// Asked before those that are annotated.
    pub(crate) catchers: Vec<&'static CatcherDescriptor>,
    pub(crate) notes: Notes,
    pub(crate) extensions: Extensions,
}

impl RouteOptions {
    /// Names the route, for [`url_for!`](crate::url_for); otherwise it has the name of its function.
    pub fn name(&mut self, name: impl Into<String>) -> &mut Self {
        self.name = Some(name.into());
        self
    }

    /// Answers on this host only.
    pub fn host(&mut self, host: impl Into<String>) -> &mut Self {
        self.hosts([host])
    }

    /// Answers on these hosts only; `*.example.com` means every host below `example.com`.
    pub fn hosts<H: Into<String>>(&mut self, hosts: impl IntoIterator<Item = H>) -> &mut Self {
        self.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Runs middleware around the handler, within that of the application. What is added first is outermost.
    pub fn middleware<A>(&mut self, middleware: impl IntoMiddleware<A>) -> &mut Self {
        self.middleware.push(BoxMiddleware::new(middleware.into_middleware()));
        self
    }

    /// Bounds the bodies and the time of requests; what is not said stays as it was.
    pub fn limits(&mut self, limits: RouteLimits) -> &mut Self {
        let outer = self.extensions.get::<RouteLimits>().copied().unwrap_or_default();
        self.extension(limits.within(outer))
    }

    /// Lets a catcher answer the errors of the route, before any that is annotated.
    pub(crate) fn catcher(&mut self, catcher: &'static CatcherDescriptor) -> &mut Self {
        self.catchers.push(catcher);
        self
    }

    /// Keeps answers, so that the handler need not run again.
    pub fn cache(&mut self, cache: impl Into<Cache>) -> &mut Self {
        self.cache = Some(cache.into());
        self.has_own_cache = true;
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

/// What is to be set on options, once those around are known.
#[derive(Default)]
pub(crate) struct Settings(Vec<Setting>);

type Setting = Box<dyn FnOnce(&mut RouteOptions) + Send>;

impl Settings {
    pub(crate) fn push(&mut self, setting: impl FnOnce(&mut RouteOptions) + Send + 'static) {
        self.0.push(Box::new(setting));
    }

    /// The options within others, of what stands at a place.
    pub(crate) fn within(self, outer: &RouteOptions, place: String) -> RouteOptions {
        let mut options = outer.clone();
        options.place = place;
        options.has_own_cache = false;
        self.0.into_iter().for_each(|set| set(&mut options));
        options
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Settings").field(&self.0.len()).finish()
    }
}
