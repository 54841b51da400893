use super::reasoning::{Returned, text_part};
use super::vendors::Quirks;
use crate::base::schema::Dialect;
use crate::llm::adapter::strict_tools;
use crate::llm::adapter::turns::{Turns, fnv1a, plain_id};
use crate::llm::chat::{ChatRequest, Dropped, ResponseFormat, ToolChoice};
use crate::llm::message::{
    Media, MediaSource, Message, Part, Reasoning, Role, ToolCall, ToolResult,
};
use crate::llm::tool::Tool;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Writes the body of a request, and lists what it could not say.
pub(super) fn encode(
    provider: &str,
    request: &ChatRequest,
    model: &str,
    stream: bool,
    quirks: &Quirks,
) -> Result<(Vec<u8>, Vec<Dropped>), serde_json::Error> {
    // Calls without a result, results without a call, and anything between the two are refused.
    let turns = Turns::of(&request.messages);
    let answers = turns.answers();
    let Turns { mut dropped, unfit, .. } = turns;
    let history = History { unfit, answers };
    let mut messages = Vec::with_capacity(request.messages.len());
    let server = Server { provider, quirks };
    for (index, message) in request.messages.iter().enumerate() {
        write_message(message, index, &history, server, &mut messages, &mut dropped);
    }
    let mut drop = |what: &str, why: &str| dropped.push(Dropped::new(what, why));
    let knows = |member: &str| !quirks.refuses.contains(&member);
    if request.seed.is_some() && !knows("seed") {
        drop("seed", "this server cannot make choices repeatable");
    }
    if request.reasoning_effort.is_some() && !knows("reasoning_effort") {
        drop("reasoning_effort", "this server takes none");
    }
    let mut format = response_format(&request.response_format);
    let by_schema = matches!(
        request.response_format,
        ResponseFormat::Schema { .. } | ResponseFormat::LooseSchema { .. }
    );
    if by_schema && !quirks.json_schema {
        drop("response_format", "this server writes JSON, but not by a schema");
        format = response_format(&ResponseFormat::Json);
    }
    dropped.extend(strict_tools::beyond_strict_mode(&request.tools));
    let body = Body {
        model,
        messages,
        tools: request.tools.iter().map(Tool::openai_spec).collect(),
        tool_choice: (!request.tools.is_empty())
            .then(|| tool_choice(&request.tool_choice, quirks))
            .flatten(),
        parallel_tool_calls: request.parallel_tool_calls.filter(|_| !request.tools.is_empty()),
        temperature: request.temperature,
        top_p: request.top_p,
        max_completion_tokens: request.max_tokens,
        stop: &request.stop,
        seed: request.seed.filter(|_| knows("seed")),
        reasoning_effort: request.reasoning_effort.as_deref().filter(|_| knows("reasoning_effort")),
        response_format: format,
        stream: stream.then_some(true),
        stream_options: (stream && quirks.stream_options)
            .then_some(StreamOptions { include_usage: true }),
        quirks,
        extra: &request.extra,
    };
    Ok((serde_json::to_vec(&body)?, dropped))
}

/// What has become of the calls of a conversation.
struct History<'a> {
    /// The parts that are left out: the message, and the part of it.
    unfit: HashSet<(usize, usize)>,
    /// The results, by the message that holds their calls.
    answers: HashMap<usize, Vec<&'a ToolResult>>,
}

/// Who is written to.
#[derive(Clone, Copy)]
struct Server<'a> {
    provider: &'a str,
    quirks: &'a Quirks,
}

