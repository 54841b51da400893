use super::dialect::StreamDialect;
use super::token_stream::Suggested;
use crate::base::constant_json::constant_json;
use crate::base::{Error, Schema};
use crate::llm::{Media, MediaSource, Message, Part, Role, ToolCall, ToolResult};
use crate::web::extract::FromRequest;
use crate::web::operation::Content;
use crate::web::{Json, Operation, Request};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

/// The body that `useChat` of the AI SDK sends: `{id, messages, trigger, messageId}`.
///
/// The answer is written as [`StreamDialect::UiMessages`], unless the handler, the route or the
/// request says otherwise.
///
/// Without a conversation the page is believed: its messages are what was said so far. Texts,
/// files (by address or as a `data:` URL) and calls of tools with their results are taken over.
/// Reasoning, sources, data parts and calls without a result are not: no provider takes them back
/// from a page. Instructions are the server's to give, so a message of the role `system` is refused.
/// An address of a file is handed to the provider, which fetches it: what the provider can reach, a page can
/// have it look at.
///
/// ```
/// use ember::ai::UiMessages;
/// use ember::prelude::*;
///
/// #[ai_route("/api/chat")]
/// async fn chat(client: Client, messages: UiMessages) -> ember::Result<TokenStream> {
///     Ok(client.stream(messages.into_messages()).await?.into())
/// }
/// ```
///
/// With a [`ConversationContext`](super::ConversationContext) the conversation remembers what was
/// said, and only the last message counts (see [`IntoQuestion`](super::IntoQuestion)). The page
/// names the conversation: `new DefaultChatTransport({api, headers: {'x-conversation-id': id}})`.
///
/// ```
/// # use ember::ai::UiMessages;
/// # use ember::prelude::*;
/// #[ai_route("/api/chat")]
/// async fn chat(conversation: ConversationContext, messages: UiMessages) -> ember::Result<TokenStream> {
///     conversation.stream(messages).await
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct UiMessages {
    /// What the page calls the chat.
    pub id: Option<String>,
    /// What the page wants.
    pub trigger: UiTrigger,
    /// Which message is to be replaced, where one is: an answer, or a question that was changed.
    pub message_id: Option<String>,
    messages: Vec<Message>,
}

/// What a page wants when it sends its messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub enum UiTrigger {
    /// An answer to the last message.
    #[default]
    #[serde(rename = "submit-message")]
    Submit,
    /// Another answer in place of the one there was.
    #[serde(rename = "regenerate-message")]
    Regenerate,
}

impl UiMessages {
    /// The messages.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The messages, to ask a model with them.
    pub fn into_messages(self) -> Vec<Message> {
        self.messages
    }
}

impl FromRequest for UiMessages {
    async fn from_request(request: Request) -> Result<Self, Error> {
        Suggested::suggest(&request, StreamDialect::UiMessages);
        let Json(body) = Json::<Body>::from_request(request).await?;
        Self::try_from(body)
    }

    fn describe(operation: &mut Operation) {
        operation.body(Content::new("application/json", schema())).problems();
    }
}

/// What of a request is looked at.
fn schema() -> Schema {
    Schema::from(constant_json!({
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "trigger": {"enum": ["submit-message", "regenerate-message"]},
            "messageId": {"type": "string"},
            "messages": {"type": "array", "minItems": 1, "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "role": {"enum": ["user", "assistant"]},
                    "parts": {"type": "array", "items": {
                        "type": "object",
                        "properties": {"type": {"type": "string"}, "text": {"type": "string"}},
                        "required": ["type"]
                    }}
                },
                "required": ["role", "parts"]
            }}
        },
        "required": ["messages"]
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    id: Option<String>,
    messages: Vec<UiMessage>,
    #[serde(default)]
    trigger: UiTrigger,
    message_id: Option<String>,
}

#[derive(Deserialize)]
struct UiMessage {
    role: Role,
    parts: Vec<UiPart>,
}

/// A part of any type: types are told by a text, some of them by how it begins.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UiPart {
    r#type: String,
    text: Option<String>,
    url: Option<String>,
    media_type: Option<String>,
    tool_call_id: Option<String>,
    tool_name: Option<String>,
    input: Option<Value>,
    output: Option<Value>,
    error_text: Option<String>,
    state: Option<String>,
}

impl TryFrom<Body> for UiMessages {
    type Error = Error;

    fn try_from(body: Body) -> Result<Self, Error> {
        let mut messages = Vec::new();
        for (number, message) in body.messages.into_iter().enumerate() {
            let place = format!("/messages/{number}");
            match message.role {
                Role::User => messages.push(of_user(message, &place)?),
                Role::Assistant => of_assistant(message, &place, &mut messages)?,
                _ => {
                    let place = format!("{place}/role");
                    return Err(misfit(
                        &place,
                        "a page speaks for the user and shows answers, nothing else",
                    ));
                }
            }
        }
        if messages.is_empty() {
            return Err(misfit("/messages", "there is no message"));
        }
        let (id, trigger, message_id) = (body.id, body.trigger, body.message_id);
        Ok(Self { id, trigger, message_id, messages })
    }
}

