use crate::llm::catalog::Capability;
use crate::llm::chat::{ChatRequest, ResponseFormat, ToolChoice};
use crate::llm::message::Part;

/// What a request asks of a model, as far as it can be read from the request.
#[derive(Debug, Clone)]
pub(super) struct Needs {
    pub(super) capabilities: Vec<Capability>,
    /// All that the model reads, tools and schema included, by estimate, in tokens.
    pub(super) prompt: u64,
    /// The answer: the request's limit, where it has one.
    pub(super) answer: Option<u64>,
    /// Whether a tool must be called.
    pub(super) forces_tool: bool,
}

impl Needs {
    pub(super) fn of(request: &ChatRequest) -> Self {
        let mut capabilities = Vec::new();
        if !request.tools.is_empty() {
            capabilities.push(Capability::Tools);
        }
        if matches!(request.response_format, ResponseFormat::Schema { .. }) {
            capabilities.push(Capability::JsonSchema);
        }
        let is_image = |part: &Part| matches!(part, Part::Media(media) if media.media_type.starts_with("image/"));
        if request.messages.iter().any(|message| message.content.iter().any(is_image)) {
            capabilities.push(Capability::Vision);
        }
        if request.reasoning_effort.as_deref().is_some_and(|effort| effort != "none") {
            capabilities.push(Capability::Reasoning);
        }
        let prompt = request.estimate_tokens();
        let forces_tool = matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Tool(_));
        Self { capabilities, prompt, answer: request.max_tokens, forces_tool }
    }
}
