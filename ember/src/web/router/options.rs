use crate::web::cache::{Cache, CacheEngine};
use http::Extensions;

/// The options of a route, as its attribute sets them.
///
/// The expressions in an attribute are evaluated once, when the application is built.
#[derive(Debug, Clone, Default)]
pub struct RouteOptions {
    pub(crate) cache: Option<Cache>,
    pub(crate) extensions: Extensions,
}

impl RouteOptions {
    /// Keeps answers, so that the handler need not run again.
    pub fn cache(&mut self, engine: impl CacheEngine) -> &mut Self {
        self.cache = Some(Cache::new(engine));
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
