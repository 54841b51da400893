use super::{Arguments, Parameters, ToolContext, ToolDescriptor, ToolError, ToolNeeds};
use crate::base::Location;
use crate::base::schema::{Dialect, Schema};
use crate::llm::error::{Error, ErrorKind};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A call of a tool at work; it ends in the text that the model reads.
pub type ToolFuture = Pin<Box<dyn Future<Output = Result<String, ToolError>> + Send>>;

/// A function that a model may call.
///
/// ```
/// use ember::llm::tool::{ParameterSchema, Tool};
///
/// let tool = Tool::new(
///     "double",
///     "Doubles a number.",
///     ParameterSchema::object([ParameterSchema::new("n", "integer", "The number.")]),
///     |arguments| async move {
///         let n = arguments["n"].as_i64().ok_or(ember::ToolError::new("`n` must be an integer"))?;
///         Ok(2 * n)
///     },
/// )?;
/// assert_eq!(tool.name(), "double");
/// # Ok::<(), ember::llm::Error>(())
/// ```
#[derive(Clone)]
pub struct Tool(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    name: String,
    description: String,
    parameters: Schema,
    call: Call,
    options: ToolOptions,
    location: Option<Location>,
    needs: Arc<ToolNeeds>,
    specs: Specs,
}

/// The tool as providers describe it, made when it is first wanted.
#[derive(Clone, Default)]
struct Specs {
    openai: OnceLock<Value>,
    anthropic: OnceLock<Value>,
    gemini: OnceLock<Value>,
    responses: OnceLock<Value>,
}

#[derive(Clone)]
enum Call {
    Plain(fn(Arguments) -> ToolFuture),
    Shared(Arc<dyn Fn(Arguments) -> ToolFuture + Send + Sync>),
    /// The tool runs elsewhere: the calls go back to whoever asked.
    Declared,
}

/// The options of a tool, as its attribute sets them.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ToolOptions {
    /// How long a call may take; the client's limit where there is none.
    pub timeout: Option<Duration>,
    /// How often the model may call it while it answers one request; as often as it likes where
    /// there is no limit.
    pub max_calls: Option<usize>,
    /// Whether the provider is asked to hold the arguments to the schema. OpenAI's strict mode can, where no member may be
    /// left out; what cannot be asked for is listed in [`ChatResponse::dropped`](crate::llm::ChatResponse::dropped).
    /// Arguments are checked here in any case.
    pub strict: bool,
}

impl ToolOptions {
    /// Sets how long a call may take.
    pub fn timeout(&mut self, limit: Duration) -> &mut Self {
        self.timeout = Some(limit);
        self
    }

    /// Sets how often the model may call it while it answers one request.
    pub fn max_calls(&mut self, calls: usize) -> &mut Self {
        self.max_calls = Some(calls);
        self
    }

    /// Sets whether the provider is asked to hold the arguments to the schema.
    pub fn strict(&mut self, strict: bool) -> &mut Self {
        self.strict = strict;
        self
    }
}

impl Tool {
    /// A tool from its parts; the function gets the arguments as a JSON object.
    ///
    /// # Errors
    /// When the name is not 1 to 64 letters, digits, `_` or `-`, which is what providers accept.
    pub fn new<F, Fut, T>(
        name: impl Into<String>,
        description: impl Into<String>,
        parameters: impl Into<Schema>,
        function: F,
    ) -> Result<Self, Error>
    where
        F: Fn(Value) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, ToolError>> + Send + 'static,
        T: Serialize,
    {
        let call = Call::Shared(Arc::new(move |arguments| {
            let work = function(arguments.into_value());
            Box::pin(async move { Ok(to_text(&work.await?)?) })
        }));
        Self::checked(name.into(), description.into(), parameters.into(), call)
    }

    /// A tool that runs elsewhere: the model may call it, and the calls go back to whoever asked.
    ///
    /// # Errors
    /// As [`Tool::new`].
    pub fn declared(
        name: impl Into<String>,
        description: impl Into<String>,
        parameters: impl Into<Schema>,
    ) -> Result<Self, Error> {
        Self::checked(name.into(), description.into(), parameters.into(), Call::Declared)
    }