fn misfit(place: &str, why: &str) -> Error {
    Error::unprocessable(format!("The JSON does not fit at {place}: {why}."))
        .with_member("pointer", place)
}

fn of_user(message: UiMessage, place: &str) -> Result<Message, Error> {
    let mut parts = Vec::new();
    for (number, part) in message.parts.into_iter().enumerate() {
        parts.extend(spoken(part, &format!("{place}/parts/{number}"))?);
    }
    if parts.is_empty() {
        return Err(misfit(&format!("{place}/parts"), "the user says nothing"));
    }
    Ok(Message::new(Role::User, parts))
}

/// A part that is said or shown; others leave nothing.
fn spoken(part: UiPart, place: &str) -> Result<Option<Part>, Error> {
    match part.r#type.as_str() {
        "text" => {
            let text = part.text.ok_or_else(|| misfit(place, "`text` is missing"))?;
            Ok((!text.is_empty()).then(|| Part::text(text)))
        }
        "file" => {
            let url = part.url.ok_or_else(|| misfit(place, "`url` is missing"))?;
            let media_type =
                part.media_type.ok_or_else(|| misfit(place, "`mediaType` is missing"))?;
            let source = source(&url).ok_or_else(|| {
                let why = "it must be an address of http or https, or a `data:` URL";
                misfit(&format!("{place}/url"), why)
            })?;
            let mut media = Media::bytes(media_type, "");
            media.source = source;
            Ok(Some(Part::Media(media)))
        }
        _ => Ok(None),
    }
}

/// Where the bytes of a file are; `None` where no provider could find them.
fn source(url: &str) -> Option<MediaSource> {
    let scheme = url.split_once(':')?.0.to_ascii_lowercase();
    match scheme.as_str() {
        "http" | "https" => Some(MediaSource::Url(url.to_owned())),
        "data" => {
            let (head, data) = url.get(5..)?.split_once(',')?;
            let bytes = match head.to_ascii_lowercase().ends_with(";base64") {
                true => BASE64_STANDARD.decode(data).ok()?,
                false => percent_decode_str(data).collect(),
            };
            Some(MediaSource::Bytes(bytes.into()))
        }
        _ => None,
    }
}

/// An answer, with the turns of the model and of its tools that led to it.
fn of_assistant(message: UiMessage, place: &str, messages: &mut Vec<Message>) -> Result<(), Error> {
    let (mut said, mut results) = (Vec::new(), Vec::new());
    for (number, part) in message.parts.into_iter().enumerate() {
        let place = format!("{place}/parts/{number}");
        let tool = match part.r#type.as_str() {
            "step-start" => {
                end_turn(&mut said, &mut results, messages);
                continue;
            }
            "dynamic-tool" => Some(
                part.tool_name.clone().ok_or_else(|| misfit(&place, "`toolName` is missing"))?,
            ),
            other => other.strip_prefix("tool-").map(str::to_owned),
        };
        match tool {
            Some(name) => {
                if let Some((call, result)) = answered(part, &name, &place)? {
                    said.push(Part::ToolCall(call));
                    results.push(result);
                }
            }
            None => {
                let part = spoken(part, &place)?;
                // What is said after a result is said in another turn, marked or not.
                if part.is_some() && !results.is_empty() {
                    end_turn(&mut said, &mut results, messages);
                }
                said.extend(part);
            }
        }
    }
    end_turn(&mut said, &mut results, messages);
    Ok(())
}

/// Ends a turn of the model: what it has said and called, and what its tools have answered.
fn end_turn(said: &mut Vec<Part>, results: &mut Vec<ToolResult>, messages: &mut Vec<Message>) {
    if !said.is_empty() {
        messages.push(Message::new(Role::Assistant, said.drain(..)));
    }
    if !results.is_empty() {
        messages.push(Message::tool_results(results.drain(..)));
    }
}

/// A call with its result, if it has one.
fn answered(
    part: UiPart,
    name: &str,
    place: &str,
) -> Result<Option<(ToolCall, ToolResult)>, Error> {
    let id = part.tool_call_id.ok_or_else(|| misfit(place, "`toolCallId` is missing"))?;
    let call = |input: Option<Value>| {
        let arguments = input.map_or_else(String::new, |input| input.to_string());
        ToolCall::new(id, name, arguments)
    };
    Ok(match part.state.as_deref() {
        Some("output-available") => {
            let call = call(part.input);
            let output = match part.output.unwrap_or_default() {
                Value::String(text) => text,
                value => value.to_string(),
            };
            let result = ToolResult::new(&call, output);
            Some((call, result))
        }
        Some("output-error") => {
            // Arguments that are no object came from a call that was never whole.
            let call = call(part.input.filter(Value::is_object));
            let why = part.error_text.unwrap_or_else(|| "The tool failed.".to_owned());
            let result = ToolResult::error(&call, why);
            Some((call, result))
        }
        Some("output-denied") => {
            let call = call(part.input);
            let result = ToolResult::error(&call, "The user does not want this tool to run.");
            Some((call, result))
        }
        _ => None,
    })
}
