use std::borrow::Cow;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The encodings of files that are compressed already, with the ends of their names.
pub(super) const VARIANTS: [(&str, &str); 3] = [("br", ".br"), ("gzip", ".gz"), ("zstd", ".zst")];

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found {
    File(Stamps),
    /// A folder that is asked for without the slash at its end.
    Folder,
    Nothing,
}

/// What tells one version of a file from another: of the file itself, and of each compressed one.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    own: Option<Stamp>,
    variants: Vec<(&'static str, Stamp)>,
    /// A compressed one lies where it must not be served from.
    pub(super) has_stray_variant: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) length: u64,
    modified: Option<u128>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self { length: metadata.len(), modified: since.map(|since| since.as_nanos()) }
    }

    /// A strong entity tag: a file that is written again gets another time, down to nanoseconds.
    pub(super) fn tag(self) -> Option<String> {
        Some(format!("\"{:x}-{:x}\"", self.modified?, self.length))
    }
}

impl Stamps {
    /// The stamp of what is sent in this encoding, or in none.
    pub(super) fn of_encoding(&self, encoding: Option<&str>) -> Option<Stamp> {
        match encoding {
            None => self.own,
            Some(encoding) => {
                let mut variants = self.variants.iter().filter(|(name, _)| *name == encoding);
                variants.next().map(|(_, stamp)| *stamp)
            }
        }
    }
}

/// Which files may be served.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) root: PathBuf,
    pub(super) hidden: bool,
    pub(super) links_anywhere: bool,
    pub(super) index: bool,
    pub(super) precompressed: bool,
}

impl Rules {
    /// The path of a request below the root, decoded; `None` where it must lead nowhere.
    ///
    /// Whatever could be read in two ways leads nowhere: empty segments, `.` and `..`, backslashes,
    /// control characters, and what is not UTF-8.
    pub(super) fn decode<'a>(&self, path: &'a str) -> Option<Cow<'a, str>> {
        let decoded = percent_encoding::percent_decode_str(path.strip_prefix('/')?);
        let decoded = decoded.decode_utf8().ok()?;
        if decoded.contains(|char: char| char.is_control() || char == '\\') {
            return None;
        }
        let mut segments = decoded.split('/').peekable();
        while let Some(segment) = segments.next() {
            let is_last = segments.peek().is_none();
            let is_bad = match segment {
                "" => !is_last,
                "." | ".." => true,
                _ => !self.hidden && segment.starts_with('.'),
            };
            if is_bad {
                return None;
            }
        }
        Some(decoded)
    }

    /// Looks what a decoded path leads to. Blocks, because the file system does.
    pub(super) fn look(&self, path: &str) -> Found {
        let Ok(root) = fs::canonicalize(&self.root) else { return Found::Nothing };
        let mut target = root.join(path);
        let Some(mut metadata) = self.enter(&root, &target) else { return Found::Nothing };
        if metadata.is_dir() {
            if !self.index {
                return Found::Nothing;
            }
            target.push("index.html");
            match self.enter(&root, &target) {
                None => return Found::Nothing,
                Some(_) if !path.is_empty() && !path.ends_with('/') => return Found::Folder,
                Some(index) => metadata = index,
            }
        }
        // A pipe or a device would wait for whoever is at its other end.
        match metadata.is_file() {
            true => Found::File(self.stamps(&root, &target, &metadata)),
            false => Found::Nothing,
        }
    }

    /// The metadata of what lies at a path, if the rules allow it.
    fn enter(&self, root: &Path, target: &Path) -> Option<Metadata> {
        let real = fs::canonicalize(target).ok()?;
        (self.links_anywhere || real.starts_with(root)).then(|| fs::metadata(&real).ok())?
    }

    fn stamps(&self, root: &Path, target: &Path, metadata: &Metadata) -> Stamps {
        let mut stamps = Stamps { own: Some(Stamp::of(metadata)), ..Stamps::default() };
        if !self.precompressed {
            return stamps;
        }
        for (encoding, end) in VARIANTS {
            let mut name = target.as_os_str().to_owned();
            name.push(end);
            let variant = Path::new(&name);
            if fs::symlink_metadata(variant).is_err() {
                continue;
            }
            match self.enter(root, variant).filter(Metadata::is_file) {
                Some(metadata) => stamps.variants.push((encoding, Stamp::of(&metadata))),
                None => stamps.has_stray_variant = true,
            }
        }
        stamps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_could_be_read_in_two_ways_lead_nowhere() {
        let mut rules = Rules {
            root: PathBuf::new(),
            hidden: false,
            links_anywhere: false,
            index: true,
            precompressed: false,
        };
        for (path, decoded) in
            [("/", ""), ("/a/b.js", "a/b.js"), ("/a%20b/", "a b/"), ("/a..b", "a..b")]
        {
            assert_eq!(rules.decode(path).as_deref(), Some(decoded));
        }
        for path in [
            "/..",
            "/../x",
            "/a/../b",
            "/%2e%2e/x",
            "/%2E./x",
            "/..%2fx",
            "/a/./b",
            "//etc",
            "/a//b",
            "/a%5c..%5cb",
            "/a%00.js",
            "/a%0ab",
            "/%ff",
            "/.env",
            "/a/.git/config",
            "/%2eenv",
            "*",
            "",
        ] {
            assert_eq!(rules.decode(path), None, "{path}");
        }
        rules.hidden = true;
        assert_eq!(rules.decode("/.env").as_deref(), Some(".env"));
        assert_eq!(rules.decode("/../.env"), None);
    }
}
