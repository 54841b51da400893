use super::Tree;
use http::Uri;
use http::header::{HOST, HeaderMap};
use std::borrow::Cow;
use std::collections::HashMap;

/// The trees of routes by the host that they answer on.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    any: Tree,
    exact: HashMap<String, Tree>,
    /// By what stands after the `*`; the longest first.
    below: Vec<(String, Tree)>,
}

impl Hosts {
    /// The trees that a route belongs into: of its hosts, or the one for any.
    ///
    /// # Errors
    /// The host that is none.
    pub(crate) fn trees_of<'a>(&mut self, hosts: &'a [String]) -> Result<Vec<&mut Tree>, &'a str> {
        if hosts.is_empty() {
            return Ok(vec![&mut self.any]);
        }
        if let Some(bad) = hosts.iter().find(|host| !is_host(host)) {
            return Err(bad);
        }
        let hosts: Vec<_> =
            hosts.iter().map(|host| without_dot(host).to_ascii_lowercase()).collect();
        let wanted = |host: &str| hosts.iter().any(|known| known == host);
        for host in hosts.iter().cloned() {
            match host.strip_prefix('*') {
                None => {
                    self.exact.entry(host).or_default();
                }
                Some(suffix) if !self.below.iter().any(|(known, _)| known == suffix) => {
                    self.below.push((suffix.to_owned(), Tree::default()));
                }
                Some(_) => {}
            }
        }
        self.below.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        let exact = self.exact.iter_mut().filter(|(host, _)| wanted(host)).map(|(_, tree)| tree);
        let below = self.below.iter_mut().filter(|(suffix, _)| wanted(&format!("*{suffix}")));
        Ok(exact.chain(below.map(|(_, tree)| tree)).collect())
    }

    /// Looks into the trees until something is found: into those of the request's host before the
    /// one for any.
    #[inline]
    pub(crate) fn search<'a, T>(
        &'a self,
        uri: &Uri,
        headers: &HeaderMap,
        mut look: impl FnMut(&'a Tree) -> Option<T>,
    ) -> Option<T> {
        // Most applications bind no route to a host, and need not look at it.
        let bound = !self.exact.is_empty() || !self.below.is_empty();
        if bound && let Some(host) = host(uri, headers) {
            let host = &*host;
            let is_below = |suffix: &str| host.len() > suffix.len() && host.ends_with(suffix);
            let below = self.below.iter().filter(|(suffix, _)| is_below(suffix));
            let exact = self.exact.get(host).into_iter();
            if let Some(found) = exact.chain(below.map(|(_, tree)| tree)).find_map(&mut look) {
                return Some(found);
            }
        }
        look(&self.any)
    }
}

/// The host that a request is for, in lower case and without a port (RFC 9110 §7.2).
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<Cow<'a, str>> {
    let host = match uri.host() {
        Some(host) => host,
        None => without_port(headers.get(HOST)?.to_str().ok()?),
    };
    let host = without_dot(host);
    Some(match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => host.to_ascii_lowercase().into(),
        false => host.into(),
    })
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// A name is the same with the dot of the root of all names at its end (RFC 1034 §3.1).
fn without_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// Tells whether a text is a host, or `*.` and a host.
fn is_host(text: &str) -> bool {
    let text = text.strip_prefix("*.").unwrap_or(text);
    let is_v6 = text.starts_with('[') && text.ends_with(']');
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '.' | '_');
    is_v6 || (!text.is_empty() && text.chars().all(plain))
}

#[cfg(test)]
mod tests {
    use super::super::Parameters;
    use super::*;
    use http::{HeaderValue, Method};

    #[test]
    fn the_nearest_host_goes_first() {
        let mut hosts = Hosts::default();
        let patterns = [
            vec![],
            vec!["a.example.com".to_owned()],
            vec!["*.example.com".to_owned()],
            vec!["*.b.Example.com".to_owned()],
        ];
        for (index, hosts_of_route) in (0..).zip(&patterns) {
            for tree in hosts.trees_of(hosts_of_route).unwrap() {
                tree.insert(&"/".parse().unwrap(), &Method::GET, index).unwrap();
            }
        }
        let found = |host: &'static str| {
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
            let uri = Uri::from_static("/");
            hosts.search(&uri, &headers, |tree| {
                tree.find("/", &mut Parameters::new())?.route(&Method::GET)
            })
        };
        assert_eq!(found("A.example.com:8000"), Some(1));
        assert_eq!(found("x.example.com"), Some(2));
        assert_eq!(found("x.b.example.com"), Some(3));
        assert_eq!(found("example.com"), Some(0));
        assert_eq!(found("[::1]:80"), Some(0));
    }

    #[test]
    fn every_pattern_above_a_host_is_looked_at() {
        let mut hosts = Hosts::default();
        let routes = ["*.example.com", "*.api.example.com", "x.api.example.com.", "*.com"];
        let paths = ["/a", "/b", "/c", "/b"];
        for (index, (host, path)) in (0..).zip(routes.into_iter().zip(paths)) {
            for tree in hosts.trees_of(&[host.to_owned()]).unwrap() {
                tree.insert(&path.parse().unwrap(), &Method::GET, index).unwrap();
            }
        }
        let found = |host: &'static str, path: &'static str| {
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
            hosts.search(&Uri::from_static(path), &headers, |tree| {
                tree.find(path, &mut Parameters::new())?.route(&Method::GET)
            })
        };
        assert_eq!(found("x.api.example.com", "/a"), Some(0));
        assert_eq!(found("x.api.example.com", "/b"), Some(1));
        assert_eq!(found("x.api.example.com", "/c"), Some(2));
        assert_eq!(found("y.example.com", "/b"), Some(3));
        assert_eq!(found("x.api.example.com.:80", "/c"), Some(2));
        assert_eq!(found("y.example.com.", "/a"), Some(0));
        assert_eq!(found("y.example.com.", "/c"), None);
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let mut hosts = Hosts::default();
        for bad in ["", "a b", "http://a", "a/b", "*", "a:80"] {
            assert_eq!(hosts.trees_of(&[bad.to_owned()]).unwrap_err(), bad);
        }
    }
}
