use super::thinking;
use crate::base::schema::Dialect;
use crate::llm::adapter::strict_tools;
use crate::llm::adapter::turns::{Placed, Turn, Turns, own};
use crate::llm::adapter::{Body, Lent};
use crate::llm::chat::{ChatRequest, Dropped, ResponseFormat, ToolChoice};
use crate::llm::message::{Media, MediaSource, Part, Signature, ToolCall, ToolResult};
use crate::llm::tool::Tool;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Map, Value, json};

/// Stands for the signature of a call that another model has made, which Google documents for
/// that case.
const FOREIGN: &str = "skip_thought_signature_validator";

/// Writes the body of a request, and lists what it could not say.
pub(super) fn encode<'a>(
    provider: &'a str,
    request: &'a ChatRequest,
    model: &str,
) -> (Body<'a>, Vec<Dropped>) {
    let Turns { system, turns, mut dropped, .. } = Turns::of(&request.messages);
    let mut writer =
        Writer { provider, signed: thinking::wants_signatures(model), ids: Vec::new() };
    let mut body = Map::new();
    let mut instructions = Vec::new();
    for placed in &system {
        match placed.part {
            Part::Text(text) if text.text.trim().is_empty() => {}
            Part::Text(text) => instructions.push(json!({"text": text.text})),
            _ => dropped.push(placed.dropped("instructions are text")),
        }
    }
    if !instructions.is_empty() {
        body.insert("systemInstruction".into(), json!({"parts": instructions}));
    }
    let mut contents: Vec<(bool, Vec<Written<'_>>)> = Vec::new();
    for turn in &turns {
        let parts = writer.turn(turn, &mut dropped);
        match contents.last_mut() {
            _ if parts.is_empty() => {}
            Some((assistant, last)) if *assistant == turn.assistant => last.extend(parts),
            _ => contents.push((turn.assistant, parts)),
        }
    }
    // The user speaks first; the beginning of a trimmed conversation may be the model's.
    if contents.first().is_some_and(|(assistant, _)| *assistant) {
        contents.insert(0, (false, vec![Written::Text("(…)")]));
    }
    let contents = contents.into_iter().map(|(assistant, parts)| {
        let role = if assistant { "model" } else { "user" };
        Lent::object([("role", role.into()), ("parts", parts.into_iter().collect())])
    });
    let contents = contents.collect();
    tool_config(request, &mut body, &mut dropped);
    let config = generation(request, model, &mut dropped);
    if !config.is_empty() {
        body.insert("generationConfig".into(), config.into());
    }
    body.extend(request.extra.clone());
    let mut lent = vec![("contents", contents)];
    if !request.tools.is_empty() {
        let declarations = request.tools.iter().map(Tool::gemini_spec);
        let declarations = Lent::object([("functionDeclarations", declarations.collect())]);
        lent.push(("tools", vec![declarations].into()));
        dropped.extend(strict_tools::asked_for(&request.tools));
    }
    (Body { members: body, lent }, dropped)
}

/// A part of a turn.
enum Written<'a> {
    /// Text without a signature, as most of it.
    Text(&'a str),
    Other(Value),
}

impl<'a> From<Written<'a>> for Lent<'a> {
    fn from(part: Written<'a>) -> Self {
        match part {
            Written::Text(text) => Self::object([("text", text.into())]),
            Written::Other(value) => value.into(),
        }
    }
}

struct Writer<'a> {
    provider: &'a str,
    /// Whether the model insists on signatures of calls.
    signed: bool,
    /// The ids that Gemini itself has given to calls.
    ids: Vec<&'a str>,
}

