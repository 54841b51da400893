//! What the macros leave behind, collected again at start-up.
//!
//! Each annotated item submits one [`Descriptor`]: plain data with its place in the
//! source. `inventory` gathers those of every crate that is linked in, so a
//! [`Scope`] says which modules an application means: a dependency cannot put a
//! route or a tool into your service. Nothing is resolved silently: two items of
//! one name are both reported, each with its place.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// A place in the source: where an annotated item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The module's path, as `module_path!()` gives it.
    pub module: &'static str,
    /// The file, as `file!()` gives it.
    pub file: &'static str,
    /// The line, counted from 1.
    pub line: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// An entry of a registry: plain data that a macro wrote.
pub trait Descriptor: fmt::Debug + Sync + 'static {
    /// What an entry is called in messages: "tool", "provider".
    const KIND: &'static str;

    /// What must be unique among the entries of a scope.
    fn key(&self) -> Cow<'static, str>;

    /// Where the item stands.
    fn location(&self) -> Location;

    /// Every entry that is linked into this program, in no particular order.
    fn all() -> impl Iterator<Item = &'static Self>;
}

/// Makes a type an entry of a registry that `inventory` collects. It has a `location`; its key is
/// told by a function, and `Debug` shows the listed fields and the place.
macro_rules! collected {
    ($type:ident, $kind:literal, $key:expr, shows $($field:ident),*) => {
        inventory::collect!($type);

        impl $crate::base::Descriptor for $type {
            const KIND: &'static str = $kind;

            fn key(&self) -> ::std::borrow::Cow<'static, str> {
                let key: fn(&Self) -> ::std::borrow::Cow<'static, str> = $key;
                key(self)
            }

            fn location(&self) -> $crate::base::Location {
                self.location
            }

            fn all() -> impl Iterator<Item = &'static Self> {
                inventory::iter::<Self>()
            }
        }

        impl ::std::fmt::Debug for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!($type))
                    $(.field(stringify!($field), &self.$field))*
                    .field("location", &self.location)
                    .finish_non_exhaustive()
            }
        }
    };
}

/// As [`collected!`], for entries that are known by their function, and shown to people by its
/// name and place.
macro_rules! collected_function {
    ($type:ident, $kind:literal, $key:expr, shows $($field:ident),*) => {
        $crate::base::registry::collected!($type, $kind, $key, shows name $(, $field)*);

        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, "`{}` ({})", self.name, self.location)
            }
        }
    };
}

pub(crate) use {collected, collected_function};

/// The modules whose entries an application takes.
///
/// ```
/// use ember::base::Scope;
///
/// let scope = Scope::module("shop").include("billing::routes");
/// assert!(scope.contains("shop::cart::checkout"));
/// assert!(scope.contains("billing::routes"));
/// assert!(!scope.contains("shopping"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    modules: Vec<Cow<'static, str>>,
    everything: bool,
}

impl Scope {
    /// No module at all.
    pub const fn nothing() -> Self {
        Self { modules: Vec::new(), everything: false }
    }

    /// Every module of every crate.
    pub const fn everything() -> Self {
        Self { modules: Vec::new(), everything: true }
    }

    /// One module and those below it.
    pub fn module(path: impl Into<Cow<'static, str>>) -> Self {
        Self::nothing().include(path)
    }

    /// Adds a module and those below it.
    #[must_use]
    pub fn include(mut self, path: impl Into<Cow<'static, str>>) -> Self {
        self.modules.push(path.into());
        self
    }

    /// Tells whether a module belongs to this scope.
    pub fn contains(&self, module: &str) -> bool {
        self.everything || self.modules.iter().any(|scope| is_below(module, scope))
    }

    /// The modules that were named, in order.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.iter().map(AsRef::as_ref)
    }
}

/// Tells whether `module` is `scope` or lies below it.
pub(crate) fn is_below(module: &str, scope: &str) -> bool {
    module.strip_prefix(scope).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The entries of one kind within a scope, in the order of their places.
pub struct Registry<T: 'static> {
    entries: Vec<&'static T>,
}

impl<T: Descriptor> Registry<T> {
    /// Gathers the entries of a scope.
    pub fn collect(scope: &Scope) -> Self {
        Self::of(T::all().filter(|entry| scope.contains(entry.location().module)))
    }

