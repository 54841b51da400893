use super::thinking;
use crate::base::schema::Dialect;
use crate::llm::adapter::strict_tools;
use crate::llm::adapter::turns::{Placed, Turns, own, plain_id};
use crate::llm::adapter::{Body, Lent};
use crate::llm::chat::{ChatRequest, Dropped, ResponseFormat, ToolChoice};
use crate::llm::message::{Media, MediaSource, Part, Text, ToolCall};
use crate::llm::tool::Tool;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Map, Value, json};

/// How long the id of a call may be.
const ID_LIMIT: usize = 64;

/// Writes the body of a request, and lists what it could not say.
pub(super) fn encode<'a>(
    provider: &str,
    request: &'a ChatRequest,
    model: &str,
    stream: bool,
) -> (Body<'a>, Vec<Dropped>) {
    let Turns { system, turns, mut dropped, .. } = Turns::of(&request.messages);
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    let system = system.iter().filter_map(|placed| match placed.part {
        Part::Text(text) if text.text.trim().is_empty() => None,
        Part::Text(text) => Some(json!({"type": "text", "text": text.text})),
        _ => {
            dropped.push(placed.dropped("instructions are text"));
            None
        }
    });
    let mut system: Vec<_> = system.collect();
    match &mut system[..] {
        [] => {}
        [only] => drop(body.insert("system".into(), only["text"].take())),
        _ => drop(body.insert("system".into(), system.into())),
    }
    let mut messages = Messages::default();
    for turn in &turns {
        for placed in &turn.parts {
            match block(provider, turn.assistant, placed) {
                Ok(block) => messages.push(turn.assistant, block),
                Err(why) => dropped.extend(why.map(|why| placed.dropped(why))),
            }
        }
    }
    let thinks = thinking::write(request, model, &mut body, &mut dropped);
    let sampling = match thinks {
        true => Err("a model that thinks takes none"),
        false if thinking::takes_sampling(model) => Ok(()),
        false => Err("the model chooses by itself"),
    };
    options(request, sampling, &mut body, &mut dropped);
    if stream {
        body.insert("stream".into(), true.into());
    }
    body.extend(request.extra.clone());
    let mut lent = vec![("messages", messages.finish())];
    if !request.tools.is_empty() {
        lent.push(("tools", request.tools.iter().map(Tool::anthropic_spec).collect()));
        dropped.extend(strict_tools::asked_for(&request.tools));
    }
    (Body { members: body, lent }, dropped)
}

/// Messages whose roles alternate.
#[derive(Default)]
struct Messages<'a>(Vec<(bool, Vec<Block<'a>>)>);

/// A part of a message.
enum Block<'a> {
    /// Text that says nothing of where it is from, as most of it.
    Text(&'a str),
    Other(Value),
}

impl<'a> Messages<'a> {
    fn push(&mut self, assistant: bool, block: Block<'a>) {
        match self.0.last_mut() {
            Some((role, blocks)) if *role == assistant => blocks.push(block),
            _ => self.0.push((assistant, vec![block])),
        }
    }

    fn finish(mut self) -> Lent<'a> {
        // The user speaks first; the beginning of a trimmed conversation may be the model's.
        if self.0.first().is_some_and(|(assistant, _)| *assistant) {
            self.0.insert(0, (false, vec![Block::Text("(…)")]));
        }
        // What the model is to go on with may not end in white space.
        if let Some((true, blocks)) = self.0.last_mut() {
            match blocks.last_mut() {
                Some(Block::Text(text)) => *text = text.trim_end(),
                Some(Block::Other(last)) if last["type"] == "text" => {
                    if let Some(text) = last["text"].as_str() {
                        last["text"] = text.trim_end().into();
                    }
                }
                _ => {}
            }
        }
        let messages = self.0.into_iter().map(|(assistant, blocks)| {
            let role = if assistant { "assistant" } else { "user" };
            let content = blocks.into_iter().map(Block::written);
            Lent::object([("role", role.into()), ("content", content.collect())])
        });
        messages.collect()
    }
}

impl<'a> Block<'a> {
    fn written(self) -> Lent<'a> {
        match self {
            Self::Text(text) => Lent::object([("type", "text".into()), ("text", text.into())]),
            Self::Other(value) => value.into(),
        }
    }
}