struct Body<'a> {
    model: &'a str,
    messages: Vec<WireMessage<'a>>,
    tools: Vec<&'a Value>,
    tool_choice: Option<Value>,
    parallel_tool_calls: Option<bool>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    max_completion_tokens: Option<u64>,
    stop: &'a [String],
    seed: Option<u64>,
    reasoning_effort: Option<&'a str>,
    response_format: Option<Value>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    quirks: &'a Quirks,
    extra: &'a Map<String, Value>,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = Members { map: serializer.serialize_map(None)?, extra: self.extra };
        members.put("model", Some(self.model))?;
        members.put("messages", Some(&self.messages))?;
        members.put("tools", Some(&self.tools).filter(|tools| !tools.is_empty()))?;
        members.put("tool_choice", self.tool_choice.as_ref())?;
        members.put("parallel_tool_calls", self.parallel_tool_calls)?;
        members.put("temperature", self.temperature)?;
        members.put("top_p", self.top_p)?;
        // OpenAI's newer models refuse `max_tokens`, and others know nothing else.
        members.put(self.quirks.max_tokens, self.max_completion_tokens)?;
        members.put("stop", Some(self.stop).filter(|stop| !stop.is_empty()))?;
        members.put(self.quirks.seed, self.seed)?;
        members.put("reasoning_effort", self.reasoning_effort)?;
        members.put("response_format", self.response_format.as_ref())?;
        members.put("stream", self.stream)?;
        members.put("stream_options", self.stream_options.as_ref())?;
        members.finish()
    }
}

/// The members of a request, each once: what the caller gives as it is goes before what we write.
struct Members<'a, M> {
    map: M,
    extra: &'a Map<String, Value>,
}

impl<M: SerializeMap> Members<'_, M> {
    fn put(&mut self, name: &str, value: Option<impl Serialize>) -> Result<(), M::Error> {
        match value {
            Some(value) if !self.extra.contains_key(name) => self.map.serialize_entry(name, &value),
            _ => Ok(()),
        }
    }

    fn finish(mut self) -> Result<M::Ok, M::Error> {
        for (name, value) in self.extra {
            self.map.serialize_entry(name, value)?;
        }
        self.map.end()
    }
}

#[derive(serde::Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(serde::Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_details: Vec<Value>,
    /// Under the name that the server knows it by.
    #[serde(flatten)]
    reasoning: BTreeMap<&'static str, Cow<'a, str>>,
}

impl<'a> WireMessage<'a> {
    fn new(role: &'static str, content: Option<Content<'a>>) -> Self {
        Self {
            role,
            content,
            refusal: None,
            tool_calls: Vec::new(),
            tool_call_id: None,
            reasoning_details: Vec::new(),
            reasoning: BTreeMap::new(),
        }
    }

    fn result(result: &'a ToolResult, quirks: &Quirks) -> Self {
        let content = Content::Text(Cow::Borrowed(&result.content));
        let tool_call_id = Some(wire_id(&result.call_id, quirks));
        Self { tool_call_id, ..Self::new("tool", Some(content)) }
    }
}

#[derive(serde::Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<Value>),
}

#[derive(serde::Serialize)]
struct WireCall<'a> {
    id: Cow<'a, str>,
    r#type: &'static str,
    function: WireFunction<'a>,
}

#[derive(serde::Serialize)]
struct WireFunction<'a> {
    name: &'a str,
    arguments: &'a str,
}

impl<'a> WireCall<'a> {
    fn new(call: &'a ToolCall, quirks: &Quirks) -> Self {
        // An empty text is no JSON, and servers that parse it fail.
        let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
        Self {
            id: wire_id(&call.id, quirks),
            r#type: "function",
            function: WireFunction { name: &call.name, arguments },
        }
    }
}

/// The longest id of a call that OpenAI takes back.
const ID_LIMIT: usize = 40;

/// The id of a call. Some servers know their own by its form, so that it changes only if it must.
fn wire_id<'a>(id: &'a str, quirks: &Quirks) -> Cow<'a, str> {
    if quirks.short_ids {
        let short = id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        return if short { Cow::Borrowed(id) } else { Cow::Owned(short_id(id)) };
    }
    if id.len() > ID_LIMIT { plain_id(id, ID_LIMIT) } else { Cow::Borrowed(id) }
}

/// Nine letters and digits that stand for an id.
fn short_id(id: &str) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut hash = fnv1a(id);
    let digits = (0..9).map(|_| {
        let digit = DIGITS[(hash % 36) as usize];
        hash /= 36;
        char::from(digit)
    });
    digits.collect()
}

