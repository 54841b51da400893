use crate::llm::chat::Dropped;
use crate::llm::tool::Tool;

/// The tools whose arguments OpenAI's interfaces cannot hold to their schemas, although that was asked for.
#[cfg(feature = "openai")]
pub(super) fn beyond_strict_mode(tools: &[Tool]) -> impl Iterator<Item = Dropped> {
    let is_beyond = |tool: &Tool| tool.openai_spec()["function"].get("strict").is_none();
    dropped(tools, is_beyond, "strict mode cannot say what its schema says")
}

/// The tools whose arguments were to be held to their schemas, for interfaces that have no word for it.
#[cfg(any(feature = "anthropic", feature = "gemini"))]
pub(super) fn asked_for(tools: &[Tool]) -> impl Iterator<Item = Dropped> {
    dropped(tools, |_| true, "arguments are not held to schemas here")
}

fn dropped(
    tools: &[Tool],
    is_dropped: impl Fn(&Tool) -> bool,
    why: &'static str,
) -> impl Iterator<Item = Dropped> {
    let strict = tools.iter().enumerate().filter(|(_, tool)| tool.options().strict);
    let dropped = strict.filter(move |(_, tool)| is_dropped(tool));
    dropped.map(move |(index, _)| Dropped::new(format!("tools[{index}].strict"), why))
}

#[cfg(test)]
#[cfg(all(feature = "openai", feature = "anthropic", feature = "gemini"))]
mod tests {
    use super::*;
    use crate::llm::adapter::{Adapter, anthropic, gemini, openai, responses};
    use crate::llm::chat::ChatRequest;
    use serde_json::{Value, json};

    fn tools() -> [Tool; 4] {
        let tool = |name: &str, schema: Value| Tool::declared(name, "Does it.", schema).unwrap();
        let fits = json!({
            "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
            "additionalProperties": false,
        });
        let may_be_left_out = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
        let any_member = json!({"type": "object", "additionalProperties": {"type": "string"}});
        [
            tool("asked", fits.clone()).strict(true),
            tool("not_asked", fits),
            tool("open", any_member).strict(true),
            tool("optional", may_be_left_out).strict(true),
        ]
    }

    fn encoded(adapter: &impl Adapter, stream: bool) -> (Value, Vec<String>) {
        let request = ChatRequest::from("Hi").tools(tools());
        let encoded = adapter.encode(&request, "m", stream).unwrap();
        let body = serde_json::from_slice(&encoded.body).unwrap();
        (body, encoded.dropped.into_iter().map(|dropped| dropped.what.to_string()).collect())
    }

    #[test]
    fn strict_mode_is_asked_for_where_there_is_one_and_told_where_not() {
        for stream in [false, true] {
            let (body, dropped) = encoded(&openai::OpenAi::new(), stream);
            let strict = |index: usize| body["tools"][index]["function"].get("strict").cloned();
            assert_eq!([strict(0), strict(1), strict(2)], [Some(json!(true)), None, None]);
            assert_eq!(dropped, ["tools[2].strict", "tools[3].strict"]);
            let (body, dropped) = encoded(&responses::OpenAiResponses::new(), stream);
            let strict = [0, 1, 2].map(|index| body["tools"][index]["strict"].as_bool());
            assert_eq!(strict, [Some(true), Some(false), Some(false)]);
            assert_eq!(dropped, ["tools[2].strict", "tools[3].strict"]);
            for (body, dropped) in [
                encoded(&anthropic::Anthropic::new(), stream),
                encoded(&gemini::Gemini::new(), stream),
            ] {
                assert!(!body.to_string().contains("strict"), "{body}");
                assert_eq!(dropped, ["tools[0].strict", "tools[2].strict", "tools[3].strict"]);
            }
        }
    }
}
