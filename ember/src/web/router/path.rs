use std::fmt;

/// The path of a route: literal segments, `{name}` for one segment, `{*name}` for all that follow.
///
/// ```
/// use ember::web::RoutePath;
///
/// let path: RoutePath = "/users/{id}/files/{*file}".parse()?;
/// assert_eq!(path.parameters().collect::<Vec<_>>(), ["id", "file"]);
/// assert!("/users/{id".parse::<RoutePath>().is_err());
/// # Ok::<(), ember::web::RoutePathError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoutePath {
    text: String,
    segments: Vec<Segment>,
}

/// A part of a path between two slashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Segment {
    Literal(String),
    Parameter(String),
    Rest(String),
}

impl RoutePath {
    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of the parameters, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::parameter)
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The path with every parameter's name left out: two paths that are equal then are the same address.
    pub(crate) fn shape(&self) -> String {
        let shapes = self.segments.iter().map(|segment| match segment {
            Segment::Literal(text) => format!("/{text}"),
            Segment::Parameter(_) => "/{}".to_owned(),
            Segment::Rest(_) => "/{*}".to_owned(),
        });
        shapes.collect()
    }

    /// The paths of a mount whose own one ends in `{*rest}`: that, and its prefix with and without a slash.
    pub(crate) fn of_mount(&self) -> Vec<Self> {
        let with_slash = self.text.rfind('/').map_or("", |end| &self.text[..=end]);
        let bare = with_slash.strip_suffix('/').filter(|bare| !bare.is_empty());
        let prefixes = [Some(with_slash), bare].into_iter().flatten();
        [self.clone()].into_iter().chain(prefixes.filter_map(|path| path.parse().ok())).collect()
    }

    /// The same path with the slash at its end added or taken away; `None` for `/` and for one that ends in `{*rest}`.
    pub(crate) fn slash_twin(&self) -> Option<Self> {
        match self.segments.last()? {
            Segment::Rest(_) => None,
            Segment::Literal(last) if last.is_empty() && self.segments.len() == 1 => None,
            Segment::Literal(last) if last.is_empty() => self.text.strip_suffix('/')?.parse().ok(),
            _ => format!("{}/", self.text).parse().ok(),
        }
    }
}

impl Segment {
    fn parameter(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter(name) | Self::Rest(name) => Some(name),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
            if let Some(name) = text.strip_prefix('*') {
                let name = if is_name(name) { name } else { "rest" };
                return Err(format!(
                    "`{text}` is no parameter: `{{*{name}}}` takes the rest of the path"
                ));
            }
            let foreign = text.starts_with(':') || (text.starts_with('<') && text.ends_with('>'));
            return match text.contains(['{', '}']) || foreign {
                true => Err(format!(
                    "`{text}` is no parameter: a parameter is a whole segment, like `{{name}}`"
                )),
                false => Ok(Self::Literal(text.to_owned())),
            };
        };
        let (name, make): (_, fn(String) -> Self) = match inner.strip_prefix('*') {
            Some(name) => (name, Self::Rest),
            None => (inner, Self::Parameter),
        };
        let before = name.split_once(':').map(|(name, _)| name).filter(|name| is_name(name));
        if let Some(name) = before {
            return Err(format!(
                "`{text}` is no parameter: braces hold a name alone; the type is that of the argument, and `{{*{name}}}` takes the rest of the path"
            ));
        }
        match is_name(name) {
            true => Ok(make(name.to_owned())),
            false => Err(format!("`{text}` has no name that an argument can have")),
        }
    }
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    let starts_well = chars.next().is_some_and(|first| first.is_alphabetic() || first == '_');
    starts_well && text != "_" && chars.all(|char| char.is_alphanumeric() || char == '_')
}

impl std::str::FromStr for RoutePath {
    type Err = RoutePathError;

