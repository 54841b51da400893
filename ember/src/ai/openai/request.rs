use super::document::Node;
use super::messages;
use super::reader::At;
use crate::base::{Error, Schema};
use crate::llm::{ChatRequest, ResponseFormat, Tool, ToolChoice};
use serde_json::{Number, json};

/// What a caller asks of chat completions.
#[derive(Debug)]
pub(super) struct Asked {
    /// As the caller names it; the request itself names none yet.
    pub(super) model: Option<String>,
    pub(super) request: ChatRequest,
    pub(super) stream: bool,
    /// The last chunk of a stream is to tell what was used.
    pub(super) include_usage: bool,
}

impl Asked {
    /// Tells whether a member of the body is looked at.
    pub(super) fn looks_at(name: &str, forward: &[String]) -> bool {
        READ.contains(&name)
            || UNSUPPORTED.iter().any(|(known, ..)| *known == name)
            || forward.iter().any(|known| known == name)
    }

    /// Reads the body of a request. Members in `forward` go to the provider as they are; those
    /// that nobody knows are passed over.
    pub(super) fn read(body: &Node<'_>, forward: &[String]) -> Result<Self, Error> {
        let root = At::root(body);
        root.object()?;
        let is_forwarded = |name: &str| forward.iter().any(|known| known == name);
        check_unsupported(&root, &is_forwarded)?;
        let messages = messages::read(&root.need("messages")?)?;
        let mut request = ChatRequest::new(messages).tools(tools(&root)?);
        let get = |name| root.get(name);
        request.temperature = get("temperature").map(|at| at.number(0.0, 2.0)).transpose()?;
        request.top_p = get("top_p").map(|at| at.number(0.0, 1.0)).transpose()?;
        let max_tokens = get("max_completion_tokens").or_else(|| get("max_tokens"));
        request.max_tokens = max_tokens.map(|at| positive(&at)).transpose()?;
        request.stop = get("stop").map(|at| stop(&at)).transpose()?.unwrap_or_default();
        request.seed = get("seed").map(|at| seed(&at)).transpose()?;
        request.parallel_tool_calls = get("parallel_tool_calls").map(|at| at.flag()).transpose()?;
        let effort = get("reasoning_effort").map(|at| at.text()).transpose()?;
        request.reasoning_effort = effort.map(str::to_owned);
        if let Some(choice) = get("tool_choice") {
            request.tool_choice = tool_choice(&choice)?;
        }
        if let Some(format) = get("response_format") {
            request.response_format = response_format(&format)?;
        }
        for name in forward {
            if let Some(member) = root.get(name) {
                request.extra.insert(name.clone(), member.value.to_value());
            }
        }
        let options = get("stream_options");
        let include_usage = options.as_ref().and_then(|options| options.get("include_usage"));
        let include_usage = include_usage.map(|at| at.flag()).transpose()?.unwrap_or(false);
        let model = get("model").map(|at| at.text()).transpose()?;
        Ok(Self {
            model: model.filter(|model| !model.is_empty()).map(str::to_owned),
            request,
            stream: get("stream").map(|at| at.flag()).transpose()?.unwrap_or(false),
            include_usage,
        })
    }
}

/// The members that are read.
const READ: &[&str] = &[
    "messages",
    "model",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "max_completion_tokens",
    "max_tokens",
    "stop",
    "seed",
    "reasoning_effort",
    "response_format",
    "stream",
    "stream_options",
];

/// Members that change the answer and that our vocabulary has no word for, each with the values
/// that change nothing after all, and what to do instead.
const UNSUPPORTED: &[(&str, ChangesNothing, &str)] = &[
    (
        "n",
        |value| value.as_number().and_then(Number::as_i64) == Some(1),
        "can only be 1 here: ask several times for several answers",
    ),
    ("frequency_penalty", is_zero, "is not supported here"),
    ("presence_penalty", is_zero, "is not supported here"),
    ("logit_bias", is_empty, "is not supported here"),
    ("logprobs", |value| *value == Node::Bool(false), "is not supported here"),
    ("top_logprobs", is_zero, "is not supported here"),
    ("functions", is_empty, "is deprecated: use `tools`"),
    ("function_call", |_| false, "is deprecated: use `tool_choice`"),
    ("modalities", is_text_alone, "can only be `[\"text\"]` here"),
    ("audio", |_| false, "is not supported here: answers are text"),
    ("web_search_options", |_| false, "is not supported here"),
    ("verbosity", |value| value.as_str() == Some("medium"), "is not supported here"),
];

