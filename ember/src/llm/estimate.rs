use super::chat::{ChatRequest, ResponseFormat};
use super::message::{Media, MediaSource, Message, Part};
use super::tool::Tool;
use crate::base::tokens::{Estimate, TokenCounter};

/// What a message costs beside its text: its role, and the marks around it (OpenAI Cookbook, "How to
/// count tokens with tiktoken": three, and one for the role).
const PER_MESSAGE: u64 = 4;

/// What a tool costs beside its name, description and schema: the declaration that these are put into.
const PER_TOOL: u64 = 8;

/// What an image costs, about: one of 1,024 by 1,024 points at OpenAI, 85 and 170 for each of its four
/// tiles of 512. Most providers scale larger ones down to something alike.
const PER_IMAGE: u64 = 765;

/// How many bytes of a document or a recording are taken to be one token.
const BYTES_A_TOKEN: u64 = 64;

impl Message {
    /// Estimates how many tokens the message has.
    pub fn estimate_tokens(&self) -> u64 {
        self.count_tokens(&Estimate, None)
    }

    /// Counts how many tokens the message has for a model. Of images, sounds and documents, which no
    /// counter of texts knows, it is an estimate.
    pub fn count_tokens(&self, counter: &dyn TokenCounter, model: Option<&str>) -> u64 {
        let count = |text: &str| counter.count(model, text);
        let parts = self.content.iter().map(|part| match part {
            Part::Text(text) => count(&text.text),
            Part::Reasoning(reasoning) => count(&reasoning.text),
            Part::Refusal(text) => count(text),
            Part::ToolCall(call) => count(&call.name).saturating_add(count(&call.arguments)),
            Part::ToolResult(result) => count(&result.content),
            Part::Media(media) => media_tokens(media),
            Part::Opaque(opaque) => count(&opaque.value.to_string()),
        });
        parts.fold(PER_MESSAGE, u64::saturating_add)
    }
}

impl ChatRequest {
    /// Estimates how many tokens the model has to read: the messages, the tools, and the schema of
    /// the answer.
    pub fn estimate_tokens(&self) -> u64 {
        self.count_tokens(&Estimate)
    }

    /// Counts how many tokens the model has to read.
    pub fn count_tokens(&self, counter: &dyn TokenCounter) -> u64 {
        let model = self.model.as_deref();
        let messages = self.messages.iter().map(|message| message.count_tokens(counter, model));
        let tools = self.tools.iter().map(|tool| tool_tokens(tool, counter, model));
        let format = match &self.response_format {
            ResponseFormat::Schema { schema, .. } | ResponseFormat::LooseSchema { schema, .. } => {
                counter.count(model, &schema.as_value().to_string())
            }
            _ => 0,
        };
        messages.chain(tools).fold(format, u64::saturating_add)
    }
}

/// What a tool costs: everything of it that a model reads.
fn tool_tokens(tool: &Tool, counter: &dyn TokenCounter, model: Option<&str>) -> u64 {
    let texts = [tool.name(), tool.description(), &tool.parameters().as_value().to_string()];
    texts.iter().map(|text| counter.count(model, text)).fold(PER_TOOL, u64::saturating_add)
}

fn media_tokens(media: &Media) -> u64 {
    match &media.source {
        _ if media.media_type.starts_with("image/") => PER_IMAGE,
        MediaSource::Bytes(bytes) => PER_IMAGE.max(bytes.len() as u64 / BYTES_A_TOKEN),
        MediaSource::Url(_) => PER_IMAGE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn everything_that_a_model_reads_is_counted() {
        let plain = ChatRequest::from("Hello");
        assert_eq!(plain.estimate_tokens(), 5);
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        let weather =
            Tool::declared("get_weather", "Returns the weather of a city.", schema).unwrap();
        let with_tool = plain.clone().tool(weather);
        assert!((30..60).contains(&with_tool.estimate_tokens()), "{}", with_tool.estimate_tokens());
        let image = Part::Media(Media::image_url("https://example.com/a.png"));
        assert_eq!(Message::new(super::super::Role::User, [image]).estimate_tokens(), 769);
        let pdf = Part::Media(Media::bytes("application/pdf", vec![0; 640_000]));
        assert_eq!(Message::new(super::super::Role::User, [pdf]).estimate_tokens(), 10_004);
    }

    #[test]
    fn a_counter_is_told_the_model() {
        struct ByModel;
        impl TokenCounter for ByModel {
            fn count(&self, model: Option<&str>, _: &str) -> u64 {
                if model == Some("small") { 1 } else { 100 }
            }
        }
        let request = ChatRequest::from("Hello");
        assert_eq!(request.count_tokens(&ByModel), 104);
        assert_eq!(request.model("small").count_tokens(&ByModel), 5);
    }
}
