use super::caches::SharedCaches;
use super::route::SiteRoute;
use super::target::{Target, allow};
use crate::web::catcher::Catchers;
use crate::web::middleware::BoxMiddleware;
use crate::web::request::Match;
use crate::web::router::{Hosts, Parameters, TrailingSlash};
use http::header::HeaderMap;
use http::{Method, Uri};

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
    pub(super) fn find(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> (Target, Match) {
        let path = uri.path();
        // `OPTIONS *` is about the server as a whole (RFC 9110 §9.3.7).
        if method == Method::OPTIONS && path == "*" {
            return (Target::Options(None), Match::default());
        }
        let (mut leaf_of_others, mut parameters) = (None, Parameters::new());
        let found = self.hosts.search(uri, headers, |tree| {
            let leaf = tree.find(path, &mut parameters)?;
            let route = leaf.route(method).or_else(|| match *method {
                Method::HEAD => leaf.route(&Method::GET),
                _ => None,
            });
            leaf_of_others.get_or_insert(leaf);
            route.or(leaf.mount())
        });
        if let Some(route) = found {
            return (Target::Route(route), Match { route: Some(route), parameters });
        }
        let target = match leaf_of_others {
            Some(leaf) if method == Method::OPTIONS => Target::Options(Some(allow(leaf))),
            Some(leaf) => Target::MethodNotAllowed(allow(leaf)),
            None => self.elsewhere(uri, headers),
        };
        (target, Match::default())
    }

    /// A path that leads nowhere: perhaps the same one with or without a slash at its end does.
    fn elsewhere(&self, uri: &Uri, headers: &HeaderMap) -> Target {
        let path = uri.path();
        // `//a` and `/\a`, which browsers read alike, would lead to another host.
        let leads_away = path.starts_with("//") || path.contains('\\');
        if self.trailing_slash != TrailingSlash::Redirect || leads_away {
            return Target::NotFound;
        }
        let twin = match path.strip_suffix('/') {
            Some(without) => without.to_owned(),
            None => format!("{path}/"),
        };
        let mut parameters = Parameters::new();
        match self.hosts.search(uri, headers, |tree| tree.find(&twin, &mut parameters)) {
            Some(_) => Target::Redirect(
                uri.query().map_or(twin.clone(), |query| format!("{twin}?{query}")),
            ),
            None => Target::NotFound,
        }
    }
}