    fn checked(
        name: String,
        description: String,
        parameters: Schema,
        call: Call,
    ) -> Result<Self, Error> {
        if !is_name(&name) {
            let message = format!(
                "`{name}` cannot be the name of a tool: 1 to 64 letters, digits, `_` or `-` can"
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok(Self(Arc::new(Inner {
            name,
            description,
            parameters,
            call,
            options: ToolOptions::default(),
            location: None,
            needs: Arc::default(),
            specs: Specs::default(),
        })))
    }

    /// Sets how long a call may take.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        Arc::make_mut(&mut self.0).options.timeout(limit);
        self
    }

    /// Sets how often the model may call it while it answers one request, in all its turns.
    #[must_use]
    pub fn max_calls(mut self, calls: usize) -> Self {
        Arc::make_mut(&mut self.0).options.max_calls(calls);
        self
    }

    /// Sets whether the provider is asked to hold the arguments to the schema: [`ToolOptions::strict`].
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.options.strict(strict);
        // It stands in them.
        inner.specs = Specs::default();
        self
    }

    /// The tool that a macro described.
    pub(crate) fn of(descriptor: &ToolDescriptor) -> Self {
        let mut parameters = Parameters::default();
        (descriptor.parameters)(&mut parameters);
        let mut options = ToolOptions::default();
        (descriptor.options)(&mut options);
        let mut needs = ToolNeeds::default();
        (descriptor.needs)(&mut needs);
        Self(Arc::new(Inner {
            name: descriptor.name.to_owned(),
            description: descriptor.description.to_owned(),
            parameters: parameters.finish(),
            call: Call::Plain(descriptor.call),
            options,
            location: Some(descriptor.location),
            needs: Arc::new(needs),
            specs: Specs::default(),
        }))
    }

    /// The name that the model calls.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What the tool does.
    pub fn description(&self) -> &str {
        &self.0.description
    }

    /// The schema of the arguments.
    pub fn parameters(&self) -> &Schema {
        &self.0.parameters
    }

    /// The options.
    pub fn options(&self) -> &ToolOptions {
        &self.0.options
    }

    /// Where its function stands, if a macro made it.
    pub fn location(&self) -> Option<Location> {
        self.0.location
    }

    /// What the function needs beside its arguments.
    pub fn needs(&self) -> &ToolNeeds {
        &self.0.needs
    }

    /// Tells whether calls run here, rather than go back to whoever asked.
    pub fn runs_here(&self) -> bool {
        !matches!(self.0.call, Call::Declared)
    }

    /// Runs the function. There is no time limit here; [`ToolRegistry::execute`](super::ToolRegistry::execute) has one.
    ///
    /// # Errors
    /// What the function reports, or what is wrong with the arguments.
    pub async fn call(&self, arguments: Value, context: &ToolContext) -> Result<String, ToolError> {
        let arguments = Arguments::new(arguments)?.context(context.clone());
        match &self.0.call {
            Call::Plain(function) => function(arguments).await,
            Call::Shared(function) => function(arguments).await,
            Call::Declared => Err(ToolError::new("this tool does not run here")),
        }
    }

    /// The tool as OpenAI's chat completions describe it.
    pub fn to_openai_spec(&self) -> Value {
        self.openai_spec().clone()
    }

    /// The tool as Anthropic's messages describe it.
    pub fn to_anthropic_spec(&self) -> Value {
        self.anthropic_spec().clone()
    }

    /// The tool as Gemini's function declarations describe it.
    pub fn to_gemini_spec(&self) -> Value {
        self.gemini_spec().clone()
    }

    /// The tool as OpenAI's responses describe it.
    pub fn to_openai_responses_spec(&self) -> Value {
        self.responses_spec().clone()
    }

    /// [`Tool::to_anthropic_spec`], for requests.
    pub(crate) fn anthropic_spec(&self) -> &Value {
        self.0.specs.anthropic.get_or_init(|| {
            let schema = self.parameters().lower(Dialect::Anthropic).schema;
            json!({"name": self.name(), "description": self.description(), "input_schema": schema})
        })
    }