    fn from_str(text: &str) -> Result<Self, RoutePathError> {
        let error = |reason: String| RoutePathError { path: text.to_owned(), reason };
        let Some(rest) = text.strip_prefix('/') else {
            return Err(error("it does not start with `/`".into()));
        };
        if let Some(bad) = rest
            .chars()
            .find(|char| matches!(char, '?' | '#') || char.is_control() || char.is_whitespace())
        {
            return Err(error(format!("{bad:?} cannot stand in a path")));
        }
        let parts: Vec<_> = rest.split('/').collect();
        let mut segments: Vec<Segment> = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            let last = index + 1 == parts.len();
            if part.is_empty() && !last {
                return Err(error("it has an empty segment".into()));
            }
            let segment = Segment::parse(part).map_err(error)?;
            if matches!(segment, Segment::Rest(_)) && !last {
                return Err(error(format!(
                    "`{part}` takes all that follows, so it must stand at the end"
                )));
            }
            if let Some(name) = segment.parameter()
                && segments.iter().any(|earlier| earlier.parameter() == Some(name))
            {
                return Err(error(format!("the parameter `{name}` is written twice")));
            }
            segments.push(segment);
        }
        Ok(Self { text: text.to_owned(), segments })
    }
}

impl fmt::Display for RoutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A path below a prefix: `/` there is the prefix itself.
///
/// What is malformed stays so, for the start-up check to tell.
pub(super) fn join(prefix: &str, path: &str) -> String {
    match (prefix, path) {
        ("" | "/", path) => path.to_owned(),
        (prefix, "" | "/") => prefix.to_owned(),
        (prefix, path) => format!("{prefix}{path}"),
    }
}

/// Why a text is no path of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutePathError {
    path: String,
    reason: String,
}

impl fmt::Display for RoutePathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no path of a route: {}", self.path, self.reason)
    }
}

impl std::error::Error for RoutePathError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(path: &str, reason: &str) {
        let error = path.parse::<RoutePath>().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn malformed_paths_are_refused_with_a_reason() {
        refused("", "does not start with `/`");
        refused("tasks", "does not start with `/`");
        refused("/a//b", "empty segment");
        refused("/a/{id", "no parameter");
        refused("/a/x{id}", "whole segment");
        refused("/a/:id", "like `{name}`");
        refused("/a/<id>", "like `{name}`");
        refused("/a/{}", "no name");
        refused("/a/{file:path}", "braces hold a name alone");
        refused("/a/{file:path}", "`{*file}` takes the rest");
        refused("/a/*rest", "`{*rest}` takes the rest");
        refused("/a/*", "`{*rest}` takes the rest");
        refused("/a/{1}", "no name");
        refused("/a/{id}/{id}", "written twice");
        refused("/{*rest}/a", "at the end");
        refused("/a?b", "cannot stand in a path");
        refused("/a b", "cannot stand in a path");
    }

    #[test]
    fn twins_differ_in_the_last_slash() {
        let twin = |path: &str| {
            path.parse::<RoutePath>().unwrap().slash_twin().map(|twin| twin.to_string())
        };
        assert_eq!(twin("/a").as_deref(), Some("/a/"));
        assert_eq!(twin("/a/{b}/").as_deref(), Some("/a/{b}"));
        assert_eq!(twin("/"), None);
        assert_eq!(twin("/a/{*b}"), None);
    }

    #[test]
    fn a_mount_has_its_prefix_as_well() {
        let paths = |path: &str| {
            let paths = path.parse::<RoutePath>().unwrap().of_mount();
            paths.iter().map(RoutePath::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(paths("/a/{b}/{*rest}"), "/a/{b}/{*rest} /a/{b}/ /a/{b}");
        assert_eq!(paths("/{*rest}"), "/{*rest} /");
    }

    #[test]
    fn shapes_forget_names() {
        let shape = |path: &str| path.parse::<RoutePath>().unwrap().shape();
        assert_eq!(shape("/a/{b}/{*c}"), "/a/{}/{*}");
        assert_eq!(shape("/"), "/");
    }

    #[test]
    fn prefixes_are_joined() {
        assert_eq!(join("", "/"), "/");
        assert_eq!(join("/", "/a"), "/a");
        assert_eq!(join("/a", "/"), "/a");
        assert_eq!(join("/a", ""), "/a");
        assert_eq!(join("/a", "/{b}/"), "/a/{b}/");
    }
}
