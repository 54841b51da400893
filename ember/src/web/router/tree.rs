use super::RoutePath;
use super::path::Segment;
use foldhash::fast::FixedState;
use http::Method;
use percent_encoding::{CONTROLS, utf8_percent_encode};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::HashMap;

/// What becomes of a path that differs from a route only by the slash at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrailingSlash {
    /// It is another path: 404 unless it has a route of its own.
    #[default]
    Strict,
    /// The client is sent to the path of the route (308, so that method and body are kept).
    Redirect,
    /// The route answers to both.
    Clone,
}

/// The routes by the segments of their paths.
///
/// A literal goes before a parameter and a parameter before the rest of a path; where a
/// choice leads nowhere, the next one is tried.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    /// The keys are the program's own, so none of them can be chosen to collide; what clients send is
    /// only looked up.
    literals: HashMap<Box<str>, Node, FixedState>,
    parameter: Option<Box<Node>>,
    rest: Option<Leaf>,
    leaf: Option<Leaf>,
}

/// The routes of one path, by method.
#[derive(Debug, Default)]
pub(crate) struct Leaf {
    routes: Vec<(Method, u32)>,
    /// What answers to every other method.
    mount: Option<u32>,
}

/// Where each parameter stands in a path: its start and its end.
pub(crate) type Parameters = SmallVec<[(u16, u16); 4]>;

impl Tree {
    /// Puts a route in. What was there for the same method is returned and stays.
    pub(crate) fn insert(
        &mut self,
        path: &RoutePath,
        method: &Method,
        route: u32,
    ) -> Result<(), u32> {
        self.leaf(path).insert(method, route)
    }

    /// Puts in what answers to all methods that have no route of their own.
    pub(crate) fn insert_mount(&mut self, path: &RoutePath, route: u32) -> Result<(), u32> {
        match self.leaf(path).mount.replace(route) {
            None => Ok(()),
            Some(earlier) => Err(earlier),
        }
    }

    fn leaf(&mut self, path: &RoutePath) -> &mut Leaf {
        let mut node = &mut self.root;
        for segment in path.segments() {
            node = match segment {
                Segment::Literal(text) => {
                    node.literals.entry(as_sent(text).into_owned().into()).or_default()
                }
                Segment::Parameter(_) => node.parameter.get_or_insert_default(),
                Segment::Rest(_) => return node.rest.get_or_insert_default(),
            };
        }
        node.leaf.get_or_insert_default()
    }

    /// Finds the routes of a path, and where its parameters stand in it; nothing else is left among them.
    #[inline]
    pub(crate) fn find(&self, path: &str, parameters: &mut Parameters) -> Option<&Leaf> {
        parameters.clear();
        // `*` and an authority are no paths.
        if !path.starts_with('/') {
            return None;
        }
        self.root.find(path, 1, parameters)
    }
}

impl Node {
    /// `start` is where the next segment begins; one past the end when there is none.
    fn find(&self, path: &str, start: usize, parameters: &mut Parameters) -> Option<&Leaf> {
        if start > path.len() {
            return self.leaf.as_ref();
        }
        let rest = &path[start..];
        // Segments are mostly shorter than what a search by vectors needs to begin.
        let end = start + rest.bytes().position(|byte| byte == b'/').unwrap_or(rest.len());
        let segment = &path[start..end];
        if let Some(node) = self.literals.get(segment)
            && let Some(leaf) = node.find(path, end + 1, parameters)
        {
            return Some(leaf);
        }
        if let Some(node) = &self.parameter
            && !segment.is_empty()
        {
            parameters.push(range(start, end)?);
            if let Some(leaf) = node.find(path, end + 1, parameters) {
                return Some(leaf);
            }
            parameters.pop();
        }
        let leaf = self.rest.as_ref().filter(|_| !rest.is_empty())?;
        parameters.push(range(start, path.len())?);
        Some(leaf)
    }
}

/// A literal as clients send it: what is not ASCII is percent-encoded (RFC 3986 §2.1).
fn as_sent(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, CONTROLS).into()
}

/// A range within a path; a path that is longer than 64 KiB has none (hyper refuses it before).
fn range(start: usize, end: usize) -> Option<(u16, u16)> {
    Some((start.try_into().ok()?, end.try_into().ok()?))
}

