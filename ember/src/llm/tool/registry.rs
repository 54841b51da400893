use super::{Tool, ToolContext, ToolDescriptor};
use crate::base::{Registry, Scope, nearest};
use crate::llm::error::{Error, ErrorKind};
use crate::llm::message::{ToolCall, ToolResult};
use futures_util::FutureExt as _;
use serde_json::Value;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// The tools that a model may call, by name.
///
/// ```
/// use ember::llm::{ToolCall, ToolRegistry};
/// use ember::prelude::*;
///
/// /// Adds two numbers.
/// #[tool]
/// async fn add(a: i64, b: i64) -> i64 {
///     a + b
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let tools = ToolRegistry::of([add {}]).unwrap();
/// let result = tools.execute(&ToolCall::new("call_1", "add", r#"{"a": 2, "b": 3}"#)).await;
/// assert_eq!(result.content, "5");
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct ToolRegistry {
    tools: Arc<Tools>,
    context: ToolContext,
    calls: CallCounts,
}

/// How often each tool was called in one request, by its place. Clones count together.
#[derive(Debug, Clone, Default)]
struct CallCounts(Arc<Mutex<HashMap<usize, usize>>>);

/// Whether a call may run, or why not.
#[derive(Debug)]
pub(crate) struct Admission(Result<(), String>);

#[derive(Debug, Clone)]
struct Tools {
    tools: Vec<Tool>,
    by_name: HashMap<String, usize>,
    time_limit: Duration,
}

impl Default for Tools {
    fn default() -> Self {
        Self {
            tools: Vec::new(),
            by_name: HashMap::new(),
            time_limit: ToolRegistry::DEFAULT_TIME_LIMIT,
        }
    }
}

impl ToolRegistry {
    /// How long a call may take unless the tool or the registry says otherwise: 30 s.
    pub const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(30);

    /// A registry without tools.
    pub fn new() -> Self {
        Self::default()
    }

    /// A registry of given tools.
    ///
    /// # Errors
    /// When two have the same name.
    pub fn of<T: Into<Tool>>(tools: impl IntoIterator<Item = T>) -> Result<Self, Error> {
        let mut registry = Self::new();
        tools.into_iter().try_for_each(|tool| registry.register(tool))?;
        Ok(registry)
    }

    /// The annotated tools of a scope. Of two with the same name, the first by place is taken;
    /// the start-up check of an application reports both.
    pub fn collect(scope: &Scope) -> Self {
        let mut registry = Self::new();
        for descriptor in Registry::<ToolDescriptor>::collect(scope).iter() {
            // A name that is taken is left to the start-up check.
            let _ = registry.register(Tool::of(descriptor));
        }
        registry
    }

    /// Adds a tool.
    ///
    /// # Errors
    /// When there is one of that name already.
    pub fn register(&mut self, tool: impl Into<Tool>) -> Result<(), Error> {
        let tool = tool.into();
        let tools = Arc::make_mut(&mut self.tools);
        if tools.by_name.contains_key(tool.name()) {
            let message = format!("there are two tools of the name `{}`", tool.name());
            return Err(Error::new(ErrorKind::Config, message));
        }
        tools.by_name.insert(tool.name().to_owned(), tools.tools.len());
        tools.tools.push(tool);
        Ok(())
    }

