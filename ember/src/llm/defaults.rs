//! What a request gets that does not say otherwise: the environment's word, or else a default.
//!
//! Read at the moment of each call. A variable that makes no sense is warned about and passed over.

use super::catalog::{Capability, Catalog};
use super::chat::ChatRequest;
use crate::base::Env;

/// How freely words are chosen unless the request or `EMBER_TEMPERATURE` says otherwise.
pub(super) const TEMPERATURE: f64 = 0.7;

/// How many turns of the model a request may take unless it or `EMBER_MAX_TOOL_ITERATIONS` says otherwise.
pub(super) const MAX_TURNS: usize = 10;

/// The names of the variable for the temperature; the first that is set counts.
const TEMPERATURE_VARIABLES: [&str; 2] = ["EMBER_TEMPERATURE", "EMBER_DEFAULT_TEMPERATURE"];

const MAX_TOKENS_VARIABLE: &str = "EMBER_MAX_TOKENS";
const MAX_TURNS_VARIABLE: &str = "EMBER_MAX_TOOL_ITERATIONS";

/// Fills in the temperature where the request names none.
///
/// `model` is the one that will answer, as far as it is known.
pub(super) fn fill_temperature(
    request: &mut ChatRequest,
    env: &Env,
    catalog: &Catalog,
    provider: &str,
    model: Option<&str>,
) {
    // What is put into the body as it is goes before anything of ours.
    if request.temperature.is_none() && !request.extra.contains_key("temperature") {
        // Whoever wrote a request that is passed on meant the model's own.
        let ours = (!request.relayed).then_some(TEMPERATURE);
        let set = temperature(env).or(ours);
        request.temperature = set.filter(|_| takes_temperature(catalog, provider, model));
    }
}

/// Fills in the limit of tokens where the request names none.
pub(super) fn fill_max_tokens(request: &mut ChatRequest, env: &Env) {
    if request.max_tokens.is_none() {
        request.max_tokens = env.parse_if(MAX_TOKENS_VARIABLE, are_some_tokens);
    }
}

/// How many turns of the model a request may take that does not say.
pub(super) fn max_turns(env: &Env) -> usize {
    env.parse_if(MAX_TURNS_VARIABLE, are_some_turns).unwrap_or(MAX_TURNS)
}

/// What is wrong with the variables that are read with each call, told at the start.
pub(crate) fn faults(env: &Env) -> Vec<String> {
    let fault = |name: &str, text: Option<String>, what: &str| {
        text.map(|text| format!("{name} is `{text}`, which is {what}; it is as if it were not set"))
    };
    let temperatures = TEMPERATURE_VARIABLES
        .map(|name| fault(name, env.unusable(name, is_temperature), "no number from 0 to 2"));
    let bounds = [
        fault(
            MAX_TOKENS_VARIABLE,
            env.unusable(MAX_TOKENS_VARIABLE, are_some_tokens),
            "no number of tokens above 0",
        ),
        fault(
            MAX_TURNS_VARIABLE,
            env.unusable(MAX_TURNS_VARIABLE, are_some_turns),
            "no number of turns above 0",
        ),
    ];
    temperatures.into_iter().chain(bounds).flatten().collect()
}

/// Providers take 0 to 2 at most; a value beyond that would fail every request.
fn is_temperature(value: &f64) -> bool {
    (0.0..=2.0).contains(value)
}

fn are_some_tokens(tokens: &u64) -> bool {
    *tokens > 0
}

fn are_some_turns(turns: &usize) -> bool {
    *turns > 0
}

fn temperature(env: &Env) -> Option<f64> {
    let set = TEMPERATURE_VARIABLES.into_iter().find(|name| env.var(name).is_some());
    set.and_then(|name| env.parse_if(name, is_temperature))
}

