/// Paths that a middleware leaves alone: exact ones, and all below a prefix by `/prefix/*`.
///
/// They are compared with the path as it was sent. One with `.` or `..` segments, however they
/// are written, is never excluded: whatever stands behind might read it as another path.
#[derive(Debug, Clone, Default)]
pub(super) struct Excluded {
    exact: Vec<String>,
    /// Each ends in a slash.
    prefixes: Vec<String>,
}

impl Excluded {
    pub(super) fn add<S: Into<String>>(&mut self, paths: impl IntoIterator<Item = S>) {
        for path in paths.into_iter().map(Into::into) {
            match path.strip_suffix('*') {
                Some(prefix) if prefix.ends_with('/') => self.prefixes.push(prefix.to_owned()),
                _ => self.exact.push(path),
            }
        }
    }

    /// Tells whether nothing is left alone.
    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty()
    }

    pub(super) fn contains(&self, path: &str) -> bool {
        if self.exact.iter().any(|exact| exact == path) {
            return true;
        }
        self.prefixes.iter().any(|prefix| path.starts_with(prefix)) && !has_dots(path)
    }
}

fn has_dots(path: &str) -> bool {
    path.split(['/', '\\']).any(|segment| {
        let decoded = percent_encoding::percent_decode_str(segment).decode_utf8_lossy();
        // An encoded separator hides further segments.
        decoded.split(['/', '\\']).any(|part| matches!(part, "." | ".."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_paths_and_prefixes_are_excluded() {
        let mut excluded = Excluded::default();
        excluded.add(["/healthz", "/public/*"]);
        for path in ["/healthz", "/public/", "/public/a/b", "/public/a..b"] {
            assert!(excluded.contains(path), "{path}");
        }
        for path in [
            "/healthz/",
            "/healthz/x",
            "/public",
            "/publicity",
            "/",
            "/public/../admin",
            "/public/%2e%2E/admin",
            "/public/..%2fadmin",
            "/public/a%5c..%5cadmin",
        ] {
            assert!(!excluded.contains(path), "{path}");
        }
    }
}