/// Appends the messages of the wire that one of ours becomes. Results of tools have one each, directly
/// behind the message that holds their calls, wherever they stand in the conversation.
fn write_message<'a>(
    message: &'a Message,
    index: usize,
    history: &History<'a>,
    Server { provider, quirks }: Server<'_>,
    messages: &mut Vec<WireMessage<'a>>,
    dropped: &mut Vec<Dropped>,
) {
    let mut drop = |part: usize, why: &str| {
        dropped.push(Dropped::new(format!("messages[{index}].content[{part}]"), why))
    };
    let fits = |part: usize| !history.unfit.contains(&(index, part));
    match message.role {
        Role::System => {
            for (part_index, part) in message.content.iter().enumerate() {
                if !matches!(part, Part::Text(_)) {
                    drop(part_index, "instructions are text");
                }
            }
            messages.push(WireMessage::new("system", Some(Content::Text(message.text()))));
        }
        Role::User => {
            let rest = message.content.iter().enumerate().filter(|(part, _)| fits(*part));
            let rest = rest.filter(|(_, part)| !matches!(part, Part::ToolResult(_)));
            let rest: Vec<_> = rest.collect();
            if !rest.is_empty() || message.content.is_empty() {
                messages.push(WireMessage::new("user", Some(user_content(&rest, &mut drop))));
            }
        }
        Role::Assistant => {
            let text = message.text();
            let mut wire = WireMessage::new("assistant", None);
            let mut returned = Returned::default();
            for (part_index, part) in message.content.iter().enumerate() {
                match part {
                    _ if !fits(part_index) => {}
                    Part::Text(_) => {}
                    Part::Refusal(_) => wire.refusal = message.refusal(),
                    Part::ToolCall(call) => wire.tool_calls.push(WireCall::new(call, quirks)),
                    Part::Reasoning(reasoning)
                        if returned.take(reasoning.signature.as_ref(), provider) => {}
                    // Without a mark it is plain text, which some servers want to see again.
                    Part::Reasoning(Reasoning { text, signature: None })
                        if let Some(name) = quirks.reasoning =>
                    {
                        *wire.reasoning.entry(name).or_default() += text.as_str();
                    }
                    Part::Reasoning(_) => {
                        drop(part_index, "chat completions take no reasoning back")
                    }
                    _ => drop(part_index, "chat completions have no such part in an answer"),
                }
            }
            // An answer needs content, a refusal or calls; `null` is not understood everywhere.
            if !text.is_empty() || (wire.refusal.is_none() && wire.tool_calls.is_empty()) {
                wire.content = Some(Content::Text(text));
            }
            wire.reasoning_details = returned.details;
            if !returned.thinking.is_empty() {
                let text = message.text();
                let texts = (!text.is_empty()).then(|| text_part(&text));
                wire.content =
                    Some(Content::Parts(returned.thinking.into_iter().chain(texts).collect()));
            }
            messages.push(wire);
            let results = history.answers.get(&index).into_iter().flatten();
            messages.extend(results.map(|result| WireMessage::result(result, quirks)));
        }
        Role::Tool => {
            for (part_index, part) in message.content.iter().enumerate() {
                if fits(part_index) && !matches!(part, Part::ToolResult(_)) {
                    drop(part_index, "only results can answer calls");
                }
            }
        }
    }
}

