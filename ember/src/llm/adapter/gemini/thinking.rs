//! How much a model should think, in the words that its generation understands.

use crate::llm::chat::{ChatRequest, Dropped};
use serde_json::{Value, json};

/// Generations that think by a level; older ones want a budget of tokens, or do not think.
fn levels(model: &str) -> bool {
    !is_older(model) && !by_budget(model)
}

fn bare(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

fn by_budget(model: &str) -> bool {
    ["gemini-2.5", "gemini-robotics-er-1"].iter().any(|name| bare(model).starts_with(name))
}

fn is_older(model: &str) -> bool {
    let older = ["gemini-1", "gemini-2.0", "gemini-exp", "gemma", "learnlm"];
    older.iter().any(|name| bare(model).starts_with(name))
}

/// Tells whether a model insists on signatures of calls.
pub(super) fn wants_signatures(model: &str) -> bool {
    levels(model)
}

/// The configuration of thinking, if the request says anything about it.
pub(super) fn config(
    request: &ChatRequest,
    model: &str,
    dropped: &mut Vec<Dropped>,
) -> Option<Value> {
    let effort = request.reasoning_effort.as_deref()?;
    let why = match effort {
        _ if is_older(model) => "the model does not think",
        "none" if by_budget(model) => return Some(json!({"thinkingBudget": 0})),
        // The least there is; these models cannot but think.
        "none" => return Some(json!({"thinkingLevel": "minimal"})),
        "minimal" | "low" | "medium" | "high" if levels(model) => {
            return Some(json!({"thinkingLevel": effort, "includeThoughts": true}));
        }
        "xhigh" | "max" if levels(model) => {
            return Some(json!({"thinkingLevel": "high", "includeThoughts": true}));
        }
        _ => {
            let budgets = [
                ("minimal", 512),
                ("low", 1_024),
                ("medium", 8_192),
                ("high", 24_576),
                ("xhigh", 24_576),
                ("max", 24_576),
            ];
            match budgets.iter().find(|(known, _)| *known == effort) {
                Some((_, budget)) => {
                    return Some(json!({"thinkingBudget": budget, "includeThoughts": true}));
                }
                None => "the word is not among those that are known",
            }
        }
    };
    dropped.push(Dropped::new("reasoning_effort", why));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_generation_is_told_in_its_words() {
        let told = |effort: &str, model: &str| {
            let mut dropped = Vec::new();
            let request = ChatRequest::from("Hi").reasoning_effort(effort);
            let config = config(&request, model, &mut dropped);
            assert_eq!(config.is_none(), !dropped.is_empty());
            config.unwrap_or_default()
        };
        let budget = |tokens: u64| json!({"thinkingBudget": tokens, "includeThoughts": true});
        assert_eq!(told("low", "gemini-2.5-flash"), budget(1_024));
        assert_eq!(told("none", "models/gemini-2.5-flash"), json!({"thinkingBudget": 0}));
        let level = json!({"thinkingLevel": "high", "includeThoughts": true});
        assert_eq!(told("max", "gemini-3-pro-preview"), level);
        assert_eq!(told("high", "gemini-2.0-flash"), Value::Null);
        assert_eq!(told("hard", "gemini-2.5-flash"), Value::Null);
        assert!(wants_signatures("gemini-3-flash") && !wants_signatures("models/gemini-2.5-pro"));
    }
}
