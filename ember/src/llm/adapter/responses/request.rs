use crate::base::schema::Dialect;
use crate::llm::adapter::strict_tools;
use crate::llm::adapter::turns::{Placed, Turns, own, plain_id};
use crate::llm::adapter::{Body, Lent};
use crate::llm::chat::{ChatRequest, Dropped, ResponseFormat, ToolChoice};
use crate::llm::message::{
    Media, MediaSource, Message, Part, Reasoning, Role, Signature, Text, ToolCall,
};
use crate::llm::tool::Tool;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// How long the id of a call may be.
const ID_LIMIT: usize = 64;

/// Models that do not think, by the beginning of their names: they refuse to be asked for
/// encrypted thoughts.
const NEVER: &[&str] = &["gpt-4", "gpt-3.5", "chatgpt-"];

/// Writes the body of a request, and lists what it could not say.
pub(super) fn encode<'a>(
    provider: &'a str,
    request: &'a ChatRequest,
    model: &str,
    stream: bool,
) -> (Body<'a>, Vec<Dropped>) {
    let stored = request.extra.get("store").is_some_and(|store| store == true);
    let mut writer = Writer { provider, stored, items: Vec::new(), custom: HashSet::new() };
    let mut dropped = Vec::new();
    // Instructions come first, wherever they stand, and then the turns.
    let is_system = |message: &&Message| message.role == Role::System;
    let Turns { turns, dropped: left_out, unfit, .. } = Turns::of(&request.messages);
    for (index, message) in request.messages.iter().enumerate().filter(|(_, m)| is_system(m)) {
        for (part_index, part) in message.content.iter().enumerate() {
            match part {
                Part::Text(text) => writer.say("system", text_part("input_text", &text.text), None),
                _ => dropped.push(Dropped::new(
                    format!("messages[{index}].content[{part_index}]"),
                    "instructions are text",
                )),
            }
        }
    }
    dropped.extend(left_out);
    for turn in &turns {
        writer.end_message();
        for placed in &turn.parts {
            let what = &request.messages[placed.message].content;
            let rest = what.iter().enumerate().skip(placed.index + 1);
            let rest = rest.map(|(index, part)| (part, !unfit.contains(&(placed.message, index))));
            let outcome = match placed.part {
                Part::Reasoning(thought) if turn.assistant && writer.is_orphan(thought, rest) => {
                    Err("reasoning is taken back only with what it led to")
                }
                _ => writer.part(turn.assistant, placed),
            };
            if let Err(why) = outcome {
                dropped.push(placed.dropped(why));
            }
        }
    }
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("store".into(), false.into());
    if !stored && !NEVER.iter().any(|name| bare(model).starts_with(name)) {
        body.insert("include".into(), json!(["reasoning.encrypted_content"]));
    }
    options(request, &mut body, &mut dropped);
    if stream {
        body.insert("stream".into(), true.into());
    }
    body.extend(request.extra.clone());
    let mut lent = vec![("input", writer.finish())];
    if !request.tools.is_empty() {
        lent.push(("tools", request.tools.iter().map(Tool::responses_spec).collect()));
        dropped.extend(strict_tools::beyond_strict_mode(&request.tools));
    }
    (Body { members: body, lent }, dropped)
}

fn bare(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

struct Writer<'a> {
    provider: &'a str,
    /// Whether OpenAI keeps the answers, so that their thoughts are known by id.
    stored: bool,
    items: Vec<Item<'a>>,
    /// Calls of tools whose input is text.
    custom: HashSet<&'a str>,
}

enum Item<'a> {
    /// A message, to which parts of the same id may be added.
    Message {
        role: &'static str,
        members: Map<String, Value>,
        content: Vec<Lent<'a>>,
        open: bool,
    },
    Other(Value),
}

impl<'a> Writer<'a> {
    fn say(&mut self, role: &'static str, part: Lent<'a>, members: Option<Map<String, Value>>) {
        let members = members.unwrap_or_default();
        if let Some(Item::Message { role: last, members: known, content, open: true }) =
            self.items.last_mut()
            && *last == role
            && *known == members
        {
            content.push(part);
            return;
        }
        self.items.push(Item::Message { role, members, content: vec![part], open: true });
    }

    fn end_message(&mut self) {
        if let Some(Item::Message { open, .. }) = self.items.last_mut() {
            *open = false;
        }
    }

