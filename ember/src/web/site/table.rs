use super::caches::SharedCaches;
use super::route::SiteRoute;
use super::target::{Target, allow};
use crate::web::catcher::Catchers;
use crate::web::middleware::BoxMiddleware;
use crate::web::request::{Match, OriginalUri};
use crate::web::router::{Hosts, Leaf, Parameters, TrailingSlash, Tree};
use http::Method;
use http::header::ACCESS_CONTROL_REQUEST_METHOD;
use http::request::Parts;

/// What requests are answered by.
pub(super) struct Table {
    pub(super) hosts: Hosts,
    pub(super) endpoints: Vec<SiteRoute>,
    pub(super) caches: SharedCaches,
    pub(super) middleware: Vec<BoxMiddleware>,
    /// For requests that find no route.
    pub(super) catchers: Catchers,
    /// Extractors on the way of a request that finds no route change the response.
    pub(super) touches_response: bool,
    pub(super) trailing_slash: TrailingSlash,
}

impl Table {
    /// How many bytes of a body may be read, if the route says so.
    pub(super) fn max_body_size(&self, target: &Target) -> Option<u64> {
        match target {
            Target::Route(index) => self.endpoints[*index as usize].limits.max_body_size,
            _ => None,
        }
    }

    /// Finds the route; a host's own routes go before those that answer on any.
    pub(super) fn find(&self, head: &Parts) -> (Target, Match) {
        let Parts { method, uri, headers, .. } = head;
        let path = uri.path();
        // `OPTIONS *` is about the server as a whole (RFC 9110 §9.3.7).
        if method == Method::OPTIONS && path == "*" {
            return (Target::Options(None), Match::default());
        }
        let (mut leaf_of_others, mut parameters) = (None, Parameters::new());
        let found = self.hosts.search(uri, headers, |tree| {
            let leaf = tree.find(path, &mut parameters)?;
            leaf_of_others.get_or_insert(leaf);
            route_of(leaf, method).or(leaf.mount())
        });
        if let Some(route) = found {
            return (Target::Route(route), Match { route: Some(route), parameters });
        }
        match leaf_of_others {
            Some(leaf) if method == Method::OPTIONS => {
                (Target::Options(Some(allow(leaf))), self.announced(head))
            }
            Some(leaf) => (Target::MethodNotAllowed(allow(leaf)), Match::default()),
            None => (self.elsewhere(head), Match::default()),
        }
    }

    /// The route of the request that a preflight request announces (the CORS protocol of the Fetch standard), if
    /// more stands around it than around all routes: what does is to answer for it.
    fn announced(&self, head: &Parts) -> Match {
        let method = head.headers.get(ACCESS_CONTROL_REQUEST_METHOD);
        let method = method.and_then(|method| Method::from_bytes(method.as_bytes()).ok());
        let mut parameters = Parameters::new();
        let route = method.and_then(|method| {
            let look =
                |tree: &Tree| route_of(tree.find(head.uri.path(), &mut parameters)?, &method);
            self.hosts.search(&head.uri, &head.headers, look)
        });
        let has_more =
            |route: &u32| self.endpoints[*route as usize].middleware.len() > self.middleware.len();
        match route.filter(has_more) {
            Some(route) => Match { route: Some(route), parameters },
            None => Match::default(),
        }
    }

    /// A path that leads nowhere: perhaps the same one with or without a slash at its end does.
    fn elsewhere(&self, head: &Parts) -> Target {
        if self.trailing_slash != TrailingSlash::Redirect {
            return Target::NotFound;
        }
        let (uri, path) = (&head.uri, head.uri.path());
        let twin = match path.strip_suffix('/') {
            Some(without) => without.to_owned(),
            None => format!("{path}/"),
        };
        // Whoever is sent there sees the prefix of a mounted application as well.
        let address = format!("{}{twin}", OriginalUri::prefix(head));
        // `//a` and `/\a`, which browsers read alike, would lead to another host.
        let leads_away = address.starts_with("//") || address.contains('\\');
        let mut parameters = Parameters::new();
        let mut look = |tree: &Tree| tree.find(&twin, &mut parameters).map(drop);
        match self.hosts.search(uri, &head.headers, &mut look) {
            Some(()) if !leads_away => Target::Redirect(match uri.query() {
                Some(query) => format!("{address}?{query}"),
                None => address,
            }),
            _ => Target::NotFound,
        }
    }
}

/// The route of a method; GET answers to HEAD as well.
fn route_of(leaf: &Leaf, method: &Method) -> Option<u32> {
    leaf.route(method).or_else(|| match *method {
        Method::HEAD => leaf.route(&Method::GET),
        _ => None,
    })
}
