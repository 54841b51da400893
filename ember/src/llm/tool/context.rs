use super::ToolError;
use http::Extensions;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// What tools can reach beside their arguments: values, each found by its type.
///
/// It travels with a client or a registry to every call. A `#[tool]` takes from it with an
/// argument of a type that implements [`FromToolContext`]; in an application that is
/// [`Component<T>`](crate::Component), and the context is there by itself.
///
/// ```
/// use ember::llm::tool::{FromToolContext, ToolContext};
/// use ember::ToolError;
///
/// #[derive(Clone)]
/// struct Tenant(String);
///
/// impl FromToolContext for Tenant {
///     fn from_context(context: &ToolContext) -> Result<Self, ToolError> {
///         context.get::<Self>().cloned().ok_or(ToolError::new("nobody is asking"))
///     }
/// }
///
/// let context = ToolContext::new().with(Tenant("ann".to_owned()));
/// assert_eq!(Tenant::from_context(&context).unwrap().0, "ann");
/// ```
#[derive(Clone, Default)]
pub struct ToolContext(Arc<Extensions>);

impl ToolContext {
    /// A context without values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value; one of the same type that was there before is replaced.
    #[must_use]
    pub fn with<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        Arc::make_mut(&mut self.0).insert(value);
        self
    }

    /// Returns the value of a type.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.get()
    }
}

impl fmt::Debug for ToolContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolContext").field("values", &self.0.len()).finish()
    }
}

/// A value that a tool takes from its context, not from the model.
#[diagnostic::on_unimplemented(
    message = "a tool cannot take `{Self}` from its context",
    note = "`Component<T>` is taken from the application; other types implement `ember::llm::tool::FromToolContext`"
)]
pub trait FromToolContext: Sized {
    /// Takes the value.
    ///
    /// # Errors
    /// When it is not there. The model reads the message.
    fn from_context(context: &ToolContext) -> Result<Self, ToolError>;

    /// Says what must be there, for whoever checks it at the start.
    fn describe(needs: &mut ToolNeeds) {
        let _ = needs;
    }
}

/// The context itself.
impl FromToolContext for ToolContext {
    fn from_context(context: &ToolContext) -> Result<Self, ToolError> {
        Ok(context.clone())
    }
}

/// A value that may be missing.
impl<T: FromToolContext> FromToolContext for Option<T> {
    fn from_context(context: &ToolContext) -> Result<Self, ToolError> {
        Ok(T::from_context(context).ok())
    }
}

/// What a tool needs of its context, in the words of whoever provides it.
#[derive(Default)]
pub struct ToolNeeds(Vec<Box<dyn Any + Send + Sync>>);

impl ToolNeeds {
    /// Adds a need.
    pub fn add<N: Any + Send + Sync>(&mut self, need: N) -> &mut Self {
        self.0.push(Box::new(need));
        self
    }

    /// The needs that are told in these words.
    pub fn of<N: Any>(&self) -> impl Iterator<Item = &N> {
        self.0.iter().filter_map(|need| need.downcast_ref())
    }
}

impl fmt::Debug for ToolNeeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolNeeds").field("needs", &self.0.len()).finish()
    }
}