impl Leaf {
    fn insert(&mut self, method: &Method, route: u32) -> Result<(), u32> {
        match self.route(method) {
            Some(earlier) => Err(earlier),
            None => {
                // Most paths have one method.
                self.routes.reserve_exact(1);
                self.routes.push((method.clone(), route));
                Ok(())
            }
        }
    }

    /// Returns the route of a method.
    pub(crate) fn route(&self, method: &Method) -> Option<u32> {
        self.routes.iter().find(|(known, _)| known == method).map(|(_, route)| *route)
    }

    /// Returns what answers to all methods that have no route of their own.
    pub(crate) fn mount(&self) -> Option<u32> {
        self.mount
    }

    /// The methods that are answered, with those that follow from others.
    pub(crate) fn allowed(&self) -> Vec<&Method> {
        let mut methods: Vec<_> = self.routes.iter().map(|(method, _)| method).collect();
        let implied = [(Method::GET, &Method::HEAD), (Method::OPTIONS, &Method::OPTIONS)];
        for (by, method) in implied {
            if (methods.contains(&&by) || by == Method::OPTIONS) && !methods.contains(&method) {
                methods.push(method);
            }
        }
        methods.sort_by_key(|method| method.as_str());
        methods
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::default();
        for (index, path) in paths.iter().enumerate() {
            tree.insert(&path.parse().unwrap(), &Method::GET, index as u32).unwrap();
        }
        tree
    }

    #[track_caller]
    fn check(tree: &Tree, path: &str, route: Option<u32>, parameters: &[&str]) {
        let mut ranges = Parameters::from_slice(&[(7, 7)]);
        let leaf = tree.find(path, &mut ranges);
        assert_eq!(leaf.and_then(|leaf| leaf.route(&Method::GET)), route, "{path}");
        let texts: Vec<_> = ranges
            .iter()
            .map(|(start, end)| &path[usize::from(*start)..usize::from(*end)])
            .collect();
        assert_eq!(texts, parameters, "{path}");
    }

    #[test]
    fn literals_go_before_parameters_and_parameters_before_the_rest() {
        let tree = tree(&[
            "/",
            "/tasks",
            "/tasks/new",
            "/tasks/{id}",
            "/tasks/{id}/log",
            "/tasks/{*rest}",
            "/{a}/new/x",
        ]);
        check(&tree, "/", Some(0), &[]);
        check(&tree, "/tasks", Some(1), &[]);
        check(&tree, "/tasks/new", Some(2), &[]);
        check(&tree, "/tasks/7", Some(3), &["7"]);
        check(&tree, "/tasks/7/log", Some(4), &["7"]);
        check(&tree, "/tasks/7/other/9", Some(5), &["7/other/9"]);
        check(&tree, "/tasks/new/x", Some(5), &["new/x"]);
        check(&tree, "/other/new/x", Some(6), &["other"]);
        check(&tree, "/other/new/y", None, &[]);
    }

    #[test]
    fn a_choice_that_leads_nowhere_is_taken_back() {
        let tree = tree(&["/a/{x}/c/d", "/{y}/b/c/e", "/{*all}"]);
        check(&tree, "/a/b/c/d", Some(0), &["b"]);
        check(&tree, "/a/b/c/e", Some(1), &["a"]);
        check(&tree, "/a/b/c/f", Some(2), &["a/b/c/f"]);
        check(&tree, "/", None, &[]);
    }

    #[test]
    fn slashes_count() {
        let tree = tree(&["/a", "/b/", "/c/{x}"]);
        check(&tree, "/a/", None, &[]);
        check(&tree, "/b", None, &[]);
        check(&tree, "/b/", Some(1), &[]);
        check(&tree, "/c/", None, &[]);
        check(&tree, "//a", None, &[]);
        check(&tree, "*", None, &[]);
    }

    #[test]
    fn literals_are_found_as_they_are_sent() {
        let tree = tree(&["/größe/{x}"]);
        check(&tree, "/gr%C3%B6%C3%9Fe/1", Some(0), &["1"]);
    }

    #[test]
    fn a_method_has_one_route() {
        let mut tree = tree(&["/a/{x}"]);
        let path = "/a/{y}".parse().unwrap();
        assert_eq!(tree.insert(&path, &Method::GET, 7), Err(0));
        assert_eq!(tree.insert(&path, &Method::POST, 7), Ok(()));
        let leaf = tree.find("/a/1", &mut Parameters::new()).unwrap();
        assert_eq!(leaf.allowed(), ["GET", "HEAD", "OPTIONS", "POST"]);
    }
}
