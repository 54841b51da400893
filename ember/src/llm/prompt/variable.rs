use serde_json::Value;
use std::borrow::Cow;

/// What is known of a variable of a [`PromptTemplate`](super::PromptTemplate).
///
/// ```
/// use ember::llm::TemplateVar;
///
/// let language = TemplateVar::new("language").default("English").description("What is answered in.");
/// assert!(!language.is_required());
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TemplateVar {
    /// Its name.
    pub name: Cow<'static, str>,
    /// What stands in its place where nothing is given; without it, something must be given.
    pub default: Option<Value>,
    /// What it is for.
    pub description: Cow<'static, str>,
}

impl TemplateVar {
    /// A variable that must be given.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), default: None, description: Cow::Borrowed("") }
    }

    /// Sets what stands in its place where nothing is given.
    #[must_use]
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// Says what it is for.
    #[must_use]
    pub fn description(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.description = text.into();
        self
    }

    /// Tells whether something must be given.
    #[doc(alias = "required")]
    pub fn is_required(&self) -> bool {
        self.default.is_none()
    }
}