/// Text alone stays text: some compatible servers know nothing else.
fn user_content<'a>(
    content: &[(usize, &'a Part)],
    drop: &mut impl FnMut(usize, &str),
) -> Content<'a> {
    if let [(_, Part::Text(only))] = content {
        return Content::Text(Cow::Borrowed(&only.text));
    }
    let texts = content.iter().map(|(_, part)| match part {
        Part::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    if let Some(text) = texts.collect::<Option<String>>() {
        return Content::Text(Cow::Owned(text));
    }
    let mut parts = Vec::with_capacity(content.len());
    for (index, part) in content {
        let index = *index;
        match part {
            Part::Text(text) => parts.push(json!({"type": "text", "text": text.text})),
            Part::Media(media) => match media_part(media) {
                Some(part) => parts.push(part),
                None => drop(index, "only images can be given by address"),
            },
            _ => drop(index, "a user's message cannot hold such a part"),
        }
    }
    Content::Parts(parts)
}

fn media_part(media: &Media) -> Option<Value> {
    let kind = media.media_type.split('/').next().unwrap_or_default();
    match (&media.source, kind) {
        (MediaSource::Url(url), "image") => {
            Some(json!({"type": "image_url", "image_url": {"url": url}}))
        }
        (MediaSource::Url(_), _) => None,
        (MediaSource::Bytes(bytes), _) => {
            let data = BASE64_STANDARD.encode(bytes);
            let url = format!("data:{};base64,{data}", media.media_type);
            Some(match kind {
                "image" => json!({"type": "image_url", "image_url": {"url": url}}),
                "audio" => {
                    let subtype = media.media_type.rsplit('/').next().unwrap_or_default();
                    let format =
                        if subtype == "mpeg" { "mp3" } else { subtype.trim_start_matches("x-") };
                    json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})
                }
                _ => json!({"type": "file", "file": {"filename": "file", "file_data": url}}),
            })
        }
    }
}

fn tool_choice(choice: &ToolChoice, quirks: &Quirks) -> Option<Value> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some("none".into()),
        ToolChoice::Required => Some(quirks.required.into()),
        ToolChoice::Tool(name) => Some(json!({"type": "function", "function": {"name": name}})),
    }
}