/// Tells of a value whether it changes nothing.
type ChangesNothing = fn(&Node<'_>) -> bool;

fn is_zero(value: &Node<'_>) -> bool {
    value.as_number().and_then(Number::as_f64) == Some(0.0)
}

fn is_empty(value: &Node<'_>) -> bool {
    match value {
        Node::Object(members) => members.is_empty(),
        Node::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn is_text_alone(value: &Node<'_>) -> bool {
    matches!(value, Node::Array(items) if matches!(&items[..], [Node::Text(kind)] if kind == "text"))
}

/// To answer as if something had not been asked for would be worse than not to answer.
fn check_unsupported(root: &At<'_>, is_forwarded: &dyn Fn(&str) -> bool) -> Result<(), Error> {
    for (name, changes_nothing, wrong) in UNSUPPORTED {
        if let Some(member) = root.get(name)
            && !changes_nothing(member.value)
            && !is_forwarded(name)
        {
            return Err(member.error("unsupported_parameter", wrong));
        }
    }
    Ok(())
}

/// Any whole number of 64 bits. Providers other than OpenAI know no negative ones, so that these become
/// others, each one of its own.
fn seed(at: &At<'_>) -> Result<u64, Error> {
    match at.value.as_number().and_then(Number::as_i64) {
        Some(seed) => Ok((seed & i64::MAX).unsigned_abs()),
        None => Err(at.wrong("a whole number of 64 bits")),
    }
}

fn positive(at: &At<'_>) -> Result<u64, Error> {
    match at.count()? {
        0 => Err(at.error("invalid_value", "must be 1 or more")),
        tokens => Ok(tokens),
    }
}

/// A text, or up to four of them.
fn stop(at: &At<'_>) -> Result<Vec<String>, Error> {
    if let Some(text) = at.value.as_str() {
        return Ok(vec![text.to_owned()]);
    }
    if !matches!(at.value, Node::Array(_)) {
        return Err(at.wrong("a string or an array of strings"));
    }
    let texts: Vec<_> =
        at.items()?.map(|text| Ok(text.text()?.to_owned())).collect::<Result<_, Error>>()?;
    match texts.len() {
        0..=4 => Ok(texts),
        _ => Err(at.error("invalid_value", "must hold 4 texts at most")),
    }
}

/// The tools of the caller, which run where the caller is.
fn tools(root: &At<'_>) -> Result<Vec<Tool>, Error> {
    let Some(listed) = root.get("tools") else { return Ok(Vec::new()) };
    let mut tools: Vec<Tool> = Vec::new();
    for tool in listed.items()? {
        tool.object()?;
        let kind = tool.need("type")?;
        if kind.text()? != "function" {
            return Err(kind.error("unsupported_value", "must be `function`"));
        }
        let function = tool.need("function")?;
        let name = function.need("name")?;
        let description = function.get("description").map(|at| at.text()).transpose()?;
        let parameters = match function.get("parameters") {
            Some(parameters) => {
                parameters.object()?;
                parameters.value.to_value()
            }
            None => json!({"type": "object", "properties": {}}),
        };
        let declared =
            Tool::declared(name.text()?, description.unwrap_or(""), Schema::from(parameters));
        let declared = declared.map_err(|_| {
            name.error("invalid_value", "must be 1 to 64 letters, digits, `_` or `-`")
        })?;
        if tools.iter().any(|other| other.name() == declared.name()) {
            return Err(name.error("invalid_value", "is the name of an earlier tool as well"));
        }
        let strict = function.get("strict").map(|at| at.flag()).transpose()?;
        tools.push(declared.strict(strict.unwrap_or_default()));
    }
    Ok(tools)
}

fn tool_choice(choice: &At<'_>) -> Result<ToolChoice, Error> {
    if matches!(choice.value, Node::Object(_)) {
        let kind = choice.need("type")?;
        if kind.text()? != "function" {
            return Err(kind.error("unsupported_value", "must be `function`"));
        }
        let name = choice.need("function")?.need("name")?.text()?.to_owned();
        return Ok(ToolChoice::Tool(name));
    }
    match choice.value.as_str() {
        Some("auto") => Ok(ToolChoice::Auto),
        Some("none") => Ok(ToolChoice::None),
        Some("required") => Ok(ToolChoice::Required),
        Some(_) => Err(choice.error("invalid_value", "must be `auto`, `none` or `required`")),
        None => Err(choice.wrong("a string or an object")),
    }
}

fn response_format(format: &At<'_>) -> Result<ResponseFormat, Error> {
    format.object()?;
    let kind = format.need("type")?;
    match kind.text()? {
        "text" => Ok(ResponseFormat::Text),
        "json_object" => Ok(ResponseFormat::Json),
        "json_schema" => {
            let described = format.need("json_schema")?;
            let name = described.need("name")?;
            let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            let text = name.text()?;
            if !(1..=64).contains(&text.len()) || !text.bytes().all(is_word) {
                let wrong = "must be 1 to 64 letters, digits, `_` or `-`";
                return Err(name.error("invalid_value", wrong));
            }
            let strict = described.get("strict").map(|at| at.flag()).transpose()?;
            // Without a schema any JSON is meant.
            let Some(schema) = described.get("schema") else { return Ok(ResponseFormat::Json) };
            schema.object()?;
            let (name, schema) = (text.to_owned(), Schema::from(schema.value.to_value()));
            Ok(match strict {
                Some(true) => ResponseFormat::Schema { name, schema },
                _ => ResponseFormat::LooseSchema { name, schema },
            })
        }
        _ => Err(kind.error("invalid_value", "must be `text`, `json_object` or `json_schema`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn asked(members: Value) -> Result<Asked, Error> {
        let mut body = json!({"messages": [{"role": "user", "content": "Hi"}]});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        Asked::read(&Node::from(&body), &["top_k".into(), "presence_penalty".into()])
    }

    #[test]
    fn whatever_can_be_said_is_said() {
        let asked = asked(json!({
            "model": "m", "stream": true, "stream_options": {"include_usage": true},
            "temperature": 1, "top_p": 0.5, "max_tokens": 9, "max_completion_tokens": 7, "stop": "x",
            "seed": 3, "parallel_tool_calls": false, "reasoning_effort": "low", "tool_choice": "required",
            "tools": [{"type": "function", "function": {"name": "now"}}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": true}},
            "top_k": 5, "presence_penalty": 1, "user": "ada", "something_new": [1], "n": 1, "logprobs": null,
        }))
        .unwrap();
        assert_eq!(
            (asked.model.as_deref(), asked.stream, asked.include_usage),
            (Some("m"), true, true)
        );
        let request = asked.request;
        assert_eq!(
            (request.temperature, request.top_p, request.max_tokens),
            (Some(1.0), Some(0.5), Some(7))
        );
        assert_eq!((&request.stop[..], request.seed), (&["x".to_owned()][..], Some(3)));
        assert_eq!(request.parallel_tool_calls, Some(false));
        assert_eq!(request.reasoning_effort.as_deref(), Some("low"));
        assert_eq!(request.tool_choice, ToolChoice::Required);
        assert!(!request.tools[0].runs_here());
        assert!(
            matches!(&request.response_format, ResponseFormat::Schema { name, .. } if name == "a")
        );
        assert_eq!(Value::Object(request.extra), json!({"top_k": 5, "presence_penalty": 1}));
    }

    #[test]
    fn a_seed_is_any_number_of_64_bits() {
        let seed = |seed: i64| asked(json!({"seed": seed})).unwrap().request.seed.unwrap();
        assert_eq!((seed(0), seed(7)), (0, 7));
        let seeds = [seed(-1), seed(-2), seed(i64::MAX - 1), seed(1)];
        assert!(seeds.iter().all(|seed| i64::try_from(*seed).is_ok()), "{seeds:?}");
        assert_ne!(seeds[0], seeds[1]);
    }

    #[test]
    fn a_schema_is_strict_where_it_says_so() {
        let format = |members: Value| {
            let mut described = json!({"name": "a", "schema": {"type": "object"}});
            described.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            let format = json!({"type": "json_schema", "json_schema": described});
            asked(json!({"response_format": format})).unwrap().request.response_format
        };
        assert!(matches!(format(json!({"strict": true})), ResponseFormat::Schema { .. }));
        for loose in [json!({}), json!({"strict": false}), json!({"strict": null})] {
            assert!(matches!(format(loose), ResponseFormat::LooseSchema { .. }));
        }
        assert_eq!(format(json!({"schema": null})), ResponseFormat::Json);
    }

    #[test]
    fn every_member_that_is_read_is_kept() {
        let forward = ["top_k".to_owned()];
        for name in ["messages", "n", "top_k", "stream_options", "web_search_options"] {
            assert!(Asked::looks_at(name, &forward), "{name}");
        }
        assert!(!Asked::looks_at("user", &forward));
        // Whoever reads another member has to name it, too.
        let source = include_str!("request.rs");
        let code = source.split("#[cfg(test)]").next().unwrap();
        for read in code.split("get(\"").skip(1).chain(code.split("root.need(\"").skip(1)) {
            let name = read.split('"').next().unwrap();
            let nested = ["include_usage", "description", "parameters", "strict", "schema"];
            assert!(nested.contains(&name) || Asked::looks_at(name, &[]), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_refused_with_its_place() {
        let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
        for (members, param, code) in [
            (json!({"n": 2}), "n", "unsupported_parameter"),
            (json!({"logprobs": true}), "logprobs", "unsupported_parameter"),
            (json!({"frequency_penalty": 0.5}), "frequency_penalty", "unsupported_parameter"),
            (json!({"functions": [{}]}), "functions", "unsupported_parameter"),
            (json!({"temperature": 3}), "temperature", "invalid_value"),
            (json!({"temperature": "hot"}), "temperature", "invalid_type"),
            (json!({"max_tokens": 0}), "max_tokens", "invalid_value"),
            (json!({"seed": 0.5}), "seed", "invalid_type"),
            (
                json!({"messages": [{"role": "user", "content": []}]}),
                "messages[0].content",
                "empty_array",
            ),
            (json!({"stop": ["a", 1]}), "stop[1]", "invalid_type"),
            (json!({"stop": ["a", "b", "c", "d", "e"]}), "stop", "invalid_value"),
            (json!({"stream": "yes"}), "stream", "invalid_type"),
            (
                json!({"stream_options": {"include_usage": 1}}),
                "stream_options.include_usage",
                "invalid_type",
            ),
            (json!({"tools": [tool("a b")]}), "tools[0].function.name", "invalid_value"),
            (json!({"tools": [tool("a"), tool("a")]}), "tools[1].function.name", "invalid_value"),
            (json!({"tools": [{"type": "custom"}]}), "tools[0].type", "unsupported_value"),
            (
                json!({"tool_choice": {"type": "allowed_tools"}}),
                "tool_choice.type",
                "unsupported_value",
            ),
            (json!({"tool_choice": "maybe"}), "tool_choice", "invalid_value"),
            (json!({"response_format": {"type": "yaml"}}), "response_format.type", "invalid_value"),
            (
                json!({"response_format": {"type": "json_schema"}}),
                "response_format.json_schema",
                "missing_required_parameter",
            ),
            (json!({"messages": null}), "messages", "missing_required_parameter"),
            (json!({"messages": {}}), "messages", "invalid_type"),
        ] {
            let error = asked(members.clone()).unwrap_err();
            assert_eq!(
                (&error.members()["param"], &error.members()["code"]),
                (&json!(param), &json!(code)),
                "{members}"
            );
            assert_eq!(error.status(), 400);
        }
        assert!(
            Asked::read(&Node::Array(Vec::new()), &[])
                .unwrap_err()
                .message()
                .starts_with("The body must be an object")
        );
    }
}