impl<'a> Writer<'a> {
    fn turn(&mut self, turn: &Turn<'a>, dropped: &mut Vec<Dropped>) -> Vec<Written<'a>> {
        let mut parts = Vec::new();
        let mut first_call = turn.assistant && self.signed;
        if turn.assistant {
            self.ids = given_ids(self.provider, turn);
        }
        for placed in &turn.parts {
            match self.part(turn.assistant, placed) {
                Ok(mut part) => {
                    // Of calls that were made together, the first one carries the signature.
                    if let Written::Other(Value::Object(part)) = &mut part
                        && part.contains_key("functionCall")
                        && std::mem::take(&mut first_call)
                    {
                        part.entry("thoughtSignature").or_insert_with(|| FOREIGN.into());
                    }
                    parts.push(part);
                }
                Err(why) => dropped.extend(why.map(|why| placed.dropped(why))),
            }
        }
        parts
    }

    /// Writes a part, or says why it cannot be; nothing is said of parts that say nothing.
    fn part(
        &self,
        assistant: bool,
        placed: &Placed<'a>,
    ) -> Result<Written<'a>, Option<&'static str>> {
        let mark = |signature: &'a Option<Signature>| {
            own(signature.as_ref(), self.provider).filter(|_| assistant)
        };
        let signed = |mut part: Value, signature| {
            if let Some(mark) = mark(signature) {
                part["thoughtSignature"] = mark.into();
            }
            Written::Other(part)
        };
        match placed.part {
            Part::Text(text) => match mark(&text.signature) {
                Some(_) => Ok(signed(json!({"text": text.text}), &text.signature)),
                None if text.text.is_empty() => Err(None),
                None => Ok(Written::Text(&text.text)),
            },
            Part::Refusal(text) => Ok(Written::Text(text)),
            Part::Media(media) => Ok(signed(media_part(media), &media.signature)),
            Part::Reasoning(reasoning) if assistant => {
                let part = json!({"text": reasoning.text, "thought": true});
                match mark(&reasoning.signature) {
                    Some(_) => Ok(signed(part, &reasoning.signature)),
                    None => Err(Some("only signed reasoning of the provider itself is taken back")),
                }
            }
            Part::ToolCall(call) if assistant => Ok(signed(self.call(call), &call.signature)),
            Part::ToolResult(result) => Ok(Written::Other(self.result(result))),
            Part::Opaque(opaque) if opaque.provider == self.provider => {
                Ok(Written::Other(opaque.value.clone()))
            }
            Part::Opaque(_) => Err(Some("only the provider it came from understands it")),
            _ => Err(Some("a user's message cannot hold such a part")),
        }
    }

    fn call(&self, call: &ToolCall) -> Value {
        // The arguments must be an object, whatever the model wrote.
        let arguments = call.parse().ok().filter(Value::is_object);
        let arguments = arguments.unwrap_or_else(|| json!({"arguments": call.arguments}));
        let mut function = json!({"name": call.name, "args": arguments});
        if self.ids.contains(&call.id.as_str()) {
            function["id"] = call.id.as_str().into();
        }
        json!({"functionCall": function})
    }

    fn result(&self, result: &ToolResult) -> Value {
        // Text that is JSON is easier to read as such.
        let content = serde_json::from_str(&result.content)
            .ok()
            .filter(|content: &Value| content.is_object() || content.is_array())
            .unwrap_or_else(|| result.content.as_str().into());
        let kind = if result.is_error { "error" } else { "output" };
        let mut response = json!({"name": result.name, "response": {kind: content}});
        if self.ids.contains(&result.call_id.as_str()) {
            response["id"] = result.call_id.as_str().into();
        }
        json!({"functionResponse": response})
    }
}

/// The ids of a turn's calls that Gemini has given. It recognises no others: those of other
/// providers, and those that were invented here, are matched by name and order.
fn given_ids<'a>(provider: &str, turn: &Turn<'a>) -> Vec<&'a str> {
    let calls: Vec<_> = turn
        .parts
        .iter()
        .filter_map(|placed| match placed.part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        })
        .collect();
    if !calls.iter().any(|call| own(call.signature.as_ref(), provider).is_some()) {
        return Vec::new();
    }
    calls.into_iter().map(|call| call.id.as_str()).filter(|id| !is_invented(id)).collect()
}

