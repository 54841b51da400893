use super::document::Node;
use super::reader::At;
use crate::base::Error;
use crate::llm::{Media, Message, Part, Reasoning, Role, ToolCall, ToolResult};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use std::collections::HashMap;

/// Reads the conversation. Results of tools that follow each other become one message, as they
/// belong to one turn.
pub(super) fn read(messages: &At<'_>) -> Result<Vec<Message>, Error> {
    let mut read = Vec::new();
    let mut calls = HashMap::new();
    let mut results: Vec<ToolResult> = Vec::new();
    for message in messages.items()? {
        message.object()?;
        let role = message.need("role")?;
        let role_word = role.text()?;
        if role_word != "tool" && !results.is_empty() {
            read.push(Message::tool_results(std::mem::take(&mut results)));
        }
        match role_word {
            "system" | "developer" => {
                read.push(Message::new(Role::System, needed_content(&message, texts)?));
            }
            "user" => {
                let content = needed_content(&message, any_part)?;
                if content.is_empty() {
                    return Err(message.need("content")?.error("empty_array", "holds no part"));
                }
                read.push(Message::new(Role::User, content));
            }
            "assistant" => read.push(answer(&message, &mut calls)?),
            "tool" => results.push(result(&message, &calls)?),
            "function" => {
                let wrong =
                    "is `function`, which is deprecated: answer calls of `tools` with `tool`";
                return Err(role.error("unsupported_value", wrong));
            }
            _ => {
                let wrong = "must be `developer`, `system`, `user`, `assistant` or `tool`";
                return Err(role.error("invalid_value", wrong));
            }
        }
    }
    if !results.is_empty() {
        read.push(Message::tool_results(results));
    }
    match read.is_empty() {
        true => Err(messages.error("empty_array", "holds no message")),
        false => Ok(read),
    }
}

