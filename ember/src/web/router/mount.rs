use super::Route;
use super::options::Settings;
use crate::base::Error;
use crate::base::error::BoxError;
use crate::web::body::Body;
use crate::web::handler::Endpoint;
use crate::web::operation::Operation;
use crate::web::request::{OriginalUri, Request};
use bytes::Bytes;
use http::Uri;
use http::uri::PathAndQuery;
use std::future::poll_fn;
use std::sync::Arc;
use tower_service::Service;

impl Route {
    /// A service that answers to all methods below a path, such as an application of axum.
    ///
    /// It answers to the prefix itself, with and without a slash at its end, and to every path
    /// below. It sees the target without the prefix, as in axum's `nest_service`; the whole one
    /// is in the extensions as [`OriginalUri`]. Routes of the application that match as well go
    /// before it. The prefix may have parameters; `/` takes all that has no route.
    ///
    /// Middleware runs around it as around any route, and the application's limit holds for the
    /// bodies that it reads. An error of the service is answered with status 500.
    pub fn mount<S, B>(prefix: impl Into<String>, service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<B>>,
        S: Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let endpoint = move |request: Request| -> crate::web::handler::HandlerFuture {
            let mut service = service.clone();
            Box::pin(async move {
                let request = without_prefix(request)?;
                let failed = |error: S::Error| Error::from_boxed(error.into());
                poll_fn(|context| service.poll_ready(context)).await.map_err(failed)?;
                Ok(service.call(request).await.map_err(failed)?.map(Body::new))
            })
        };
        let prefix = prefix.into();
        let prefix = prefix.strip_suffix('/').unwrap_or(&prefix);
        Self {
            methods: Vec::new(),
            is_mount: true,
            path: format!("{prefix}/{{*rest}}"),
            name: "mount".to_owned(),
            docs: "".into(),
            location: None,
            arguments: &[],
            endpoint: Endpoint::Shared(Arc::new(endpoint)),
            operation: Operation::new(),
            settings: Settings::default(),
        }
    }
}

/// The request as a mounted service sees it.
fn without_prefix(request: Request) -> Result<http::Request<Body>, Error> {
    // The last segment of the route's path is `{*rest}`; those before it are the prefix.
    let segments = request.route().map_or(0, |route| route.path.matches('/').count() - 1);
    let mut request = request.into_http();
    let uri = strip(request.uri(), segments)?;
    let original = std::mem::replace(request.uri_mut(), uri);
    // It may be mounted in another application, whose prefix is gone already.
    request.extensions_mut().get_or_insert_with(|| OriginalUri(original));
    Ok(request)
}

/// The target without the first segments of its path.
fn strip(uri: &Uri, segments: usize) -> Result<Uri, Error> {
    let path = uri.path();
    let rest = path.match_indices('/').nth(segments).map_or("/", |(start, _)| &path[start..]);
    let target = match uri.query() {
        Some(query) => format!("{rest}?{query}"),
        None => rest.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target)?);
    Ok(Uri::from_parts(parts)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(uri: &str, segments: usize, expected: &str) {
        assert_eq!(strip(&uri.parse().unwrap(), segments).unwrap().to_string(), expected);
    }

    #[test]
    fn as_many_segments_are_taken_away_as_the_prefix_has() {
        check("/a/b/c?d=/e", 1, "/b/c?d=/e");
        check("/a/b/", 2, "/");
        check("/a/b", 2, "/");
        check("/a?x=1", 1, "/?x=1");
        check("/a//b", 1, "//b");
        check("/a", 0, "/a");
        check("http://host:1/a/b%2Fc", 1, "http://host:1/b%2Fc");
    }
}