/// Writes a part, or says why it cannot be; nothing is said of parts that say nothing.
fn block<'a>(
    provider: &str,
    assistant: bool,
    placed: &Placed<'a>,
) -> Result<Block<'a>, Option<&'static str>> {
    let value = match placed.part {
        // Empty texts are refused.
        Part::Text(text) if text.text.trim().is_empty() => return Err(None),
        Part::Text(text) => return Ok(text_block(text, assistant)),
        Part::Refusal(text) => return Ok(Block::Text(text)),
        Part::Media(_) if assistant => return Err(Some("an answer cannot hold media")),
        Part::Media(media) => media_block(media)?,
        Part::Reasoning(reasoning) if assistant => {
            // Without its signature a thought is refused, and another's is none.
            let signature = own(reasoning.signature.as_ref(), provider)
                .ok_or(Some("only signed reasoning of the provider itself is taken back"))?;
            json!({"type": "thinking", "thinking": reasoning.text, "signature": signature})
        }
        Part::ToolCall(call) if assistant => call_block(provider, call),
        Part::ToolResult(result) => {
            let id = plain_id(&result.call_id, ID_LIMIT);
            let mut block = json!({"type": "tool_result", "tool_use_id": id});
            if !result.content.is_empty() {
                block["content"] = result.content.as_str().into();
            }
            if result.is_error {
                block["is_error"] = true.into();
            }
            block
        }
        Part::Opaque(opaque) if opaque.provider == provider => opaque.value.clone(),
        Part::Opaque(_) => return Err(Some("only the provider it came from understands it")),
        _ => return Err(Some("a user's message cannot hold such a part")),
    };
    Ok(Block::Other(value))
}

fn text_block(text: &Text, assistant: bool) -> Block<'_> {
    // Citations of other providers have other types.
    let ours = |citation: &&Value| {
        citation["type"].as_str().is_some_and(|kind| kind.ends_with("_location"))
    };
    let citations: Vec<_> = text.citations.iter().filter(ours).cloned().collect();
    match assistant && !citations.is_empty() {
        true => Block::Other(json!({"type": "text", "text": text.text, "citations": citations})),
        false => Block::Text(&text.text),
    }
}

fn call_block(provider: &str, call: &ToolCall) -> Value {
    // The input must be an object, whatever the model wrote.
    let input = call.parse().ok().filter(Value::is_object);
    let mut block = json!({
        "type": "tool_use",
        "id": plain_id(&call.id, ID_LIMIT),
        "name": call.name,
        "input": input.unwrap_or_else(|| json!({"arguments": call.arguments})),
    });
    let members = own(call.signature.as_ref(), provider).map(serde_json::from_str);
    if let (Some(Ok(Value::Object(members))), Value::Object(block)) = (members, &mut block) {
        // What says which call it is stays ours: the result names it by the same id.
        for (name, value) in members {
            block.entry(name).or_insert(value);
        }
    }
    block
}

fn media_block(media: &Media) -> Result<Value, Option<&'static str>> {
    let is_image = media.media_type.starts_with("image/");
    let is_document =
        media.media_type == "application/pdf" || media.media_type.starts_with("text/");
    if !is_image && !is_document {
        return Err(Some("messages hold images and documents, and no other media"));
    }
    let source = match &media.source {
        MediaSource::Url(url) => json!({"type": "url", "url": url}),
        MediaSource::Bytes(bytes) if media.media_type.starts_with("text/") => {
            let text = String::from_utf8_lossy(bytes);
            json!({"type": "text", "media_type": "text/plain", "data": text})
        }
        MediaSource::Bytes(bytes) => json!({
            "type": "base64", "media_type": media.media_type, "data": BASE64_STANDARD.encode(bytes),
        }),
    };
    Ok(json!({"type": if is_image { "image" } else { "document" }, "source": source}))
}