fn response_format(format: &ResponseFormat) -> Option<Value> {
    match format {
        ResponseFormat::Text => None,
        ResponseFormat::Json => Some(json!({"type": "json_object"})),
        ResponseFormat::Schema { name, schema } => {
            let lowered = schema.lower(Dialect::OpenAiStrict);
            Some(json!({
                "type": "json_schema",
                "json_schema": {"name": name, "schema": lowered.schema, "strict": lowered.strict},
            }))
        }
        ResponseFormat::LooseSchema { name, schema } => Some(json!({
            "type": "json_schema",
            "json_schema": {"name": name, "schema": schema.as_value(), "strict": false},
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::super::vendors::Vendor;
    use super::*;
    use crate::base::Schema;
    use crate::llm::tool::ParameterSchema;

    fn written(request: &ChatRequest, stream: bool) -> (Value, Vec<Dropped>) {
        let (body, dropped) = encode("openai", request, "m", stream, &Quirks::NONE).unwrap();
        (serde_json::from_slice(&body).unwrap(), dropped)
    }

    #[test]
    fn a_plain_question_says_nothing_more() {
        let (body, dropped) = written(&"Hi".into(), false);
        assert_eq!(body, json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}));
        assert!(dropped.is_empty());
        let (body, _) = written(&"Hi".into(), true);
        assert_eq!(
            (&body["stream"], &body["stream_options"]),
            (&json!(true), &json!({"include_usage": true}))
        );
    }

    #[test]
    fn a_turn_with_tools_is_written_as_the_reference_wants_it() {
        let calls = [ToolCall::new("c1", "add", "{\"a\":1}"), ToolCall::new("c2", "now", "")];
        let results = calls.iter().map(|call| ToolResult::new(call, "2"));
        let request = ChatRequest::new([
            Message::system("Be brief."),
            Message::user("1+1?"),
            Message::new(Role::Assistant, calls.clone().map(Part::ToolCall)),
            Message::tool_results(results),
            Message::assistant("2"),
        ]);
        let (body, dropped) = written(&request, false);
        assert_eq!(
            body["messages"],
            json!([
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "1+1?"},
                {"role": "assistant", "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{\"a\":1}"}},
                    {"id": "c2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
                ]},
                {"role": "tool", "tool_call_id": "c1", "content": "2"},
                {"role": "tool", "tool_call_id": "c2", "content": "2"},
                {"role": "assistant", "content": "2"},
            ])
        );
        assert!(dropped.is_empty());
    }

    #[test]
    fn results_stand_directly_behind_their_calls() {
        let call = |id: &str| ToolCall::new(id, "now", "{}");
        let asks = |id: &str| Message::new(Role::Assistant, [Part::ToolCall(call(id))]);
        let answers = |id: &str, text: &str| Part::ToolResult(ToolResult::new(&call(id), text));
        let request = ChatRequest::new([
            Message::user("When?"),
            asks("c1"),
            Message::system("Be brief."),
            asks("c2"),
            Message::user("Wait"),
            Message::new(Role::Tool, [answers("c2", "2")]),
            Message::new(Role::User, [Part::text("Well?"), answers("c1", "1")]),
            // The same id in another turn is another call.
            asks("c1"),
            Message::system("Be kind."),
            Message::new(Role::Tool, [answers("c1", "3")]),
        ]);
        let (body, dropped) = written(&request, false);
        let call = |id: &str| {
            json!({"role": "assistant", "tool_calls": [
                {"id": id, "type": "function", "function": {"name": "now", "arguments": "{}"}},
            ]})
        };
        let said = |role: &str, text: &str| json!({"role": role, "content": text});
        let result =
            |id: &str, text: &str| json!({"role": "tool", "tool_call_id": id, "content": text});
        assert_eq!(
            body["messages"],
            json!([
                said("user", "When?"),
                call("c1"),
                result("c1", "1"),
                said("system", "Be brief."),
                call("c2"),
                result("c2", "2"),
                said("user", "Wait"),
                said("user", "Well?"),
                call("c1"),
                result("c1", "3"),
                said("system", "Be kind."),
            ])
        );
        assert!(dropped.is_empty());
    }

    #[test]
    fn media_are_written_by_kind() {
        let content = [
            Part::text("What is this?"),
            Part::Media(Media::image_url("https://a/b.png")),
            Part::Media(Media::bytes("image/png", &b"abc"[..])),
            Part::Media(Media::bytes("audio/mpeg", &b"abc"[..])),
            Part::Media(Media::bytes("application/pdf", &b"abc"[..])),
        ];
        let (body, _) = written(&Message::new(Role::User, content).into(), false);
        assert_eq!(
            body["messages"][0]["content"],
            json!([
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "https://a/b.png"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,YWJj"}},
                {"type": "input_audio", "input_audio": {"data": "YWJj", "format": "mp3"}},
                {"type": "file", "file": {"filename": "file", "file_data": "data:application/pdf;base64,YWJj"}},
            ])
        );
    }

    #[test]
    fn what_cannot_be_said_is_listed() {
        let mut cut = ToolCall::new("c1", "add", "{\"a\":");
        cut.truncated = true;
        let content =
            [Part::Reasoning(Reasoning::new("hm")), Part::text("Well"), Part::ToolCall(cut)];
        let (body, dropped) = written(&Message::new(Role::Assistant, content).into(), false);
        assert_eq!(body["messages"], json!([{"role": "assistant", "content": "Well"}]));
        let places: Vec<_> = dropped.iter().map(|dropped| dropped.what.as_str()).collect();
        assert_eq!(places, ["messages[0].content[2]", "messages[0].content[0]"]);
    }

    #[test]
    fn what_is_given_as_it_is_replaces_what_we_write() {
        let mut request = ChatRequest::from("Hi").temperature(0.5).max_tokens(9);
        for (name, value) in [("temperature", json!(1)), ("model", json!("x")), ("n", json!(2))] {
            request.extra.insert(name.into(), value);
        }
        let (body, _) = encode("openai", &request, "m", false, &Quirks::NONE).unwrap();
        let text = String::from_utf8(body).unwrap();
        assert_eq!(
            text,
            r#"{"messages":[{"role":"user","content":"Hi"}],"max_completion_tokens":9,"temperature":1,"model":"x","n":2}"#
        );
    }

    #[test]
    fn options_have_the_names_of_the_reference() {
        let tool = Tool::declared("add", "Adds.", ParameterSchema::object([])).unwrap();
        let format = ResponseFormat::Schema {
            name: "sum".into(),
            schema: Schema::from(json!({"type": "string"})),
        };
        let mut request = ChatRequest::from("Hi")
            .tool(tool)
            .tool_choice(ToolChoice::Tool("add".into()))
            .parallel_tool_calls(false)
            .temperature(0.5)
            .top_p(0.9)
            .max_tokens(9)
            .seed(7)
            .reasoning_effort("low")
            .response_format(format);
        request.stop = vec!["END".into()];
        request.extra.insert("service_tier".into(), "flex".into());
        let (mut body, _) = written(&request, false);
        body.as_object_mut().unwrap().remove("messages");
        assert_eq!(
            body,
            json!({
                "model": "m",
                "tools": [{"type": "function", "function": {
                    "name": "add",
                    "description": "Adds.",
                    "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": false},
                }}],
                "tool_choice": {"type": "function", "function": {"name": "add"}},
                "parallel_tool_calls": false,
                "temperature": 0.5,
                "top_p": 0.9,
                "max_completion_tokens": 9,
                "stop": ["END"],
                "seed": 7,
                "reasoning_effort": "low",
                "response_format": {"type": "json_schema", "json_schema": {
                    "name": "sum", "schema": {"type": "string"}, "strict": false,
                }},
                "service_tier": "flex",
            })
        );
    }

    #[test]
    fn vendors_are_told_in_their_words() {
        let call = ToolCall::new("call_1", "now", "");
        let thought = Part::Reasoning(Reasoning::new("hm"));
        let content = [thought, Part::text("Well"), Part::ToolCall(call.clone())];
        let schema = Schema::from(json!({"type": "object"}));
        let request = ChatRequest::new([
            Message::new(Role::Assistant, content),
            Message::tool_results([ToolResult::new(&call, "12")]),
        ])
        .tool(Tool::declared("now", "N.", ParameterSchema::object([])).unwrap())
        .tool_choice(ToolChoice::Required)
        .max_tokens(9)
        .seed(7)
        .reasoning_effort("low")
        .response_format(ResponseFormat::Schema { name: "x".into(), schema });
        let written = |name: &str| {
            let quirks = Vendor::find(name).unwrap().quirks;
            let (body, dropped) = encode("test", &request, "m", true, &quirks).unwrap();
            let places: Vec<_> = dropped.into_iter().map(|dropped| dropped.what).collect();
            (serde_json::from_slice::<Value>(&body).unwrap(), places)
        };
        let (mistral, dropped) = written("mistral");
        assert_eq!((&mistral["random_seed"], &mistral["max_tokens"]), (&json!(7), &json!(9)));
        assert_eq!((&mistral["tool_choice"], mistral.get("stream_options")), (&json!("any"), None));
        let id = mistral["messages"][1]["tool_call_id"].as_str().unwrap();
        assert_eq!((id.len(), &mistral["messages"][0]["tool_calls"][0]["id"]), (9, &json!(id)));
        assert_eq!(mistral["reasoning_effort"], "low");
        assert_eq!(dropped, ["messages[0].content[0]"]);
        let (deepseek, dropped) = written("deepseek");
        assert_eq!(deepseek["messages"][0]["reasoning_content"], "hm");
        assert_eq!(deepseek["response_format"], json!({"type": "json_object"}));
        assert_eq!((deepseek.get("seed"), &deepseek["reasoning_effort"]), (None, &json!("low")));
        assert_eq!(dropped, ["seed", "response_format"]);
    }

    #[test]
    fn halves_of_calls_and_long_ids_are_not_sent() {
        let long = ToolCall::new("x".repeat(99), "now", "");
        let request = ChatRequest::new([
            Message::new(
                Role::Assistant,
                [Part::ToolCall(long.clone()), Part::ToolCall(ToolCall::new("lost", "now", ""))],
            ),
            Message::tool_results([
                ToolResult::new(&long, "12"),
                ToolResult::new(&ToolCall::new("never", "now", ""), "13"),
            ]),
        ]);
        let (body, dropped) = written(&request, false);
        let calls = body["messages"][0]["tool_calls"].as_array().unwrap();
        assert_eq!((calls.len(), body["messages"].as_array().unwrap().len()), (1, 2));
        assert_eq!(calls[0]["id"], body["messages"][1]["tool_call_id"]);
        assert_eq!(calls[0]["id"].as_str().unwrap().len(), ID_LIMIT);
        assert_eq!(dropped.len(), 2);
    }
}
