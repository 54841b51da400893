use super::Shape;
use crate::base::Problem;
use http::StatusCode;
use std::borrow::Cow;
use std::fmt;

/// An answer that a route can give.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// Its status, as far as the types tell.
    pub status: Status,
    /// What it means; where it is empty, the status says it.
    pub description: Cow<'static, str>,
    /// The bodies that it can have.
    pub contents: Vec<Content>,
}

/// A body: its media type, and what it looks like.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Content {
    /// The media type, without parameters.
    pub media_type: Cow<'static, str>,
    /// What it looks like.
    pub shape: Shape,
}

/// The status of an answer, as far as the types tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// This one.
    Exactly(StatusCode),
    /// One of success, which only the handler knows.
    Success,
    /// One of redirection, which only the handler knows.
    Redirection,
    /// Any that nothing else is said about.
    Default,
}

impl Outcome {
    /// An answer of this status, without a body.
    pub fn new(status: impl Into<Status>) -> Self {
        Self { status: status.into(), description: Cow::Borrowed(""), contents: Vec::new() }
    }

    /// A failure: a problem document as RFC 9457 defines it.
    pub fn problem() -> Self {
        Self::new(Status::Default)
            .content(Content::new(Problem::MEDIA_TYPE, Shape::of::<Problem<'_>>()))
    }

    /// Says what the answer means.
    #[must_use]
    pub fn description(mut self, description: impl Into<Cow<'static, str>>) -> Self {
        self.description = description.into();
        self
    }

    /// Adds a body.
    #[must_use]
    pub fn content(mut self, content: Content) -> Self {
        self.add(content);
        self
    }

    fn add(&mut self, content: Content) {
        match self.contents.iter_mut().find(|known| known.media_type == content.media_type) {
            // What is known goes before what is not; of two that are known the first stays.
            Some(known) if known.shape == Shape::Unknown => *known = content,
            Some(_) => {}
            None => {
                // Most have one, and every route keeps its own.
                self.contents.reserve_exact(1);
                self.contents.push(content);
            }
        }
    }

    /// Takes over what another answer of the same status says.
    pub(super) fn merge(&mut self, other: Self) {
        if self.description.is_empty() {
            self.description = other.description;
        }
        other.contents.into_iter().for_each(|content| self.add(content));
    }
}

impl Content {
    /// A body of this media type that looks like this.
    pub fn new(media_type: impl Into<Cow<'static, str>>, shape: impl Into<Shape>) -> Self {
        Self { media_type: media_type.into(), shape: shape.into() }
    }

    /// A body of this media type that holds a `T`.
    pub fn of<T: ?Sized>(media_type: impl Into<Cow<'static, str>>) -> Self {
        Self::new(media_type, Shape::of::<T>())
    }

    /// A `T` in JSON.
    pub fn json<T: ?Sized>() -> Self {
        Self::of::<T>("application/json")
    }

    /// A body of text.
    pub fn text(media_type: impl Into<Cow<'static, str>>) -> Self {
        Self::new(media_type, Shape::Text)
    }

    /// A stream of events, whose data has no schema that OpenAPI 3.1 could say.
    pub fn events() -> Self {
        Self::new("text/event-stream", Shape::Unknown)
    }

    /// Bytes of any kind.
    pub fn bytes() -> Self {
        Self::new("application/octet-stream", Shape::Unknown)
    }
}

impl Status {
    /// 200.
    pub const OK: Self = Self::Exactly(StatusCode::OK);

    /// The sentence that describes an answer of this status.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Exactly(status) => status.canonical_reason().unwrap_or("An answer"),
            Self::Success => "Success",
            Self::Redirection => "Redirection",
            Self::Default => "Any other answer",
        }
    }
}

impl From<StatusCode> for Status {
    fn from(status: StatusCode) -> Self {
        Self::Exactly(status)
    }
}

/// As OpenAPI writes it.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(status) => write!(f, "{}", status.as_u16()),
            Self::Success => f.write_str("2XX"),
            Self::Redirection => f.write_str("3XX"),
            Self::Default => f.write_str("default"),
        }
    }
}