fn is_invented(id: &str) -> bool {
    id.strip_prefix("call_").is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn media_part(media: &Media) -> Value {
    match &media.source {
        MediaSource::Url(url) if media.media_type.ends_with("/*") => {
            json!({"fileData": {"fileUri": url}})
        }
        MediaSource::Url(url) => {
            json!({"fileData": {"mimeType": media.media_type, "fileUri": url}})
        }
        MediaSource::Bytes(bytes) => {
            let data = BASE64_STANDARD.encode(bytes);
            json!({"inlineData": {"mimeType": media.media_type, "data": data}})
        }
    }
}

fn tool_config(request: &ChatRequest, body: &mut Map<String, Value>, dropped: &mut Vec<Dropped>) {
    if request.tools.is_empty() {
        return;
    }
    let config = match &request.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(json!({"mode": "NONE"})),
        ToolChoice::Required => Some(json!({"mode": "ANY"})),
        ToolChoice::Tool(name) => Some(json!({"mode": "ANY", "allowedFunctionNames": [name]})),
    };
    if let Some(config) = config {
        body.insert("toolConfig".into(), json!({"functionCallingConfig": config}));
    }
    if request.parallel_tool_calls == Some(false) {
        let why = "several calls in one turn cannot be forbidden";
        dropped.push(Dropped::new("parallel_tool_calls", why));
    }
}

