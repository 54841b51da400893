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

/// The least budget of a model that cannot be kept from thinking: 2.5 Pro refuses 0, and takes from 128 on.
/// <https://ai.google.dev/gemini-api/docs/thinking>
fn least_budget(model: &str) -> u64 {
    if bare(model).starts_with("gemini-2.5-pro") { 128 } else { 0 }
}

/// The level that a model has for one. The Pro models of the third generation have no `minimal`, and the first of them
/// no `medium` either; `low` and `high` are known to all. <https://ai.google.dev/gemini-api/docs/thinking>
fn level<'a>(level: &'a str, model: &str) -> &'a str {
    let name = bare(model);
    let is_pro =
        name.starts_with("gemini-3") && name.contains("-pro") || name == "gemini-pro-latest";
    match level {
        "minimal" if is_pro => "low",
        "medium" if name.starts_with("gemini-3-pro") => "high",
        level => level,
    }
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
        "none" if by_budget(model) => {
            return Some(json!({"thinkingBudget": least_budget(model)}));
        }
        // The least there is; these models cannot but think.
        "none" => return Some(json!({"thinkingLevel": level("minimal", model)})),
        "minimal" | "low" | "medium" | "high" if levels(model) => {
            let level = level(effort, model);
            return Some(json!({"thinkingLevel": level, "includeThoughts": true}));
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
        // What a model refuses becomes the nearest that it takes.
        assert_eq!(told("none", "gemini-2.5-pro"), json!({"thinkingBudget": 128}));
        assert_eq!(told("none", "gemini-2.5-flash-lite"), json!({"thinkingBudget": 0}));
        for (effort, model, level) in [
            ("none", "gemini-3-flash-preview", "minimal"),
            ("none", "models/gemini-3.1-pro-preview", "low"),
            ("none", "gemini-pro-latest", "low"),
            ("minimal", "gemini-3.5-flash", "minimal"),
            ("minimal", "gemini-3.1-pro-preview", "low"),
            ("medium", "gemini-3.1-pro-preview", "medium"),
            ("medium", "gemini-3-pro-preview", "high"),
        ] {
            assert_eq!(told(effort, model)["thinkingLevel"], level, "{effort} of {model}");
        }
        assert_eq!(told("high", "gemini-2.0-flash"), Value::Null);
        assert_eq!(told("hard", "gemini-2.5-flash"), Value::Null);
        assert!(wants_signatures("gemini-3-flash") && !wants_signatures("models/gemini-2.5-pro"));
    }
}
