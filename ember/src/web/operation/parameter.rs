use super::Shape;
use std::any::type_name;
use std::borrow::Cow;

/// A parameter that a route reads from a request: its name, its place, and what it looks like.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Parameter {
    /// Where it stands.
    pub place: Place,
    /// Its name.
    pub name: Cow<'static, str>,
    /// What it means; Markdown.
    pub description: Cow<'static, str>,
    /// Whether a request must have it. What stands in the path is always there.
    pub required: bool,
    /// Whether it had better not be used any more.
    pub deprecated: bool,
    /// What its value looks like.
    pub shape: Shape,
}

/// Where in a request a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// In the path.
    Path,
    /// In the query.
    Query,
    /// In a header.
    Header,
    /// In a cookie.
    Cookie,
}

/// Why a type cannot be read from parameters of these names, if so.
pub(crate) type Misfit = fn(&[&str]) -> Option<String>;

/// A type whose members are parameters of their own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ParameterType {
    /// Where they stand.
    pub(crate) place: Place,
    /// The name of the type, as [`type_name`] gives it.
    pub(crate) type_name: &'static str,
    /// For the start-up check, where it can tell.
    pub(crate) misfit: Option<Misfit>,
}

impl ParameterType {
    pub(crate) fn of<T: ?Sized>(place: Place) -> Self {
        Self::named(place, type_name::<T>())
    }

    pub(crate) fn named(place: Place, type_name: &'static str) -> Self {
        Self { place, type_name, misfit: None }
    }
}

impl Place {
    /// The word that OpenAPI has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
        }
    }
}

impl Parameter {
    /// A parameter of this name at this place.
    pub fn new(place: Place, name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            place,
            name: name.into(),
            description: Cow::Borrowed(""),
            required: place == Place::Path,
            deprecated: false,
            shape: Shape::Unknown,
        }
    }

    /// A segment of the path.
    pub fn path(name: &str) -> Self {
        Self::new(Place::Path, name.to_owned())
    }

    /// A name in the query.
    pub fn query(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Place::Query, name)
    }

    /// A header.
    pub fn header(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Place::Header, name)
    }

    /// A cookie.
    pub fn cookie(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Place::Cookie, name)
    }

    /// Says what it means; Markdown.
    #[must_use]
    pub fn description(mut self, description: impl AsRef<str>) -> Self {
        self.description = description.as_ref().to_owned().into();
        self
    }

    /// Says that a request must have it.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Says that it had better not be used any more.
    #[must_use]
    pub fn deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }

    /// Says that it is read as a `T`.
    #[must_use]
    pub fn of<T: ?Sized>(self) -> Self {
        self.shape(Shape::of::<T>())
    }

    /// Says what its value looks like.
    #[must_use]
    pub fn shape(mut self, shape: impl Into<Shape>) -> Self {
        self.shape = shape.into();
        self
    }

    /// The names of headers have no case (RFC 9110 §5.1).
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let same_name = match self.place {
            Place::Header => self.name.eq_ignore_ascii_case(&other.name),
            _ => self.name == other.name,
        };
        self.place == other.place && same_name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_their_place_does() {
        assert!(Parameter::header("X-A").is_same(&Parameter::header("x-a")));
        assert!(!Parameter::query("A").is_same(&Parameter::query("a")));
        assert!(!Parameter::query("a").is_same(&Parameter::cookie("a")));
        assert!(Parameter::path("a").required && !Parameter::query("a").required);
    }
}