    /// Makes a registry of given entries.
    pub fn of(entries: impl IntoIterator<Item = &'static T>) -> Self {
        let entries: Vec<_> = entries.into_iter().collect();
        let places = entries.iter().map(|entry| (entry.location(), entry.key())).collect();
        Self { entries: sorted(places).into_iter().map(|index| entries[index]).collect() }
    }

    /// Returns the entry of a key.
    pub fn get(&self, key: &str) -> Option<&'static T> {
        self.iter().find(|entry| entry.key() == key)
    }

    /// The entries, by file and line.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'static T> {
        self.entries.iter().copied()
    }

    /// Returns every key that more than one entry claims, with all its entries.
    pub fn duplicates(&self) -> Vec<Duplicate<T>> {
        let contested = contested(self.iter().map(Descriptor::key).collect()).into_iter();
        let of = |indices: Vec<usize>| indices.into_iter().map(|index| self.entries[index]);
        contested.map(|(key, indices)| Duplicate { key, entries: of(indices).collect() }).collect()
    }
}

/// The indices of places, in their order. The linker's order means nothing; that of the source does.
fn sorted(places: Vec<(Location, Cow<'static, str>)>) -> Vec<usize> {
    let mut places: Vec<_> = places.into_iter().zip(0..).collect();
    places.sort();
    places.into_iter().map(|(_, index)| index).collect()
}

/// Each key that stands more than once, with its indices.
fn contested(keys: Vec<Cow<'static, str>>) -> Vec<(Cow<'static, str>, Vec<usize>)> {
    let mut by_key: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (index, key) in keys.into_iter().enumerate() {
        by_key.entry(key).or_default().push(index);
    }
    by_key.into_iter().filter(|(_, indices)| indices.len() > 1).collect()
}

impl<T: Descriptor> fmt::Debug for Registry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|entry| (entry.key(), entry.location()))).finish()
    }
}

/// A key that several entries claim.
#[non_exhaustive]
pub struct Duplicate<T: 'static> {
    /// The contested key.
    pub key: Cow<'static, str>,
    /// The entries, by file and line.
    pub entries: Vec<&'static T>,
}

impl<T: Descriptor> fmt::Display for Duplicate<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} items claim the {} `{}`", self.entries.len(), T::KIND, self.key)
    }
}

impl<T: Descriptor> fmt::Debug for Duplicate<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Duplicate").field("key", &self.key).field("entries", &self.entries).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fruit(&'static str, Location);

    static FRUITS: [Fruit; 4] = [
        Fruit("pear", Location { module: "shop::b", file: "b.rs", line: 9 }),
        Fruit("apple", Location { module: "shop::a", file: "a.rs", line: 2 }),
        Fruit("apple", Location { module: "shop::a", file: "a.rs", line: 1 }),
        Fruit("apple", Location { module: "other", file: "o.rs", line: 1 }),
    ];

    impl Descriptor for Fruit {
        const KIND: &'static str = "fruit";

        fn key(&self) -> Cow<'static, str> {
            self.0.into()
        }

        fn location(&self) -> Location {
            self.1
        }

        fn all() -> impl Iterator<Item = &'static Self> {
            FRUITS.iter()
        }
    }

    #[test]
    fn entries_are_scoped_and_sorted_by_place() {
        let registry = Registry::<Fruit>::collect(&Scope::module("shop"));
        let lines: Vec<_> = registry.iter().map(|fruit| (fruit.0, fruit.1.line)).collect();
        assert_eq!(lines, [("apple", 1), ("apple", 2), ("pear", 9)]);
        assert_eq!(registry.get("pear").unwrap().1.line, 9);
        assert_eq!(Registry::<Fruit>::collect(&Scope::everything()).iter().len(), 4);
        assert_eq!(Registry::<Fruit>::collect(&Scope::nothing()).iter().len(), 0);
    }

    #[test]
    fn every_duplicate_is_reported_with_both_places() {
        let duplicates = Registry::<Fruit>::collect(&Scope::module("shop")).duplicates();
        assert_eq!(duplicates.len(), 1);
        assert_eq!(duplicates[0].to_string(), "2 items claim the fruit `apple`");
        let places: Vec<_> =
            duplicates[0].entries.iter().map(|fruit| fruit.1.to_string()).collect();
        assert_eq!(places, ["a.rs:1", "a.rs:2"]);
    }

    #[test]
    fn a_scope_ends_at_a_module_boundary() {
        assert!(is_below("shop", "shop") && is_below("shop::a::b", "shop::a"));
        assert!(!is_below("shopping", "shop") && !is_below("shop", "shop::a"));
    }
}
