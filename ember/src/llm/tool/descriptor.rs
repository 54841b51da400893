use super::{Arguments, Parameters, Tool, ToolFuture, ToolNeeds, ToolOptions};
use crate::base::{Descriptor, Location};
use std::borrow::Cow;
use std::fmt;

/// What `#[tool]` leaves behind: plain data and plain functions.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct ToolDescriptor {
    /// The name that the model calls.
    pub name: &'static str,
    /// What the tool does, from its doc comment.
    pub description: &'static str,
    /// Where the function stands.
    pub location: Location,
    pub(super) parameters: fn(&mut Parameters),
    pub(super) call: fn(Arguments) -> ToolFuture,
    pub(super) needs: fn(&mut ToolNeeds),
    pub(super) options: fn(&mut ToolOptions),
}

/// A function that is a tool: the type of the function's own name that `#[tool]` makes.
///
/// It stands for the function where one is named: `tools = [get_weather]` in an attribute, or
/// `client.prompt("…").tool(get_weather {})`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no tool",
    label = "annotate the function with `#[tool]`"
)]
pub trait ToolItem {
    /// The tool as data.
    const TOOL: ToolDescriptor;

    /// Describes the parameters.
    fn parameters(parameters: &mut Parameters);

    /// Runs the function.
    fn call(arguments: Arguments) -> ToolFuture;

    /// Says what the function needs beside its arguments.
    fn needs(needs: &mut ToolNeeds) {
        let _ = needs;
    }

    /// Evaluates the options of the attribute.
    fn options(options: &mut ToolOptions) {
        let _ = options;
    }
}

impl ToolDescriptor {
    /// Puts a descriptor together, for the macros.
    #[doc(hidden)]
    pub const fn new<T: ToolItem>(
        name: &'static str,
        description: &'static str,
        location: Location,
    ) -> Self {
        Self {
            name,
            description,
            location,
            parameters: T::parameters,
            call: T::call,
            needs: T::needs,
            options: T::options,
        }
    }
}

inventory::collect!(ToolDescriptor);

impl Descriptor for ToolDescriptor {
    const KIND: &'static str = "tool";

    fn key(&self) -> Cow<'static, str> {
        self.name.into()
    }

    fn location(&self) -> Location {
        self.location
    }

    fn all() -> impl Iterator<Item = &'static Self> {
        inventory::iter::<Self>()
    }
}

impl fmt::Debug for ToolDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolDescriptor")
            .field("name", &self.name)
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

impl From<ToolDescriptor> for Tool {
    fn from(descriptor: ToolDescriptor) -> Self {
        Self::of(&descriptor)
    }
}

impl<T: ToolItem> From<T> for Tool {
    fn from(_: T) -> Self {
        Self::of(&T::TOOL)
    }
}
