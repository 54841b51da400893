//! Types that are found by a kind and a name: what `#[plugin]` leaves behind.
//!
//! Kinds are the user's own: a vector store, a parser, an exporter. Providers of models and tools
//! have registries of their own, whose entries the framework itself understands.

use super::registry::{Location, Registry, Scope, collected};
use serde_json::{Map, Value};
use std::any::{Any, type_name};
use std::error::Error as StdError;
use std::fmt;

/// What `#[plugin]` leaves behind: what is said of a type, and how a value of it is made.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct PluginDescriptor {
    /// What sort of thing it is: names are unique within a kind.
    pub kind: &'static str,
    /// What it is called.
    pub name: &'static str,
    /// Where it stands in the source.
    pub location: Location,
    metadata: fn() -> Vec<(&'static str, Value)>,
    make: fn() -> Made,
}

/// What a plugin has made, and its type for messages.
#[derive(Debug)]
#[doc(hidden)]
pub struct Made {
    value: Box<dyn Any>,
    type_name: &'static str,
}

/// Makes a plugin, for the macro.
#[doc(hidden)]
pub fn plugin<T: 'static>(make: impl FnOnce() -> T) -> Made {
    Made { value: Box::new(make()), type_name: type_name::<T>() }
}

/// A value of the metadata, for the macro.
#[doc(hidden)]
pub fn plugin_value(value: impl Into<Value>) -> Value {
    value.into()
}

impl PluginDescriptor {
    /// Puts a descriptor together, for the macro.
    #[doc(hidden)]
    pub const fn new(
        kind: &'static str,
        name: &'static str,
        location: Location,
        metadata: fn() -> Vec<(&'static str, Value)>,
        make: fn() -> Made,
    ) -> Self {
        Self { kind, name, location, metadata, make }
    }

    /// What the attribute says beside the kind and the name, in its order.
    pub fn metadata(&self) -> Map<String, Value> {
        (self.metadata)().into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// Makes a plugin. `T` is the type itself, which is made by its `Default`, or whatever the
    /// function returns that the attribute names by `make`.
    ///
    /// # Errors
    /// When it makes something else ([`PluginError::OtherType`]).
    pub fn make<T: 'static>(&self) -> Result<T, PluginError> {
        let Made { value, type_name: made } = (self.make)();
        match value.downcast() {
            Ok(value) => Ok(*value),
            Err(_) => Err(PluginError::OtherType {
                plugin: self.to_string(),
                made,
                wanted: type_name::<T>(),
            }),
        }
    }

    /// Finds the plugin of a kind and a name among all that are linked in.
    ///
    /// # Errors
    /// When there is no such kind, no such name in it, or several of it.
    pub fn find(kind: &str, name: &str) -> Result<&'static Self, PluginError> {
        Registry::<Self>::collect(&Scope::everything()).plugin(kind, name)
    }
}

impl fmt::Display for PluginDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

collected!(PluginDescriptor, "plugin", |entry| entry.to_string().into(), shows kind, name);

impl Registry<PluginDescriptor> {
    /// The plugins of a kind, of every module that is linked in.
    pub fn plugins(kind: &str) -> Self {
        let all = Self::collect(&Scope::everything());
        Self::of(all.iter().filter(|plugin| plugin.kind == kind))
    }

    /// Finds the plugin of a kind and a name. Of two of one name neither is taken.
    ///
    /// # Errors
    /// As [`PluginDescriptor::find`].
    pub fn plugin(&self, kind: &str, name: &str) -> Result<&'static PluginDescriptor, PluginError> {
        let of_kind: Vec<_> = self.iter().filter(|plugin| plugin.kind == kind).collect();
        if of_kind.is_empty() {
            let known = names(self.iter().map(|plugin| plugin.kind));
            return Err(PluginError::UnknownKind { kind: kind.to_owned(), known });
        }
        let mut of_name = of_kind.iter().copied().filter(|plugin| plugin.name == name);
        match (of_name.next(), of_name.next()) {
            (Some(plugin), None) => Ok(plugin),
            (Some(first), Some(second)) => Err(PluginError::Duplicate {
                plugin: first.to_string(),
                places: [first.location, second.location],
            }),
            (None, _) => Err(PluginError::UnknownName {
                kind: kind.to_owned(),
                name: name.to_owned(),
                known: names(of_kind.iter().map(|plugin| plugin.name)),
            }),
        }
    }
}

/// Names in order, each once.
fn names(names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Why a plugin cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PluginError {
    /// There is no plugin of the kind.
    #[non_exhaustive]
    UnknownKind {
        /// The kind that was asked for.
        kind: String,
        /// Those that there are.
        known: Vec<&'static str>,
    },
    /// There is no plugin of the name.
    #[non_exhaustive]
    UnknownName {
        /// The kind.
        kind: String,
        /// The name that was asked for.
        name: String,
        /// Those that there are.
        known: Vec<&'static str>,
    },
    /// Several plugins of the kind have the name.
    #[non_exhaustive]
    Duplicate {
        /// Kind and name.
        plugin: String,
        /// Where the first two stand.
        places: [Location; 2],
    },
    /// The plugin makes something else than what was wanted.
    #[non_exhaustive]
    OtherType {
        /// Kind and name.
        plugin: String,
        /// The type that it makes.
        made: &'static str,
        /// The type that was wanted.
        wanted: &'static str,
    },
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKind { kind, known } if known.is_empty() => {
                write!(f, "there is no plugin of the kind `{kind}`, nor of any other")
            }
            Self::UnknownKind { kind, known } => {
                let known = known.join("`, `");
                write!(f, "there is no plugin of the kind `{kind}`; the kinds are `{known}`")
            }
            Self::UnknownName { kind, name, known } => {
                let known = known.join("`, `");
                write!(f, "there is no {kind} `{name}`; there is `{known}`")
            }
            Self::Duplicate { plugin, places: [first, second] } => {
                write!(f, "several items claim the plugin `{plugin}`: {first}, {second}")
            }
            Self::OtherType { plugin, made, wanted } => {
                write!(f, "the plugin `{plugin}` makes a `{made}`, not a `{wanted}`")
            }
        }
    }
}

impl StdError for PluginError {}
