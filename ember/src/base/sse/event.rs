use super::SseWriter;
use std::borrow::Cow;
use std::time::Duration;

/// One event of a stream, ready to be encoded.
///
/// ```
/// use ember::Event;
///
/// let event = Event::data("two\nlines").event("note").id("7");
/// assert_eq!(event.to_string(), "id: 7\nevent: note\ndata: two\ndata: lines\n\n");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// What the client dispatches on; `message` to a client when absent.
    pub event: Option<Cow<'static, str>>,
    /// The payload; absent in an event that only carries an id, a retry time or a comment.
    pub data: Option<Cow<'static, str>>,
    /// What the client sends back as `Last-Event-ID` when it reconnects.
    pub id: Option<Cow<'static, str>>,
    /// How long the client should wait before it reconnects; sent in whole milliseconds.
    pub retry: Option<Duration>,
    /// A line that clients ignore, to keep a connection open.
    pub comment: Option<Cow<'static, str>>,
}

impl Event {
    /// An event with a payload. Line breaks in it are kept: each line is framed on its own.
    pub fn data(data: impl Into<Cow<'static, str>>) -> Self {
        Self { data: Some(data.into()), ..Self::default() }
    }

    /// An event whose payload is a value in JSON.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> serde_json::Result<Self> {
        serde_json::to_string(value).map(Self::data)
    }

    /// A comment, which clients ignore.
    pub fn comment(text: impl Into<Cow<'static, str>>) -> Self {
        Self { comment: Some(text.into()), ..Self::default() }
    }

    /// Names the type of the event.
    #[must_use]
    pub fn event(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.event = Some(name.into());
        self
    }

    /// Sets the id of the event.
    #[must_use]
    pub fn id(mut self, id: impl Into<Cow<'static, str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets how long the client should wait before it reconnects.
    #[must_use]
    pub fn retry(mut self, wait: Duration) -> Self {
        self.retry = Some(wait);
        self
    }
}

/// The bytes of the event, as text.
impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut writer = SseWriter::new();
        writer.event(self);
        f.write_str(&String::from_utf8_lossy(&writer.take()))
    }
}
