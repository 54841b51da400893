//! How much a model should think, in the words that its generation understands.
//!
//! Older models want a budget of tokens, newer ones decide by themselves and take an effort; each
//! refuses what the other takes.

use crate::llm::chat::{ChatRequest, Dropped, ToolChoice};
use serde_json::{Map, Value, json};

/// How many tokens an answer may have where the request does not say. The interface insists on a
/// limit; every model that is offered can write as much.
const DEFAULT_MAX_TOKENS: u64 = 8_192;

/// The smallest budget that is accepted.
const MIN_BUDGET: u64 = 1_024;

/// Models that think by a budget, by the beginning of their names.
const BY_BUDGET: &[&str] = &[
    "claude-3-7-",
    "claude-sonnet-4-0",
    "claude-sonnet-4-2",
    "claude-opus-4-0",
    "claude-opus-4-2",
    "claude-opus-4-1",
    "claude-sonnet-4-5",
    "claude-opus-4-5",
    "claude-haiku-4-5",
];

/// Models that do not think.
const NEVER: &[&str] = &["claude-3-haiku", "claude-3-opus", "claude-3-sonnet", "claude-3-5-"];

/// Models that always think: they refuse `disabled` with 400, and need no word to think.
/// <https://platform.claude.com/docs/en/models/fable-5/migration-guide>
const ALWAYS: &[&str] = &["claude-fable-", "claude-mythos-"];

/// Models of newer generations that do not know `xhigh`; between `high` and `max` they have nothing.
/// <https://platform.claude.com/docs/en/build-with-claude/effort>
const NO_XHIGH: &[&str] = &["claude-opus-4-6", "claude-sonnet-4-6", "claude-mythos-preview"];

/// Models beside those that always think that refuse a temperature and the like, thinking or not ("`temperature` is
/// deprecated for this model").
/// <https://platform.claude.com/docs/en/about-claude/models/migration-guide>
const NO_SAMPLING: &[&str] =
    &["claude-opus-4-7", "claude-opus-4-8", "claude-opus-5", "claude-sonnet-5", "claude-haiku-5"];

fn is_one_of(model: &str, names: &[&str]) -> bool {
    names.iter().any(|name| model.starts_with(name))
}

/// Tells whether a model lets the request say how it chooses its words, as long as it does not think.
pub(super) fn takes_sampling(model: &str) -> bool {
    !is_one_of(model, ALWAYS) && !is_one_of(model, NO_SAMPLING)
}

/// The budgets that stand for efforts.
const BUDGETS: &[(&str, u64)] = &[
    ("minimal", MIN_BUDGET),
    ("low", 2_048),
    ("medium", 8_192),
    ("high", 16_384),
    ("xhigh", 24_576),
    ("max", 31_999),
];

/// Puts the limit of tokens and the thinking into a request; returns whether the model will think.
pub(super) fn write(
    request: &ChatRequest,
    model: &str,
    body: &mut Map<String, Value>,
    dropped: &mut Vec<Dropped>,
) -> bool {
    let limit = request.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
    body.insert("max_tokens".into(), limit.into());
    let Some(effort) = request.reasoning_effort.as_deref() else { return false };
    let mut drop = |why: &'static str| {
        dropped.push(Dropped::new("reasoning_effort", why));
        false
    };
    let is_one_of = |names: &[&str]| is_one_of(model, names);
    // The least there is.
    let effort = if effort == "none" && is_one_of(ALWAYS) { "low" } else { effort };
    if effort == "none" {
        body.insert("thinking".into(), json!({"type": "disabled"}));
        return false;
    }
    if is_one_of(NEVER) {
        return drop("the model does not think");
    }
    if matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Tool(_))
        && !request.tools.is_empty()
    {
        return drop("the model cannot think where it must call a tool");
    }
    if !is_one_of(BY_BUDGET) {
        let effort = match effort {
            "minimal" => "low",
            "xhigh" if is_one_of(NO_XHIGH) => "high",
            effort => effort,
        };
        body.insert("thinking".into(), json!({"type": "adaptive"}));
        body.insert("output_config".into(), json!({"effort": effort}));
        return true;
    }
    let Some((_, budget)) = BUDGETS.iter().find(|(known, _)| *known == effort) else {
        return drop("the model takes a budget of tokens, and the word stands for none");
    };
    let budget = match request.max_tokens {
        // What the model thinks counts towards the limit, and something must be left to say.
        Some(limit) => (*budget).min(limit.saturating_sub(limit / 4).saturating_sub(1)),
        None => {
            body.insert("max_tokens".into(), (limit + budget).into());
            *budget
        }
    };
    if budget < MIN_BUDGET {
        return drop("the limit of tokens leaves no room to think");
    }
    body.insert("thinking".into(), json!({"type": "enabled", "budget_tokens": budget}));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(request: ChatRequest, model: &str, expected: Value, thinks: bool, lost: bool) {
        let (mut body, mut dropped) = (Map::new(), Vec::new());
        assert_eq!(write(&request, model, &mut body, &mut dropped), thinks);
        assert_eq!((Value::Object(body), !dropped.is_empty()), (expected, lost));
    }

    #[test]
    fn each_generation_is_told_in_its_words() {
        let ask = |effort: &str| ChatRequest::from("Hi").reasoning_effort(effort);
        check("Hi".into(), "claude-x", json!({"max_tokens": 8192}), false, false);
        let budget = |limit: u64, budget: u64| {
            json!({
                "max_tokens": limit, "thinking": {"type": "enabled", "budget_tokens": budget},
            })
        };
        check(ask("low"), "claude-sonnet-4-5", budget(10_240, 2_048), true, false);
        let limited = ask("high").max_tokens(4_000);
        check(limited, "claude-opus-4-1", budget(4_000, 2_999), true, false);
        let small = ask("high").max_tokens(1_000);
        check(small, "claude-opus-4-1", json!({"max_tokens": 1000}), false, true);
        let adaptive = |effort: &str| {
            json!({
                "max_tokens": 8192, "thinking": {"type": "adaptive"}, "output_config": {"effort": effort},
            })
        };
        check(ask("high"), "claude-opus-4-6", adaptive("high"), true, false);
        check(ask("minimal"), "claude-opus-4-6", adaptive("low"), true, false);
        let off = json!({"max_tokens": 8192, "thinking": {"type": "disabled"}});
        check(ask("none"), "claude-opus-4-6", off, false, false);
        check(ask("high"), "claude-3-5-haiku-latest", json!({"max_tokens": 8192}), false, true);
        // What a model refuses becomes the nearest that it takes.
        for model in ["claude-opus-4-6", "claude-sonnet-4-6", "claude-mythos-preview"] {
            check(ask("xhigh"), model, adaptive("high"), true, false);
            check(ask("max"), model, adaptive("max"), true, false);
        }
        check(ask("xhigh"), "claude-opus-4-7", adaptive("xhigh"), true, false);
        for model in ["claude-fable-5-1", "claude-mythos-5"] {
            check(ask("none"), model, adaptive("low"), true, false);
            check(ask("xhigh"), model, adaptive("xhigh"), true, false);
        }
    }
}
