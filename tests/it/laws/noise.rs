//! Laws 5 and 8: what cannot be read is skipped up to a limit, and what stands between events or is
//! not known changes nothing. Nobody knows of what was skipped whether it was a piece of a call, so that
//! the calls of such an answer only run where the interface tells them once more.

use super::document::any_answer;
use super::streams::Streamed;
use super::{Wire, cases, fold};
use ember::llm::{ChatResponse, ErrorKind, FinishReason, Part};
use ember_tests::frames;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

/// So many unreadable events in a row are an error.
const TOO_MANY: usize = 10;

fn garbage() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("{\"choices\":[{\"delta\":{\"content\":\"ha".to_owned()),
        Just("{\"type\":\"content_block_delta\",\"index\":".to_owned()),
        Just("upstream connect error".to_owned()),
        Just("[1, 2".to_owned()),
        Just("7".to_owned()),
        "[a-z<>]{1,9}",
    ]
}

/// What is made of an answer of which something was skipped.
fn skipped(wire: Wire, mut answer: ChatResponse) -> ChatResponse {
    if wire != Wire::Responses && answer.tool_calls().next().is_some() {
        answer.finish.reason = FinishReason::Error;
        let parts = answer.message.content.iter().cloned();
        answer.message.content = parts
            .map(|part| match part {
                Part::ToolCall(mut call) => {
                    call.truncated = true;
                    Part::ToolCall(call)
                }
                part => part,
            })
            .collect();
    }
    answer
}

fn unknown(wire: Wire) -> &'static str {
    match wire {
        Wire::OpenAi => r#"{"object":"chat.completion.new","choices":[]}"#,
        Wire::Responses => r#"{"type":"response.new.delta","delta":"x","sequence_number":7}"#,
        Wire::Anthropic => r#"{"type":"content_block_new","index":0,"delta":{"type":"new_delta"}}"#,
        Wire::Gemini => r#"{"new":{"text":"x"}}"#,
    }
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn unreadable_events_are_skipped(
        answer in any_answer(),
        noise in vec((any::<Index>(), vec(garbage(), 1..TOO_MANY)), 0..4),
    ) {
        for wire in Wire::ALL {
            let Streamed { events, .. } = Streamed::of(wire, &answer);
            let mut noisy: Vec<_> = events.iter().map(|event| vec![event.clone()]).collect();
            for (place, noise) in &noise {
                // At one place only, so that there are never too many in a row.
                let place = place.index(noisy.len());
                noisy[place] = noise.iter().chain(&events[place..=place]).cloned().collect();
            }
            let noisy: Vec<_> = noisy.into_iter().flatten().collect();
            let quiet = fold(wire, &events, None).unwrap();
            let expected = if noise.is_empty() { quiet } else { skipped(wire, quiet) };
            prop_assert_eq!(fold(wire, &noisy, None).unwrap(), expected, "{:?}", wire);
        }
    }

    #[test]
    fn too_many_unreadable_events_in_a_row_are_an_error(
        answer in any_answer(),
        place in any::<Index>(),
        noise in vec(garbage(), TOO_MANY),
    ) {
        for wire in Wire::ALL {
            let Streamed { mut events, complete } = Streamed::of(wire, &answer);
            let place = place.index(complete);
            events.splice(place..place, noise.iter().cloned());
            let outcome = fold(wire, &events, None);
            prop_assert_eq!(outcome.unwrap_err().0, ErrorKind::Decode, "{:?}", wire);
        }
    }

    #[test]
    fn what_is_not_known_changes_nothing(
        answer in any_answer(),
        places in vec((any::<Index>(), 0..4_u8), 0..8),
    ) {
        for wire in Wire::ALL {
            let streamed = Streamed::of(wire, &answer);
            let mut noisy: Vec<_> = streamed.body("\n").split_inclusive("\n\n").map(str::to_owned).collect();
            for (place, kind) in &places {
                let place = place.index(noisy.len());
                let noise = match kind {
                    0 => ": OPENROUTER PROCESSING\n\n".to_owned(),
                    1 => "event: ping\ndata: {\"type\": \"ping\"}\n\n".to_owned(),
                    2 => "id: 7\nretry: 100\n\n".to_owned(),
                    _ => format!("data: {}\n\n", unknown(wire)),
                };
                noisy.insert(place, noise);
            }
            let noisy = noisy.concat();
            let (noisy, rest) = frames([noisy.as_bytes()]);
            let quiet = fold(wire, &streamed.events, None);
            prop_assert_eq!(fold(wire, &noisy, rest.as_deref()), quiet, "{:?}", wire);
        }
    }

    #[test]
    fn members_that_are_not_known_change_nothing(answer in any_answer()) {
        for wire in Wire::ALL {
            let Streamed { events, .. } = Streamed::of(wire, &answer);
            let widened = events.iter().map(|event| match serde_json::from_str(event) {
                Ok(Value::Object(mut members)) => {
                    members.insert("obfuscation".into(), "Xq7".into());
                    members.insert("sequence_number".into(), 7.into());
                    Value::Object(members).to_string()
                }
                _ => event.clone(),
            });
            let widened: Vec<_> = widened.collect();
            prop_assert_eq!(fold(wire, &widened, None), fold(wire, &events, None), "{:?}", wire);
        }
    }
}