/// How the answer is written.
fn generation(
    request: &ChatRequest,
    model: &str,
    dropped: &mut Vec<Dropped>,
) -> Map<String, Value> {
    let mut config = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        config.extend(value.map(|value| (name.to_owned(), value)));
    };
    put("temperature", request.temperature.map(Value::from));
    put("topP", request.top_p.map(Value::from));
    put("maxOutputTokens", request.max_tokens.map(Value::from));
    put("stopSequences", (!request.stop.is_empty()).then(|| request.stop.as_slice().into()));
    put("seed", request.seed.map(Value::from));
    match &request.response_format {
        ResponseFormat::Text => {}
        ResponseFormat::Json => put("responseMimeType", Some("application/json".into())),
        ResponseFormat::Schema { schema, .. } => {
            let lowered = schema.lower(Dialect::GeminiSchema);
            let member = if lowered.strict { "responseSchema" } else { "responseJsonSchema" };
            put("responseMimeType", Some("application/json".into()));
            put(member, Some(lowered.schema));
        }
        // The member for schemas as they are, of which Gemini heeds what it knows.
        ResponseFormat::LooseSchema { schema, .. } => {
            put("responseMimeType", Some("application/json".into()));
            put("responseJsonSchema", Some(schema.as_value().clone()));
        }
    }
    put("thinkingConfig", thinking::config(request, model, dropped));
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Schema;
    use crate::llm::message::{Message, Opaque, Reasoning, Role, Text};
    use crate::llm::tool::ParameterSchema;

    fn written(request: &ChatRequest, model: &str) -> (Value, Vec<String>) {
        let (body, dropped) = encode("gemini", request, model);
        let body = serde_json::to_value(&body).unwrap();
        (body, dropped.into_iter().map(|dropped| dropped.what).collect())
    }

    fn mark(value: &str) -> Option<Signature> {
        Some(Signature::new("gemini", value))
    }

    #[test]
    fn a_plain_question_says_nothing_more() {
        let request = ChatRequest::new([Message::system("Be brief."), Message::user("Hi")]);
        let (body, dropped) = written(&request, "gemini-2.5-flash");
        assert_eq!(
            body,
            json!({
                "systemInstruction": {"parts": [{"text": "Be brief."}]},
                "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
            })
        );
        assert!(dropped.is_empty());
    }

    #[test]
    fn a_turn_with_signatures_goes_back_as_it_came() {
        let mut first = ToolCall::new("g1", "add", "{\"a\":1}");
        first.signature = mark("s1");
        let second = ToolCall::new("g2", "now", "");
        let code = json!({"executableCode": {"code": "1"}, "thoughtSignature": "s2"});
        let empty = Text { signature: mark("s3"), ..Text::default() };
        let request = ChatRequest::new([
            Message::user("1+1?"),
            Message::new(
                Role::Assistant,
                [
                    Part::Reasoning(Reasoning::new("unsigned")),
                    Part::Reasoning(Reasoning { text: "hm".into(), signature: mark("s0") }),
                    Part::Opaque(Opaque::new("gemini", code.clone())),
                    Part::ToolCall(first.clone()),
                    Part::ToolCall(second.clone()),
                    Part::Text(empty),
                    Part::text(""),
                ],
            ),
            Message::tool_results([
                ToolResult::error(&second, "broken"),
                ToolResult::new(&first, "{\"sum\":2}"),
            ]),
        ]);
        let (body, dropped) = written(&request, "gemini-3-pro");
        assert_eq!(
            body["contents"],
            json!([
                {"role": "user", "parts": [{"text": "1+1?"}]},
                {"role": "model", "parts": [
                    {"text": "hm", "thought": true, "thoughtSignature": "s0"},
                    code,
                    {"functionCall": {"name": "add", "args": {"a": 1}, "id": "g1"}, "thoughtSignature": "s1"},
                    {"functionCall": {"name": "now", "args": {}, "id": "g2"}},
                    {"text": "", "thoughtSignature": "s3"},
                ]},
                {"role": "user", "parts": [
                    {"functionResponse": {"name": "add", "response": {"output": {"sum": 2}}, "id": "g1"}},
                    {"functionResponse": {"name": "now", "response": {"error": "broken"}, "id": "g2"}},
                ]},
            ])
        );
        assert_eq!(dropped, ["messages[1].content[0]"]);
    }

    #[test]
    fn calls_of_others_are_taken_over() {
        let mut call = ToolCall::new("toolu_1", "add", "not json");
        call.signature = Some(Signature::new("anthropic", "x"));
        let request = ChatRequest::new([
            Message::new(Role::Assistant, [Part::ToolCall(call.clone())]),
            Message::tool_results([ToolResult::new(&call, "2")]),
        ]);
        let contents = |model| written(&request, model).0["contents"].clone();
        let function = json!({"name": "add", "args": {"arguments": "not json"}});
        let result = json!({"functionResponse": {"name": "add", "response": {"output": "2"}}});
        let expected = |call: Value| {
            json!([
                {"role": "user", "parts": [{"text": "(…)"}]},
                {"role": "model", "parts": [call]},
                {"role": "user", "parts": [result]},
            ])
        };
        let signed = json!({"functionCall": function, "thoughtSignature": FOREIGN});
        assert_eq!(contents("gemini-3-pro"), expected(signed));
        assert_eq!(contents("gemini-2.5-pro"), expected(json!({"functionCall": function})));
    }

    #[test]
    fn media_are_written_by_kind() {
        let content = [
            Part::Media(Media::image_url("https://a/b.png")),
            Part::Media(Media::bytes("audio/mpeg", &b"abc"[..])),
        ];
        let request = Message::new(Role::User, content).into();
        assert_eq!(
            written(&request, "m").0["contents"][0]["parts"],
            json!([
                {"fileData": {"fileUri": "https://a/b.png"}},
                {"inlineData": {"mimeType": "audio/mpeg", "data": "YWJj"}},
            ])
        );
    }

    #[test]
    fn options_have_the_names_of_the_reference() {
        let number = ParameterSchema::object([ParameterSchema::new("n", "integer", "A number.")]);
        let tools = [
            Tool::declared("add", "Adds.", number).unwrap(),
            Tool::declared("now", "Tells the time.", ParameterSchema::object([])).unwrap(),
        ];
        let schema =
            json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
        let format =
            ResponseFormat::Schema { name: "sum".into(), schema: Schema::from(schema.clone()) };
        let mut request = ChatRequest::from("Hi")
            .tools(tools)
            .tool_choice(ToolChoice::Tool("add".into()))
            .parallel_tool_calls(false)
            .temperature(0.5)
            .top_p(0.9)
            .max_tokens(9)
            .seed(7)
            .reasoning_effort("low")
            .response_format(format);
        request.stop = vec!["END".into()];
        request.extra.insert("cachedContent".into(), "c".into());
        let (mut body, dropped) = written(&request, "gemini-2.5-flash");
        body.as_object_mut().unwrap().remove("contents");
        assert_eq!(
            body,
            json!({
                "tools": [{"functionDeclarations": [
                    {"name": "add", "description": "Adds.", "parameters": {
                        "type": "object",
                        "properties": {"n": {"type": "integer", "description": "A number."}},
                        "required": ["n"],
                    }},
                    {"name": "now", "description": "Tells the time."},
                ]}],
                "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["add"]}},
                "generationConfig": {
                    "temperature": 0.5,
                    "topP": 0.9,
                    "maxOutputTokens": 9,
                    "stopSequences": ["END"],
                    "seed": 7,
                    "responseMimeType": "application/json",
                    "responseSchema": schema,
                    "thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": true},
                },
                "cachedContent": "c",
            })
        );
        assert_eq!(dropped, ["parallel_tool_calls"]);
    }
}