/// The catalogue may know. Otherwise models that think refuse a temperature, or are told to be left
/// with their own; one that is not known is taken for one that does not think.
fn takes_temperature(catalog: &Catalog, provider: &str, model: Option<&str>) -> bool {
    let model = model.and_then(|model| catalog.find(provider, model));
    model.is_none_or(|model| {
        model.takes_temperature.unwrap_or_else(|| !model.can(Capability::Reasoning))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::catalog::Model;
    use serde_json::json;

    fn filled(request: ChatRequest, env: &[(&str, &str)], model: Option<&str>) -> ChatRequest {
        let mut request = request;
        let env = Env::of(env.iter().copied());
        fill_temperature(&mut request, &env, &Catalog::new(), "openai", model);
        fill_max_tokens(&mut request, &env);
        request
    }

    #[test]
    fn the_temperature_is_the_calls_then_the_environments_then_the_default() {
        let temperature = |request: ChatRequest, env: &[(&str, &str)]| {
            filled(request, env, Some("gpt-4o-mini")).temperature
        };
        let set = [("EMBER_TEMPERATURE", "0.2"), ("EMBER_DEFAULT_TEMPERATURE", "0.3")];
        assert_eq!(temperature("Hi".into(), &[]), Some(0.7));
        assert_eq!(temperature("Hi".into(), &set), Some(0.2));
        assert_eq!(temperature("Hi".into(), &set[1..]), Some(0.3));
        assert_eq!(temperature(ChatRequest::from("Hi").temperature(1.0), &set), Some(1.0));
        for nonsense in ["warm", "-1", "2.5", "NaN"] {
            assert_eq!(temperature("Hi".into(), &[("EMBER_TEMPERATURE", nonsense)]), Some(0.7));
        }
    }

    #[test]
    fn a_request_that_is_passed_on_gets_the_environments_temperature_alone() {
        let relayed = || ChatRequest { relayed: true, ..ChatRequest::from("Hi") };
        let set = [("EMBER_TEMPERATURE", "0.2"), ("EMBER_MAX_TOKENS", "9")];
        let filled = |request, env: &[(&str, &str)]| {
            let request = filled(request, env, Some("gpt-4o-mini"));
            (request.temperature, request.max_tokens)
        };
        assert_eq!(filled(relayed(), &[]), (None, None));
        assert_eq!(filled(relayed(), &set), (Some(0.2), Some(9)));
        assert_eq!(filled(relayed(), &[("EMBER_TEMPERATURE", "warm")]), (None, None));
        assert_eq!(filled(relayed().temperature(1.0), &set).0, Some(1.0));
    }

    #[test]
    fn a_model_that_thinks_gets_no_temperature_of_ours() {
        let env = [("EMBER_TEMPERATURE", "0.2")];
        assert_eq!(filled("Hi".into(), &env, Some("gpt-5-mini")).temperature, None);
        assert_eq!(filled("Hi".into(), &env, Some("unheard-of")).temperature, Some(0.2));
        assert_eq!(filled("Hi".into(), &env, None).temperature, Some(0.2));
        let own = ChatRequest::from("Hi").temperature(1.0);
        assert_eq!(filled(own, &env, Some("gpt-5-mini")).temperature, Some(1.0));
        let mut raw = ChatRequest::from("Hi");
        raw.extra.insert("temperature".into(), json!(0.1));
        assert_eq!(filled(raw, &env, None).temperature, None);
    }

    #[test]
    fn the_catalogue_says_which_model_takes_a_temperature() {
        let catalog = Catalog::new();
        let thinks = || Model::new("p", "thinks").capability(Capability::Reasoning);
        let sent = |model: Model| {
            let (mut request, id) = (ChatRequest::from("Hi"), model.id.clone());
            catalog.add(model);
            fill_temperature(&mut request, &Env::of([("X", "")]), &catalog, "p", Some(&*id));
            request.temperature
        };
        assert_eq!(sent(thinks()), None);
        assert_eq!(sent(thinks().takes_temperature(true)), Some(TEMPERATURE));
        assert_eq!(sent(Model::new("p", "plain")), Some(TEMPERATURE));
        assert_eq!(sent(Model::new("p", "plain").takes_temperature(false)), None);
    }

    #[test]
    fn the_limit_of_tokens_and_of_turns() {
        let limit = |value| filled("Hi".into(), &[("EMBER_MAX_TOKENS", value)], None).max_tokens;
        assert_eq!((limit("9"), limit("0"), limit("many"), limit("")), (Some(9), None, None, None));
        let own = filled(ChatRequest::from("Hi").max_tokens(5), &[("EMBER_MAX_TOKENS", "9")], None);
        assert_eq!(own.max_tokens, Some(5));
        let turns = |value| max_turns(&Env::of([("EMBER_MAX_TOOL_ITERATIONS", value)]));
        assert_eq!((turns("3"), turns("0"), turns("x"), turns("")), (3, 10, 10, 10));
    }

    #[test]
    fn what_makes_no_sense_is_told_at_the_start() {
        let good = [("EMBER_TEMPERATURE", "0.2"), ("EMBER_MAX_TOKENS", "9")];
        assert_eq!(faults(&Env::of(good)), Vec::<String>::new());
        let bad = [
            ("EMBER_DEFAULT_TEMPERATURE", "9"),
            ("EMBER_MAX_TOKENS", "abc"),
            ("EMBER_MAX_TOOL_ITERATIONS", "0"),
        ];
        let told = faults(&Env::of(bad));
        assert_eq!(told.len(), 3);
        for ((name, value), told) in bad.iter().zip(told) {
            assert!(
                told.starts_with(&format!("{name} is `{value}`, which is no number")),
                "{told}"
            );
        }
    }
}