    fn part(&mut self, assistant: bool, placed: &Placed<'a>) -> Result<(), &'static str> {
        match placed.part {
            Part::Text(Text { text, .. }) if text.is_empty() => {}
            Part::Text(text) if assistant => {
                let members = self.members(text.signature.as_ref());
                let mut part = text_part("output_text", &text.text);
                // What says where another provider has read has another form.
                if let (Some(_), false, Lent::Object(part)) =
                    (&members, text.citations.is_empty(), &mut part)
                {
                    part.push(("annotations", text.citations.iter().collect()));
                }
                self.say("assistant", part, members);
            }
            Part::Text(text) => {
                self.say("user", text_part("input_text", &text.text), None);
            }
            Part::Refusal(text) if assistant => {
                // It stands in the message before it, as it came.
                let members = match self.items.last() {
                    Some(Item::Message { role: "assistant", members, open: true, .. }) => {
                        Some(members.clone())
                    }
                    _ => None,
                };
                let part = Lent::object([("type", "refusal".into()), ("refusal", text.into())]);
                self.say("assistant", part, members);
            }
            Part::Media(_) if assistant => return Err("an answer cannot hold media"),
            Part::Media(media) => self.say("user", media_part(media)?.into(), None),
            Part::Reasoning(reasoning) if assistant => {
                let members = self.members(reasoning.signature.as_ref());
                let usable = |members: &Map<String, Value>| {
                    self.stored || members.get("encrypted_content").is_some_and(Value::is_string)
                };
                let members = members
                    .filter(usable)
                    .ok_or("only encrypted reasoning of the provider itself is taken back")?;
                let summary = match reasoning.text.as_str() {
                    "" => json!([]),
                    text => json!([{"type": "summary_text", "text": text}]),
                };
                let mut item = json!({"type": "reasoning", "summary": summary});
                item.as_object_mut().into_iter().for_each(|item| item.extend(members.clone()));
                self.items.push(Item::Other(item));
            }
            Part::ToolCall(call) if assistant => self.call(call),
            Part::ToolResult(result) => {
                let custom = self.custom.contains(result.call_id.as_str());
                let kind = if custom { "custom_tool_call_output" } else { "function_call_output" };
                let id = plain_id(&result.call_id, ID_LIMIT);
                let item = json!({"type": kind, "call_id": id, "output": result.content});
                self.items.push(Item::Other(item));
            }
            Part::Opaque(opaque) if opaque.provider == self.provider => {
                self.items.push(Item::Other(opaque.value.clone()));
            }
            Part::Opaque(_) => return Err("only the provider it came from understands it"),
            _ => return Err("a user's message cannot hold such a part"),
        }
        Ok(())
    }

    /// Tells whether the item is missing that came next after a thought, which is refused without it
    /// ("reasoning was provided without its required following item"). OpenAI knows it by its id: a call that nothing has
    /// answered is not sent, a refusal has no id, and an answer that was cut while it thought holds nothing else.
    ///
    /// `rest` is what stands behind the thought in its message, and whether that is sent.
    fn is_orphan<'p>(
        &self,
        thought: &Reasoning,
        mut rest: impl Iterator<Item = (&'p Part, bool)>,
    ) -> bool {
        let has_id = |mark: Option<&Signature>| {
            self.members(mark)
                .is_some_and(|members| members.get("id").is_some_and(Value::is_string))
        };
        if !has_id(thought.signature.as_ref()) {
            return false;
        }
        let next = rest.find(|(part, _)| match part {
            Part::Reasoning(_) => false,
            Part::Text(text) => !text.text.is_empty(),
            _ => true,
        });
        let Some((next, true)) = next else { return true };
        !match next {
            Part::Text(text) => has_id(text.signature.as_ref()),
            Part::ToolCall(call) => has_id(call.signature.as_ref()),
            Part::Opaque(opaque) => {
                opaque.provider == self.provider && opaque.value["id"].is_string()
            }
            _ => false,
        }
    }

    fn call(&mut self, call: &'a ToolCall) {
        let members = self.members(call.signature.as_ref()).unwrap_or_default();
        let id = plain_id(&call.id, ID_LIMIT);
        let custom = members.get("type").is_some_and(|kind| kind == "custom_tool_call");
        let mut item = match custom {
            true => {
                self.custom.insert(&call.id);
                json!({"call_id": id, "name": call.name, "input": call.arguments})
            }
            false => {
                let empty = call.arguments.trim().is_empty();
                let arguments = if empty { "{}" } else { &call.arguments };
                json!({"type": "function_call", "call_id": id, "name": call.name, "arguments": arguments})
            }
        };
        item.as_object_mut().into_iter().for_each(|item| item.extend(members.clone()));
        self.items.push(Item::Other(item));
    }

    /// The members of an item that its mark keeps.
    fn members(&self, signature: Option<&Signature>) -> Option<Map<String, Value>> {
        serde_json::from_str(own(signature, self.provider)?).ok()
    }

    fn finish(self) -> Lent<'a> {
        let items = self.items.into_iter().map(|item| match item {
            Item::Other(item) => item.into(),
            Item::Message { role, members, content, .. } if members.is_empty() => Lent::object([
                ("type", "message".into()),
                ("role", role.into()),
                ("content", content.into()),
            ]),
            Item::Message { role, members, content, .. } => {
                let mut item = json!({"type": "message", "role": role, "content": content});
                item.as_object_mut().into_iter().for_each(|item| item.extend(members.clone()));
                item.into()
            }
        });
        items.collect()
    }
}