/// What a part may be depends on who speaks.
type ReadPart = fn(&At<'_>) -> Result<Part, Error>;

fn needed_content(message: &At<'_>, read: ReadPart) -> Result<Vec<Part>, Error> {
    content(&message.need("content")?, read)
}

/// A text, or an array of parts.
fn content(content: &At<'_>, read: ReadPart) -> Result<Vec<Part>, Error> {
    if let Some(text) = content.value.as_str() {
        return Ok(vec![Part::text(text)]);
    }
    if !matches!(content.value, Node::Array(_)) {
        return Err(content.wrong("a string or an array of parts"));
    }
    content.items()?.map(|part| read(&part)).collect()
}

/// A part where only text can stand.
fn texts(part: &At<'_>) -> Result<Part, Error> {
    let kind = part.need("type")?;
    match kind.text()? {
        "text" => Ok(Part::text(part.need("text")?.text()?)),
        _ => Err(kind.error("invalid_value", "must be `text` here")),
    }
}

/// A part of what the model has said.
fn said(part: &At<'_>) -> Result<Part, Error> {
    match part.need("type")?.value.as_str() {
        Some("refusal") => Ok(Part::Refusal(part.need("refusal")?.text()?.to_owned())),
        _ => texts(part),
    }
}

/// A part of what the user says.
fn any_part(part: &At<'_>) -> Result<Part, Error> {
    let kind = part.need("type")?;
    match kind.text()? {
        "text" => texts(part),
        "image_url" => {
            let image = part.need("image_url")?;
            image.object()?;
            let url = image.need("url")?;
            let text = url.text()?;
            if text.starts_with("https://") || text.starts_with("http://") {
                return Ok(Part::Media(Media::image_url(text)));
            }
            data_url(&url, "image/").map(Part::Media)
        }
        "input_audio" => {
            let audio = part.need("input_audio")?;
            let (format, data) = (audio.need("format")?, audio.need("data")?);
            let media_type = match format.text()? {
                "wav" => "audio/wav",
                "mp3" => "audio/mpeg",
                _ => return Err(format.error("invalid_value", "must be `wav` or `mp3`")),
            };
            Ok(Part::Media(Media::bytes(media_type, base64(&data, data.text()?)?)))
        }
        "file" => {
            let file = part.need("file")?;
            if let Some(id) = file.get("file_id") {
                let wrong =
                    "names a file that was uploaded, and nothing is kept here; send `file_data`";
                return Err(id.error("unsupported_value", wrong));
            }
            data_url(&file.need("file_data")?, "").map(Part::Media)
        }
        _ => {
            let wrong = "must be `text`, `image_url`, `input_audio` or `file`";
            Err(kind.error("invalid_value", wrong))
        }
    }
}

/// `data:image/png;base64,…` (RFC 2397), of media types that begin so.
fn data_url(url: &At<'_>, begins: &str) -> Result<Media, Error> {
    let parsed = url.text()?.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match parsed {
        Some((media_type, data)) if media_type.contains('/') && media_type.starts_with(begins) => {
            // Parameters of the media type say nothing that a model could use.
            let media_type = media_type.split(';').next().unwrap_or(media_type);
            Ok(Media::bytes(media_type, base64(url, data)?))
        }
        _ if begins.is_empty() => {
            Err(url.error("invalid_value", "must be a URL of the form `data:TYPE;base64,DATA`"))
        }
        _ => {
            let wrong =
                "must be a URL of http or https, or of the form `data:image/TYPE;base64,DATA`";
            Err(url.error("invalid_value", wrong))
        }
    }
}

fn base64(place: &At<'_>, data: &str) -> Result<Vec<u8>, Error> {
    BASE64_STANDARD.decode(data).map_err(|_| place.error("invalid_value", "is not valid base64"))
}

/// A turn of the model, with the calls whose results may follow.
fn answer(message: &At<'_>, calls: &mut HashMap<String, ToolCall>) -> Result<Message, Error> {
    let mut parts = Vec::new();
    if let Some(reasoning) = message.get("reasoning_content") {
        parts.push(Part::Reasoning(Reasoning::new(reasoning.text()?)));
    }
    if let Some(text) = message.get("content") {
        parts.extend(content(&text, said)?);
    }
    if let Some(refusal) = message.get("refusal") {
        parts.push(Part::Refusal(refusal.text()?.to_owned()));
    }
    if let Some(listed) = message.get("tool_calls") {
        for listed in listed.items()? {
            let call = call(&listed)?;
            calls.insert(call.id.clone(), call.clone());
            parts.push(Part::ToolCall(call));
        }
    }
    if let Some(call) = message.get("function_call") {
        return Err(call.error("unsupported_parameter", "is deprecated: use `tool_calls`"));
    }
    match parts.is_empty() {
        true => Err(message.error("missing_required_parameter", "has neither content nor calls")),
        false => Ok(Message::new(Role::Assistant, parts)),
    }
}

fn call(listed: &At<'_>) -> Result<ToolCall, Error> {
    if let Some(kind) = listed.get("type")
        && kind.text()? != "function"
    {
        return Err(kind.error("unsupported_value", "must be `function`"));
    }
    let function = listed.need("function")?;
    let (name, arguments) = (function.need("name")?.text()?, function.need("arguments")?.text()?);
    Ok(ToolCall::new(listed.need("id")?.text()?, name, arguments))
}

/// What a tool of the caller has answered.
fn result(message: &At<'_>, calls: &HashMap<String, ToolCall>) -> Result<ToolResult, Error> {
    let id = message.need("tool_call_id")?;
    let call = calls.get(id.text()?).ok_or_else(|| {
        id.error("invalid_value", "is no call that an assistant message before this one has made")
    })?;
    let parts = needed_content(message, texts)?;
    Ok(ToolResult::new(call, Message::new(Role::Tool, parts).text()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::MediaSource;
    use serde_json::{Value, json};

    fn read_all(messages: Value) -> Result<Vec<Message>, Error> {
        let document = json!({"messages": messages});
        let document = Node::from(&document);
        read(&At::root(&document).get("messages").unwrap())
    }

    #[track_caller]
    fn check_refused(message: Value, param: &str, part: &str) {
        let error = read_all(json!([message])).unwrap_err();
        assert_eq!(error.members()["param"], param);
        assert!(error.message().contains(part), "{error}");
    }

    #[test]
    fn a_conversation_with_tools_is_read() {
        let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "add", "arguments": "{}"}});
        let messages = read_all(json!([
            {"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
            {"role": "user", "content": "1+1?", "name": "ada"},
            {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [call("a"), call("b")]},
            {"role": "tool", "tool_call_id": "a", "content": "2"},
            {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "3"}]},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        ]))
        .unwrap();
        assert_eq!(messages.len(), 5);
        assert_eq!((messages[0].role, messages[0].text()), (Role::System, "Be brief.".into()));
        assert_eq!(messages[2].reasoning(), "hm");
        assert_eq!(messages[2].tool_calls().count(), 2);
        let results: Vec<_> = messages[3].content.iter().collect();
        let [Part::ToolResult(first), Part::ToolResult(second)] = results[..] else {
            panic!("{results:?}");
        };
        assert_eq!((&*first.name, &*first.content, &*second.content), ("add", "2", "3"));
        assert_eq!(messages[4].refusal().unwrap(), "No.");
    }

    #[test]
    fn images_recordings_and_files_are_read() {
        let messages = read_all(json!([{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
            {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
        ]}]))
        .unwrap();
        let media = messages[0].content.iter().map(|part| match part {
            Part::Media(Media { media_type, source: MediaSource::Bytes(bytes), .. }) => {
                assert_eq!(&bytes[..], b"ABC");
                media_type.as_str()
            }
            Part::Media(Media { source: MediaSource::Url(url), .. }) => url.as_str(),
            other => panic!("{other:?}"),
        });
        let expected = ["https://x/y.png", "image/png", "audio/mpeg", "application/pdf"];
        assert_eq!(media.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        let image = |url: &str| json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]});
        let url = "messages[0].content[0].image_url.url";
        check_refused(image("file:///etc/passwd"), url, "must be a URL of http");
        check_refused(image("data:image/png;base64,!"), url, "not valid base64");
        check_refused(image("data:text/html;base64,QUJD"), url, "must be a URL of http");
        check_refused(json!({"role": "robot"}), "messages[0].role", "must be `developer`");
        check_refused(json!({"role": "user"}), "messages[0].content", "is missing");
        check_refused(json!({"role": "user", "content": 7}), "messages[0].content", "is a number");
        check_refused(json!({"role": "assistant"}), "messages[0]", "neither content nor calls");
        let lost = json!({"role": "tool", "tool_call_id": "x", "content": ""});
        check_refused(lost, "messages[0].tool_call_id", "is no call");
        assert!(read_all(json!([])).unwrap_err().message().contains("no message"));
    }
}