/// Everything but the conversation. `sampling` says why the request may not say how words are chosen, if so.
fn options(
    request: &ChatRequest,
    sampling: Result<(), &'static str>,
    body: &mut Map<String, Value>,
    dropped: &mut Vec<Dropped>,
) {
    let mut drop = |what: &str, why: &str| dropped.push(Dropped::new(what, why));
    if !request.tools.is_empty() {
        let mut choice = match &request.tool_choice {
            ToolChoice::Auto => json!({"type": "auto"}),
            ToolChoice::None => json!({"type": "none"}),
            ToolChoice::Required => json!({"type": "any"}),
            ToolChoice::Tool(name) => json!({"type": "tool", "name": name}),
        };
        let alone = request.parallel_tool_calls == Some(false);
        if alone && request.tool_choice != ToolChoice::None {
            choice["disable_parallel_tool_use"] = true.into();
        }
        if alone || request.tool_choice != ToolChoice::Auto {
            body.insert("tool_choice".into(), choice);
        }
    }
    match (request.temperature, sampling) {
        (Some(_), Err(why)) => drop("temperature", why),
        (Some(temperature), Ok(())) => {
            if temperature > 1.0 {
                drop("temperature", "the highest is 1, which is used");
            }
            body.insert("temperature".into(), temperature.min(1.0).into());
        }
        (None, _) => {}
    }
    match (request.top_p, request.temperature, sampling) {
        (Some(_), _, Err(why)) => drop("top_p", why),
        (Some(_), Some(_), Ok(())) => {
            drop("top_p", "newer models take either a temperature or this");
        }
        (Some(top_p), None, Ok(())) => {
            body.insert("top_p".into(), top_p.into());
        }
        (None, ..) => {}
    }
    if !request.stop.is_empty() {
        body.insert("stop_sequences".into(), request.stop.as_slice().into());
    }
    if request.seed.is_some() {
        drop("seed", "choices cannot be made repeatable");
    }
    match &request.response_format {
        ResponseFormat::Text => {}
        ResponseFormat::Json => drop("response_format", "JSON is only written by a schema"),
        ResponseFormat::LooseSchema { .. } => {
            drop("response_format", "a schema is enforced, or not given at all");
        }
        ResponseFormat::Schema { schema, .. } => {
            let lowered = schema.lower(Dialect::AnthropicStrict);
            match lowered.strict {
                true => {
                    let format = json!({"type": "json_schema", "schema": lowered.schema});
                    let config = body.entry("output_config").or_insert_with(|| json!({}));
                    config["format"] = format;
                }
                false => drop("response_format", "the schema says what cannot be enforced"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Schema;
    use crate::llm::message::{Message, Opaque, Reasoning, Role, Signature, ToolResult};
    use crate::llm::tool::ParameterSchema;

    fn written(request: &ChatRequest) -> (Value, Vec<String>) {
        let (body, dropped) = encode("anthropic", request, "claude-x", false);
        let body = serde_json::to_value(&body).unwrap();
        (body, dropped.into_iter().map(|dropped| dropped.what).collect())
    }

    #[test]
    fn a_plain_question_says_nothing_more() {
        let request = ChatRequest::new([Message::system("Be brief."), Message::user("Hi")]);
        let (body, dropped) = written(&request);
        assert_eq!(
            body,
            json!({
                "model": "claude-x",
                "max_tokens": 8192,
                "system": "Be brief.",
                "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
            })
        );
        assert!(dropped.is_empty());
        assert_eq!(encode("anthropic", &request, "m", true).0.members["stream"], true);
    }

    #[test]
    fn a_turn_with_thoughts_and_tools_goes_back_as_it_came() {
        let mark = |value: &str| Some(Signature::new("anthropic", value));
        let mut call = ToolCall::new("toolu_1", "add", "{\"a\":1}");
        call.signature = mark(r#"{"caller":{"type":"code"}}"#);
        let other = ToolCall::new("functions.now:1", "now", "");
        let redacted = json!({"type": "redacted_thinking", "data": "x"});
        let mut failed = ToolResult::new(&other, "");
        failed.is_error = true;
        let request = ChatRequest::new([
            Message::user("1+1?"),
            Message::new(
                Role::Assistant,
                [
                    Part::Reasoning(Reasoning { text: "hm".into(), signature: mark("s") }),
                    Part::Opaque(Opaque::new("anthropic", redacted.clone())),
                    Part::text("Let me see."),
                    Part::ToolCall(call.clone()),
                    Part::ToolCall(other),
                ],
            ),
            Message::tool_results([failed, ToolResult::new(&call, "2")]),
            Message::user("Well?"),
        ]);
        let (body, dropped) = written(&request);
        let plain = plain_id("functions.now:1", ID_LIMIT);
        assert_eq!(
            body["messages"],
            json!([
                {"role": "user", "content": [{"type": "text", "text": "1+1?"}]},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    redacted,
                    {"type": "text", "text": "Let me see."},
                    {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}, "caller": {"type": "code"}},
                    {"type": "tool_use", "id": plain, "name": "now", "input": {}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "2"},
                    {"type": "tool_result", "tool_use_id": plain, "is_error": true},
                    {"type": "text", "text": "Well?"},
                ]},
            ])
        );
        assert!(dropped.is_empty());
    }

    #[test]
    fn media_are_written_by_kind() {
        let content = [
            Part::Media(Media::image_url("https://a/b.png")),
            Part::Media(Media::bytes("image/png", &b"abc"[..])),
            Part::Media(Media::bytes("application/pdf", &b"abc"[..])),
            Part::Media(Media::bytes("text/markdown", &b"abc"[..])),
            Part::Media(Media::bytes("audio/mpeg", &b"abc"[..])),
        ];
        let (body, dropped) = written(&Message::new(Role::User, content).into());
        assert_eq!(
            body["messages"][0]["content"],
            json!([
                {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "YWJj"}},
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "YWJj"}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "abc"}},
            ])
        );
        assert_eq!(dropped, ["messages[0].content[4]"]);
    }

    #[test]
    fn what_cannot_be_said_is_listed() {
        let foreign = Signature::new("gemini", "s");
        let content = [
            Part::Reasoning(Reasoning { text: "hm".into(), signature: Some(foreign) }),
            Part::Opaque(Opaque::new("gemini", json!({}))),
            Part::text("Well "),
        ];
        let mut request = ChatRequest::from(Message::new(Role::Assistant, content)).seed(1);
        request = request.temperature(1.5).top_p(0.5).response_format(ResponseFormat::Json);
        let (body, dropped) = written(&request);
        assert_eq!(
            body["messages"],
            json!([
                {"role": "user", "content": [{"type": "text", "text": "(…)"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "Well"}]},
            ])
        );
        assert_eq!(body["temperature"], 1.0);
        let message = ["messages[0].content[0]", "messages[0].content[1]"];
        let options = ["temperature", "top_p", "seed", "response_format"];
        assert_eq!(dropped, [&message[..], &options[..]].concat());
    }

    #[test]
    fn a_model_that_chooses_by_itself_is_not_told_how() {
        let request = || ChatRequest::from("Hi").temperature(0.5).top_p(0.9);
        let sampled = |model: &str, request: ChatRequest| {
            let (body, dropped) = encode("anthropic", &request, model, false);
            let members = ["temperature", "top_p"].map(|name| body.members.contains_key(name));
            (members, dropped.len())
        };
        for model in ["claude-fable-5", "claude-mythos-5-1", "claude-opus-4-7", "claude-haiku-5-5"]
        {
            assert_eq!(sampled(model, request()), ([false, false], 2), "{model}");
            assert_eq!(sampled(model, request().reasoning_effort("none")), ([false, false], 2));
        }
        for model in ["claude-opus-4-6", "claude-sonnet-4-6", "claude-haiku-4-5"] {
            assert_eq!(sampled(model, request()), ([true, false], 1), "{model}");
            assert_eq!(sampled(model, request().reasoning_effort("high")), ([false, false], 2));
        }
    }

    #[test]
    fn options_have_the_names_of_the_reference() {
        let tool = Tool::declared("add", "Adds.", ParameterSchema::object([])).unwrap();
        let schema =
            json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
        let format = ResponseFormat::Schema { name: "sum".into(), schema: Schema::from(schema) };
        let mut request = ChatRequest::from("Hi")
            .tool(tool)
            .tool_choice(ToolChoice::Tool("add".into()))
            .parallel_tool_calls(false)
            .temperature(0.5)
            .max_tokens(9)
            .response_format(format);
        request.stop = vec!["END".into()];
        request.extra.insert("service_tier".into(), "auto".into());
        let (mut body, dropped) = written(&request);
        body.as_object_mut().unwrap().remove("messages");
        assert_eq!(
            body,
            json!({
                "model": "claude-x",
                "max_tokens": 9,
                "tools": [{"name": "add", "description": "Adds.", "input_schema": {
                    "type": "object", "properties": {}, "required": [], "additionalProperties": false,
                }}],
                "tool_choice": {"type": "tool", "name": "add", "disable_parallel_tool_use": true},
                "temperature": 0.5,
                "stop_sequences": ["END"],
                "output_config": {"format": {"type": "json_schema", "schema": {
                    "type": "object", "properties": {"n": {"type": "integer"}},
                    "required": ["n"], "additionalProperties": false,
                }}},
                "service_tier": "auto",
            })
        );
        assert!(dropped.is_empty());
    }
}
