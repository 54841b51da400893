use super::signature::Signature;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A call of a tool, as the model made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolCall {
    /// What the result refers to.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// The arguments: JSON as the model wrote it, which may be wrong or cut off.
    pub arguments: String,
    /// Whether the turn ended before the call was complete. Such a call never runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// The provider's mark on this part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

impl ToolCall {
    /// A complete call. The arguments are an object in JSON.
    pub fn new(
        id: impl Into<String>,
        name: impl Into<String>,
        arguments: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            arguments: arguments.into(),
            truncated: false,
            signature: None,
        }
    }

    /// Parses the arguments. Nothing at all stands for an empty object.
    ///
    /// # Errors
    /// When the model wrote no JSON.
    pub fn parse(&self) -> serde_json::Result<Value> {
        match self.arguments.trim() {
            "" => Ok(Value::Object(serde_json::Map::new())),
            text => serde_json::from_str(text),
        }
    }
}

/// What a tool answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolResult {
    /// The id of the call.
    pub call_id: String,
    /// Which tool.
    pub name: String,
    /// What the model reads: text, usually JSON.
    pub content: String,
    /// Whether it tells of a failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_error: bool,
}

impl ToolResult {
    /// The answer to a call.
    pub fn new(call: &ToolCall, content: impl Into<String>) -> Self {
        Self {
            call_id: call.id.clone(),
            name: call.name.clone(),
            content: content.into(),
            is_error: false,
        }
    }

    /// The failure of a call, for the model to read.
    pub fn error(call: &ToolCall, content: impl Into<String>) -> Self {
        Self { is_error: true, ..Self::new(call, content) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn empty_arguments_are_an_empty_object() {
        assert_eq!(ToolCall::new("1", "f", " ").parse().unwrap(), json!({}));
        assert!(ToolCall::new("1", "f", "{\"a\":").parse().is_err());
    }
}