fn text_part<'a>(kind: &'static str, text: &'a str) -> Lent<'a> {
    Lent::object([("type", kind.into()), ("text", text.into())])
}

fn media_part(media: &Media) -> Result<Value, &'static str> {
    let kind = media.media_type.split('/').next().unwrap_or_default();
    let url = match &media.source {
        MediaSource::Url(url) => url.clone(),
        MediaSource::Bytes(bytes) => {
            format!("data:{};base64,{}", media.media_type, BASE64_STANDARD.encode(bytes))
        }
    };
    match (kind, &media.source) {
        ("audio" | "video", _) => Err("responses hear and watch nothing"),
        ("image", _) => Ok(json!({"type": "input_image", "detail": "auto", "image_url": url})),
        (_, MediaSource::Url(_)) => Ok(json!({"type": "input_file", "file_url": url})),
        (_, MediaSource::Bytes(_)) => {
            let extension = media.media_type.rsplit(['/', '.', '+']).next().unwrap_or_default();
            let name = format!("file.{extension}");
            Ok(json!({"type": "input_file", "filename": name, "file_data": url}))
        }
    }
}

/// Everything but the conversation.
fn options(request: &ChatRequest, body: &mut Map<String, Value>, dropped: &mut Vec<Dropped>) {
    let mut put = |name: &str, value: Option<Value>| {
        body.extend(value.map(|value| (name.to_owned(), value)));
    };
    let tools = !request.tools.is_empty();
    let choice = match &request.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some("none".into()),
        ToolChoice::Required => Some("required".into()),
        ToolChoice::Tool(name) => Some(json!({"type": "function", "name": name})),
    };
    put("tool_choice", choice.filter(|_| tools));
    let parallel = request.parallel_tool_calls.filter(|_| tools);
    put("parallel_tool_calls", parallel.map(Value::from));
    put("temperature", request.temperature.map(Value::from));
    put("top_p", request.top_p.map(Value::from));
    put("max_output_tokens", request.max_tokens.map(Value::from));
    let effort = request.reasoning_effort.as_ref();
    put("reasoning", effort.map(|effort| json!({"effort": effort})));
    let format = match &request.response_format {
        ResponseFormat::Text => None,
        ResponseFormat::Json => Some(json!({"type": "json_object"})),
        ResponseFormat::Schema { name, schema } => {
            let lowered = schema.lower(Dialect::OpenAiStrict);
            Some(json!({
                "type": "json_schema", "name": name,
                "schema": lowered.schema, "strict": lowered.strict,
            }))
        }
        ResponseFormat::LooseSchema { name, schema } => Some(json!({
            "type": "json_schema", "name": name, "schema": schema.as_value(), "strict": false,
        })),
    };
    put("text", format.map(|format| json!({"format": format})));
    if !request.stop.is_empty() {
        dropped.push(Dropped::new("stop", "responses do not stop at texts"));
    }
    if request.seed.is_some() {
        dropped.push(Dropped::new("seed", "choices cannot be made repeatable"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Schema;
    use crate::llm::message::{Opaque, ToolResult};
    use crate::llm::tool::ParameterSchema;

    fn written(request: &ChatRequest) -> (Value, Vec<String>) {
        let (body, dropped) = encode("openai-responses", request, "gpt-5", false);
        let body = serde_json::to_value(&body).unwrap();
        (body, dropped.into_iter().map(|dropped| dropped.what).collect())
    }

    fn mark(value: Value) -> Option<Signature> {
        Some(Signature::new("openai-responses", value.to_string()))
    }

    #[test]
    fn a_plain_question_says_nothing_more() {
        let request = ChatRequest::new([Message::system("Be brief."), Message::user("Hi")]);
        let (body, dropped) = written(&request);
        assert_eq!(
            body,
            json!({
                "model": "gpt-5",
                "input": [
                    {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be brief."}]},
                    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
                ],
                "store": false,
                "include": ["reasoning.encrypted_content"],
            })
        );
        assert!(dropped.is_empty());
        let body = encode("openai-responses", &request, "gpt-4o", true).0.members;
        assert_eq!((body.get("include"), &body["stream"]), (None, &json!(true)));
    }

    #[test]
    fn a_turn_goes_back_as_it_came() {
        let thought = Reasoning {
            text: "hm".into(),
            signature: mark(json!({"id": "rs_1", "encrypted_content": "e"})),
        };
        let mut call = ToolCall::new("call_1", "add", "{\"a\":1}");
        call.signature = mark(json!({"id": "fc_1"}));
        let mut custom = ToolCall::new("call_2", "run", "print(1)");
        custom.signature = mark(json!({"type": "custom_tool_call", "id": "ctc_1"}));
        let said = |text: &str| {
            Part::Text(Text {
                text: text.into(),
                signature: mark(json!({"id": "msg_1", "phase": "commentary"})),
                ..Text::default()
            })
        };
        let search = json!({"type": "web_search_call", "id": "ws_1", "status": "completed"});
        let request = ChatRequest::new([
            Message::user("1+1?"),
            Message::new(
                Role::Assistant,
                [
                    Part::Reasoning(thought),
                    Part::Opaque(Opaque::new("openai-responses", search.clone())),
                    said("a"),
                    said("b"),
                    Part::Refusal("No.".into()),
                    Part::text("c"),
                    Part::ToolCall(call.clone()),
                    Part::ToolCall(custom.clone()),
                ],
            ),
            Message::tool_results([ToolResult::new(&call, "2"), ToolResult::new(&custom, "1")]),
        ]);
        let (body, dropped) = written(&request);
        assert_eq!(
            body["input"],
            json!([
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "1+1?"}]},
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "id": "rs_1", "encrypted_content": "e"},
                search,
                {"type": "message", "role": "assistant", "id": "msg_1", "phase": "commentary", "content": [
                    {"type": "output_text", "text": "a"},
                    {"type": "output_text", "text": "b"},
                    {"type": "refusal", "refusal": "No."},
                ]},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "c"}]},
                {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": "{\"a\":1}", "id": "fc_1"},
                {"type": "custom_tool_call", "call_id": "call_2", "name": "run", "input": "print(1)", "id": "ctc_1"},
                {"type": "function_call_output", "call_id": "call_1", "output": "2"},
                {"type": "custom_tool_call_output", "call_id": "call_2", "output": "1"},
            ])
        );
        assert!(dropped.is_empty());
    }

    #[test]
    fn what_cannot_be_said_is_listed() {
        let by_id = mark(json!({"id": "rs_1"}));
        let thought = Part::Reasoning(Reasoning { text: "hm".into(), signature: by_id });
        let message = Message::new(
            Role::Assistant,
            [thought, Part::Opaque(Opaque::new("gemini", json!({}))), Part::text("Well")],
        );
        let mut request = ChatRequest::new([message]).seed(1);
        request.stop = vec!["END".into()];
        let (body, dropped) = written(&request);
        assert_eq!(body["input"].as_array().unwrap().len(), 1);
        let places = ["messages[0].content[0]", "messages[0].content[1]", "stop", "seed"];
        assert_eq!(dropped, places);
        // What OpenAI keeps is known by its id.
        let thought = Part::Reasoning(Reasoning {
            text: "hm".into(),
            signature: mark(json!({"id": "rs_1"})),
        });
        let signature = mark(json!({"id": "msg_1"}));
        let text = Part::Text(Text { text: "Well".into(), signature, ..Text::default() });
        request.messages = vec![Message::new(Role::Assistant, [thought, text])];
        request.extra.insert("store".into(), true.into());
        assert_eq!(written(&request).0["input"][0]["id"], "rs_1");
    }

    #[test]
    fn a_thought_does_not_go_back_without_what_it_led_to() {
        let thought = |id: &str| {
            let signature = mark(json!({"id": id, "encrypted_content": "e"}));
            Part::Reasoning(Reasoning { text: "hm".into(), signature })
        };
        let text = |id: Option<&str>| {
            let signature = id.and_then(|id| mark(json!({"id": id})));
            Part::Text(Text { text: "Well".into(), signature, ..Text::default() })
        };
        let call = |id: &str, truncated: bool| {
            let mut call = ToolCall::new(id, "add", "{}");
            (call.signature, call.truncated) = (mark(json!({"id": format!("fc_{id}")})), truncated);
            call
        };
        // What of the items is sent, by id, of an answer, and how many of its parts are listed.
        let sent = |content: Vec<Part>| {
            let results = content.iter().filter_map(|part| match part {
                Part::ToolCall(call) if call.id != "lost" => Some(ToolResult::new(call, "2")),
                _ => None,
            });
            let results = Message::tool_results(results.collect::<Vec<_>>());
            let answer = Message::new(Role::Assistant, content);
            let (body, dropped) = written(&ChatRequest::new([answer, results, Message::user("?")]));
            let ids = body["input"].as_array().unwrap().iter();
            let ids = ids.filter_map(|item| item["id"].as_str().map(str::to_owned));
            (ids.collect::<Vec<_>>().join(" "), dropped.len())
        };
        let sent = |content: Vec<Part>, ids: &str, lost: usize| {
            assert_eq!(sent(content.clone()), (ids.to_owned(), lost), "{content:?}");
        };
        let whole = call("c", false);
        sent(vec![thought("rs"), Part::ToolCall(whole.clone())], "rs fc_c", 0);
        sent(vec![thought("r1"), thought("r2"), text(Some("msg"))], "r1 r2 msg", 0);
        sent(vec![thought("rs"), Part::ToolCall(call("lost", false))], "", 2);
        // The limit was spent on thinking.
        sent(vec![thought("rs")], "", 1);
        sent(vec![thought("rs"), Part::Refusal("No.".into())], "", 1);
        sent(vec![thought("rs"), text(None)], "", 1);
        // What stands behind what is left out did not come of the first thought.
        let cut = vec![
            thought("r1"),
            Part::ToolCall(call("lost", true)),
            thought("r2"),
            Part::ToolCall(whole),
        ];
        sent(cut, "r2 fc_c", 2);
        let foreign = Part::Opaque(Opaque::new("gemini", json!({"id": "x"})));
        sent(vec![thought("rs"), foreign, text(Some("msg"))], "msg", 2);
    }

    #[test]
    fn media_are_written_by_kind() {
        let content = [
            Part::Media(Media::image_url("https://a/b.png")),
            Part::Media(Media::bytes("application/pdf", &b"abc"[..])),
            Part::Media(Media::bytes("audio/mpeg", &b"abc"[..])),
        ];
        let (body, dropped) = written(&Message::new(Role::User, content).into());
        assert_eq!(
            body["input"][0]["content"],
            json!([
                {"type": "input_image", "detail": "auto", "image_url": "https://a/b.png"},
                {"type": "input_file", "filename": "file.pdf", "file_data": "data:application/pdf;base64,YWJj"},
            ])
        );
        assert_eq!(dropped, ["messages[0].content[2]"]);
    }

    #[test]
    fn options_have_the_names_of_the_reference() {
        let tool = Tool::declared("add", "Adds.", ParameterSchema::object([])).unwrap();
        let schema = Schema::from(json!({"type": "string"}));
        let mut request = ChatRequest::from("Hi")
            .tool(tool)
            .tool_choice(ToolChoice::Tool("add".into()))
            .parallel_tool_calls(false)
            .temperature(0.5)
            .top_p(0.9)
            .max_tokens(9)
            .reasoning_effort("low")
            .response_format(ResponseFormat::Schema { name: "sum".into(), schema });
        request.extra.insert("truncation".into(), "auto".into());
        let (mut body, _) = written(&request);
        body.as_object_mut().unwrap().remove("input");
        assert_eq!(
            body,
            json!({
                "model": "gpt-5",
                "store": false,
                "include": ["reasoning.encrypted_content"],
                "tools": [{
                    "type": "function", "name": "add", "description": "Adds.", "strict": false,
                    "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": false},
                }],
                "tool_choice": {"type": "function", "name": "add"},
                "parallel_tool_calls": false,
                "temperature": 0.5,
                "top_p": 0.9,
                "max_output_tokens": 9,
                "reasoning": {"effort": "low"},
                "text": {"format": {"type": "json_schema", "name": "sum", "schema": {"type": "string"}, "strict": false}},
                "truncation": "auto",
            })
        );
    }
}