    /// [`Tool::to_gemini_spec`], for requests.
    pub(crate) fn gemini_spec(&self) -> &Value {
        self.0.specs.gemini.get_or_init(|| {
            let lowered = self.parameters().lower(Dialect::GeminiSchema);
            // What the interface's own kind of schema cannot say is said in JSON Schema.
            let member = if lowered.strict { "parameters" } else { "parametersJsonSchema" };
            let mut spec = json!({"name": self.name(), "description": self.description()});
            // An object without members is refused; a function without parameters is not.
            if lowered.schema.get("properties").is_some() || !lowered.strict {
                spec[member] = lowered.schema;
            }
            spec
        })
    }

    /// [`Tool::to_openai_responses_spec`], for requests.
    pub(crate) fn responses_spec(&self) -> &Value {
        self.0.specs.responses.get_or_init(|| {
            let (parameters, strict) = self.openai_parameters();
            json!({
                "type": "function", "name": self.name(), "description": self.description(),
                // Unlike chat completions, responses enforce the schema if nothing is said.
                "parameters": parameters, "strict": strict,
            })
        })
    }

    /// [`Tool::to_openai_spec`], for requests: the schema is lowered once, not in every round.
    pub(crate) fn openai_spec(&self) -> &Value {
        self.0.specs.openai.get_or_init(|| {
            let (parameters, strict) = self.openai_parameters();
            let mut function = json!({
                "name": self.name(), "description": self.description(), "parameters": parameters,
            });
            if strict {
                function["strict"] = true.into();
            }
            json!({"type": "function", "function": function})
        })
    }

    /// The schema of the arguments for OpenAI, and whether they are to be held to it.
    fn openai_parameters(&self) -> (Value, bool) {
        if self.options().strict && requires_all(self.parameters().as_value()) {
            let lowered = self.parameters().lower(Dialect::OpenAiStrict);
            return (lowered.schema, lowered.strict);
        }
        (self.parameters().lower(Dialect::OpenAi).schema, false)
    }
}

/// Tells whether no object of a schema has a member that may be left out. Strict mode would put `null` there,
/// which whoever wrote the schema does not expect.
fn requires_all(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => {
            let required = members.get("required").and_then(Value::as_array);
            let is_required = |name: &String| {
                required.is_some_and(|names| names.iter().any(|known| known == name))
            };
            let own = members.get("properties").and_then(Value::as_object);
            own.is_none_or(|own| own.keys().all(is_required)) && members.values().all(requires_all)
        }
        Value::Array(items) => items.iter().all(requires_all),
        _ => true,
    }
}

/// What providers accept as the name of a tool.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// A result as the model reads it: text as it is, everything else as JSON.
pub(crate) fn to_text<T: Serialize>(value: &T) -> serde_json::Result<String> {
    Ok(match serde_json::to_value(value)? {
        Value::String(text) => text,
        value => value.to_string(),
    })
}

impl PartialEq for Tool {
    /// Tools are equal if a model cannot tell them apart.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.name(), self.description(), self.parameters())
                == (other.name(), other.description(), other.parameters())
    }
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool")
            .field("name", &self.0.name)
            .field("parameters", &self.0.parameters)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_every_provider_accepts() {
        assert!(is_name("get_weather-2") && is_name(&"a".repeat(64)));
        assert!(!is_name("") && !is_name("a.b") && !is_name("ä") && !is_name(&"a".repeat(65)));
    }

    #[test]
    fn a_schema_is_lowered_once() {
        let parameters = crate::llm::tool::ParameterSchema::object([]);
        let tool = Tool::declared("f", "F.", parameters).unwrap();
        let copy = tool.clone();
        assert!(std::ptr::eq(tool.openai_spec(), copy.openai_spec()));
    }

    #[test]
    fn text_stays_text_and_the_rest_is_json() {
        assert_eq!(to_text(&"hi").unwrap(), "hi");
        assert_eq!(to_text(&vec![1, 2]).unwrap(), "[1,2]");
        assert_eq!(to_text(&()).unwrap(), "null");
    }
}
