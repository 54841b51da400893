//! Law 6: figures of usage are snapshots. They grow, the last word on each holds, and what nobody
//! reported is not zero.

use super::document::{Answer, End, Piece};
use super::streams::Streamed;
use super::{Wire, cases, events};
use ember::llm::{ChatEvent, Usage};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Input, read from the cache, written to it, output, thoughts; what the interface does not count
/// stays `None`.
type Figures = [Option<u64>; 5];

/// Each snapshot has its members or not, and none is smaller than the one before.
fn snapshots() -> impl Strategy<Value = Vec<Figures>> {
    let step = [
        prop::option::of(0..900_u64),
        prop::option::of(0..900_u64),
        prop::option::of(0..900_u64),
        prop::option::of(0..900_u64),
        prop::option::of(0..900_u64),
    ];
    vec(step, 1..5).prop_map(|steps| {
        let mut sums = [0; 5];
        let grown = steps.into_iter().map(|step| {
            let mut figures = step;
            for (figure, sum) in figures.iter_mut().zip(&mut sums) {
                *sum += figure.unwrap_or(0);
                *figure = figure.map(|_| *sum);
            }
            figures
        });
        grown.collect()
    })
}

/// A snapshot in the interface's own words: its members count what it counts.
fn written(wire: Wire, [input, read, write, output, thoughts]: Figures) -> Value {
    let mut members = Map::new();
    let mut put = |place: &[&str], figure: Option<u64>| {
        if let Some(figure) = figure {
            match place {
                [name] => drop(members.insert((*name).into(), figure.into())),
                [group, name] => {
                    members.entry(*group).or_insert_with(|| json!({}))[name] = figure.into()
                }
                _ => unreachable!(),
            }
        }
    };
    match wire {
        Wire::OpenAi => {
            put(&["prompt_tokens"], input);
            put(&["prompt_tokens_details", "cached_tokens"], read);
            put(&["prompt_tokens_details", "cache_write_tokens"], write);
            put(&["completion_tokens"], output);
            put(&["completion_tokens_details", "reasoning_tokens"], thoughts);
        }
        Wire::Responses => {
            put(&["input_tokens"], input);
            put(&["input_tokens_details", "cached_tokens"], read);
            put(&["input_tokens_details", "cache_write_tokens"], write);
            put(&["output_tokens"], output);
            put(&["output_tokens_details", "reasoning_tokens"], thoughts);
        }
        Wire::Anthropic => {
            put(&["input_tokens"], input);
            put(&["cache_read_input_tokens"], read);
            put(&["cache_creation_input_tokens"], write);
            put(&["output_tokens"], output);
            put(&["output_tokens_details", "thinking_tokens"], thoughts);
        }
        Wire::Gemini => {
            put(&["promptTokenCount"], input);
            put(&["cachedContentTokenCount"], read);
            put(&["candidatesTokenCount"], output);
            put(&["thoughtsTokenCount"], thoughts);
        }
    }
    Value::Object(members)
}

/// The usage in parts that do not overlap, from the last word on each member.
fn expected(wire: Wire, [input, read, write, output, thoughts]: Figures) -> Figures {
    let less = |whole: Option<u64>, parts: &[Option<u64>]| {
        whole.map(|whole| whole.saturating_sub(parts.iter().flatten().sum()))
    };
    match wire {
        Wire::OpenAi | Wire::Responses => {
            [less(input, &[read, write]), read, write, less(output, &[thoughts]), thoughts]
        }
        Wire::Anthropic => [input, read, write, less(output, &[thoughts]), thoughts],
        Wire::Gemini => [less(input, &[read]), read, None, output, thoughts],
    }
}

fn figures(usage: &Usage) -> Figures {
    [
        usage.input_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
    ]
}

/// A stream that brings these snapshots.
fn stream(wire: Wire, snapshots: &[Figures]) -> Vec<String> {
    let piece = |_| Piece::Text { text: "a".into(), source: None, mark: None };
    let pieces = (0..snapshots.len()).map(piece).collect();
    let answer = Answer { pieces, end: End::Done, step: 1, tokens: (0, 0) };
    let Streamed { events, complete } = Streamed::of(wire, &answer);
    let mut told = snapshots.iter().map(|snapshot| written(wire, *snapshot));
    let mut seen = Vec::new();
    for (at, event) in events.into_iter().enumerate() {
        let Ok(Value::Object(mut event)) = serde_json::from_str(&event) else {
            seen.push(event);
            continue;
        };
        match wire {
            // Only the end tells.
            Wire::Responses => {
                if let Some(response) = event.get_mut("response") {
                    response["usage"] = if at + 1 == complete {
                        told.next().unwrap_or_default()
                    } else {
                        Value::Null
                    };
                }
            }
            Wire::Anthropic => {
                let kind = event["type"].as_str().unwrap_or_default().to_owned();
                if kind == "message_start" {
                    event["message"]["usage"] = told.next().unwrap_or_default();
                } else if kind == "message_delta" {
                    for usage in told.by_ref() {
                        seen.push(
                            json!({"type": "message_delta", "delta": {}, "usage": usage})
                                .to_string(),
                        );
                    }
                    event.remove("usage");
                }
            }
            Wire::OpenAi => {
                let usage = if at == 0 { None } else { told.next() };
                event.insert("usage".into(), usage.unwrap_or_default());
            }
            Wire::Gemini => {
                event.insert("usageMetadata".into(), told.next().unwrap_or_default());
            }
        }
        seen.push(Value::Object(event).to_string());
    }
    assert!(told.next().is_none(), "{wire:?}: every snapshot is told");
    seen
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn usage_grows_and_its_last_snapshot_wins(snapshots in snapshots()) {
        for wire in Wire::ALL {
            // A prompt holds what of it was cached, and an answer what was thought.
            let mut snapshots: Vec<_> = snapshots.clone();
            let mut most = [0; 5];
            for snapshot in &mut snapshots {
                for (most, figure) in most.iter_mut().zip(&*snapshot) {
                    *most = figure.unwrap_or(*most);
                }
                let [input, _, _, output, _] = snapshot;
                if wire != Wire::Anthropic {
                    *input = input.map(|tokens| tokens + most[1] + most[2]);
                }
                if wire != Wire::Gemini {
                    *output = output.map(|tokens| tokens + most[4]);
                }
            }
            if wire == Wire::Responses {
                snapshots.drain(..snapshots.len() - 1);
            }
            let mut last: Figures = [None; 5];
            for snapshot in &snapshots {
                for (last, figure) in last.iter_mut().zip(snapshot) {
                    *last = figure.or(*last);
                }
            }
            let mut usage = Usage::default();
            let mut totals = (0, 0);
            for event in events(wire, &stream(wire, &snapshots), None).unwrap() {
                if let ChatEvent::Usage(snapshot) = event {
                    usage.update(&snapshot);
                    let now = (usage.total_input(), usage.total_output());
                    prop_assert!(now.0 >= totals.0 && now.1 >= totals.1, "{wire:?}: {totals:?} then {now:?}");
                    totals = now;
                }
            }
            prop_assert_eq!(figures(&usage), expected(wire, last), "{:?}", wire);
        }
    }
}