    /// Sets how long a call may take, for tools that do not say it themselves.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        Arc::make_mut(&mut self.tools).time_limit = limit;
        self
    }

    /// Sets what the tools can reach beside their arguments.
    #[must_use]
    pub fn context(mut self, context: ToolContext) -> Self {
        self.context = context;
        self
    }

    /// Returns the tool of a name.
    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.tools.by_name.get(name).map(|index| &self.tools.tools[*index])
    }

    /// The tools, in the order in which they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Tool> {
        self.tools.tools.iter()
    }

    /// Tells whether there is no tool.
    pub fn is_empty(&self) -> bool {
        self.tools.tools.is_empty()
    }

    /// The tools as OpenAI's chat completions describe them.
    pub fn to_openai_specs(&self) -> Vec<Value> {
        self.iter().map(Tool::to_openai_spec).collect()
    }

    /// The tools as Anthropic's messages describe them.
    pub fn to_anthropic_specs(&self) -> Vec<Value> {
        self.iter().map(Tool::to_anthropic_spec).collect()
    }

    /// The tools as Gemini's function declarations describe them.
    pub fn to_gemini_specs(&self) -> Vec<Value> {
        self.iter().map(Tool::to_gemini_spec).collect()
    }

    /// The tools as OpenAI's responses describe them.
    pub fn to_openai_responses_specs(&self) -> Vec<Value> {
        self.iter().map(Tool::to_openai_responses_spec).collect()
    }

    /// Runs a call.
    ///
    /// Whatever goes wrong, an unknown name, bad arguments, a failure, a panic or the time
    /// limit, comes back as a result that the model can read.
    ///
    /// A call here belongs to no request, so [`Tool::max_calls`] does not limit it. The calls of
    /// several futures run at the same time; a function that is not async runs on a
    /// thread of its own.
    ///
    /// # Cancel safety
    /// Dropping the future, or its time limit, stops an async function where it waits. A function
    /// that is not async cannot be stopped: it runs to its end, and nobody reads the result.
    pub async fn execute(&self, call: &ToolCall) -> ToolResult {
        self.execute_admitted(call, Admission(Ok(()))).await
    }

    /// Counts a call of the request that this registry belongs to, and tells whether it may run.
    /// The calls of a turn are counted in their order, before any of them runs.
    pub(crate) fn admit(&self, call: &ToolCall) -> Admission {
        let Some(index) = self.tools.by_name.get(&call.name) else { return Admission(Ok(())) };
        let Some(limit) = self.tools.tools[*index].options().max_calls else {
            return Admission(Ok(()));
        };
        let mut counts = self.calls.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(*index).or_default();
        if *count >= limit {
            let times = if limit == 1 { "once".to_owned() } else { format!("{limit} times") };
            let message = format!(
                "the tool `{}` can be called {times} and no more: go on without",
                call.name
            );
            return Admission(Err(message));
        }
        *count += 1;
        Admission(Ok(()))
    }

    /// As [`ToolRegistry::execute`], for a call of a request.
    pub(crate) async fn execute_admitted(
        &self,
        call: &ToolCall,
        admission: Admission,
    ) -> ToolResult {
        let outcome = match admission.0 {
            Ok(()) => self.try_execute(call).await,
            Err(message) => Err(message),
        };
        match outcome {
            Ok(content) => ToolResult::new(call, content),
            Err(message) => {
                tracing::debug!(tool = call.name, message, "a tool call failed");
                ToolResult::error(call, message)
            }
        }
    }

    async fn try_execute(&self, call: &ToolCall) -> Result<String, String> {
        let tool = self.get(&call.name).ok_or_else(|| self.unknown(&call.name))?;
        if call.truncated {
            return Err("the call was cut off before it was complete".to_owned());
        }
        let arguments =
            call.parse().map_err(|error| format!("the arguments are not valid JSON: {error}"))?;
        let limit = tool.options().timeout.unwrap_or(self.tools.time_limit);
        match timeout(limit, AssertUnwindSafe(tool.call(arguments, &self.context)).catch_unwind())
            .await
        {
            Ok(Ok(outcome)) => outcome.map_err(|error| error.message().to_owned()),
            Ok(Err(_)) => {
                tracing::error!(tool = call.name, "a tool panicked");
                Err("the tool failed".to_owned())
            }
            Err(_) => {
                Err(format!("the tool did not answer within {} seconds", limit.as_secs_f64()))
            }
        }
    }

    fn unknown(&self, name: &str) -> String {
        match nearest(self.iter().map(Tool::name), name) {
            Some(nearest) => format!("there is no tool `{name}`; did you mean `{nearest}`?"),
            None => format!("there is no tool `{name}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::tool::{ParameterSchema, ToolError};
    use serde_json::json;

    fn tool<Fut>(name: &str, function: impl Fn(Value) -> Fut + Send + Sync + 'static) -> Tool
    where
        Fut: Future<Output = Result<Value, ToolError>> + Send + 'static,
    {
        let parameters =
            ParameterSchema::object([ParameterSchema::new("n", "integer", "A number.")]);
        Tool::new(name, "For tests.", parameters, function).unwrap()
    }

    async fn run(tools: &ToolRegistry, name: &str, arguments: &str) -> (String, bool) {
        let result = tools.execute(&ToolCall::new("c1", name, arguments)).await;
        assert_eq!((result.call_id.as_str(), result.name.as_str()), ("c1", name));
        (result.content, result.is_error)
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_goes_wrong_is_told_to_the_model() {
        let tools = ToolRegistry::of([
            tool("echo", |arguments| async { Ok(arguments) }),
            tool("fail", |_| async { Err(ToolError::new("out of order")) }),
            tool("panic", |_| async { panic!("secret") }),
            tool("hang", |_| std::future::pending()),
        ])
        .unwrap();
        assert_eq!(run(&tools, "echo", r#"{"n":1}"#).await, (r#"{"n":1}"#.into(), false));
        assert_eq!(run(&tools, "fail", "").await, ("out of order".into(), true));
        assert_eq!(run(&tools, "panic", "{}").await, ("the tool failed".into(), true));
        assert_eq!(
            run(&tools, "hang", "{}").await,
            ("the tool did not answer within 30 seconds".into(), true)
        );
        assert_eq!(
            run(&tools, "ecco", "{}").await,
            ("there is no tool `ecco`; did you mean `echo`?".into(), true)
        );
        assert!(
            run(&tools, "echo", "{\"n\":").await.0.starts_with("the arguments are not valid JSON")
        );
        assert!(run(&tools, "echo", "[]").await.0.contains("must be a JSON object"));
    }

    #[test]
    fn a_name_is_taken_once() {
        let mut tools =
            ToolRegistry::of([tool("echo", |arguments| async { Ok(arguments) })]).unwrap();
        let again = tool("echo", |arguments| async { Ok(arguments) });
        assert!(tools.register(again).unwrap_err().to_string().contains("`echo`"));
    }

    #[test]
    fn specs_are_what_the_providers_document() {
        let tools = ToolRegistry::of([tool("echo", |arguments| async { Ok(arguments) })]).unwrap();
        let schema = json!({
            "type": "object",
            "properties": {"n": {"type": "integer", "description": "A number."}},
            "required": ["n"],
            "additionalProperties": false,
        });
        assert_eq!(
            tools.to_openai_specs(),
            [json!({"type": "function", "function": {
                "name": "echo", "description": "For tests.", "parameters": schema,
            }})]
        );
        assert_eq!(
            tools.to_anthropic_specs(),
            [json!({"name": "echo", "description": "For tests.", "input_schema": schema})]
        );
        assert_eq!(
            tools.to_openai_responses_specs(),
            [
                json!({"type": "function", "name": "echo", "description": "For tests.", "parameters": schema, "strict": false})
            ]
        );
        let mut open = schema;
        open.as_object_mut().unwrap().remove("additionalProperties");
        assert_eq!(
            tools.to_gemini_specs(),
            [json!({"name": "echo", "description": "For tests.", "parameters": open})]
        );
    }
}
