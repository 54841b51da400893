//! Laws 4 and 7: an answer ends once, is cut exactly where its provider's last word is missing, and
//! no call of it runs that is not whole.

use super::document::{Answer, End, Piece, answer};
use super::streams::Streamed;
use super::{Wire, cases, fold};
use ember::llm::{ChatEvent, ErrorKind, FinishReason};
use ember::prelude::*;
use ember_tests::{Reply, Upstream};
use proptest::prelude::*;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn an_answer_is_cut_if_and_only_if_its_last_word_is_missing(answer in answer()) {
        for wire in Wire::ALL {
            let Streamed { events, complete } = Streamed::of(wire, &answer);
            let whole = fold(wire, &events, None).unwrap();
            for length in 0..=events.len() {
                let next = events.get(length).map_or("", String::as_str);
                let half = &next[..next.floor_char_boundary(next.len() / 2)];
                for rest in [None, Some(half).filter(|half| !half.is_empty())] {
                    match fold(wire, &events[..length], rest) {
                        Ok(cut) => {
                            prop_assert!(length >= complete, "{wire:?} after {length}");
                            prop_assert_eq!(&cut.finish, &whole.finish);
                            prop_assert_eq!(&cut.message, &whole.message, "{:?}", wire);
                        }
                        Err((kind, _)) => {
                            prop_assert!(length < complete, "{wire:?} after {length}");
                            prop_assert_eq!(kind, ErrorKind::Truncated);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_call_is_whole_or_does_not_run(answer in answer(), last in 0..12_usize) {
        for wire in Wire::ALL {
            let cut = wire != Wire::Gemini && answer.end == End::Limit;
            let streamed = Streamed::cut(wire, &answer, Some(last).filter(|_| cut));
            let response = fold(wire, &streamed.events, None).unwrap();
            let calls = answer.pieces.iter().filter_map(|piece| match piece {
                Piece::Call { id, name, arguments, .. } => Some((id, name, json!(arguments))),
                _ => None,
            });
            let may_run: Vec<_> = response.tool_calls().collect();
            if answer.end == End::Done {
                prop_assert_eq!(may_run.len(), calls.clone().count());
                for (call, (id, name, arguments)) in may_run.iter().zip(calls) {
                    prop_assert_eq!((&call.id, &call.name), (id, name));
                    prop_assert_eq!(call.parse().unwrap(), arguments);
                }
            } else {
                prop_assert!(may_run.is_empty(), "{wire:?}: {may_run:?}");
                // What there is of them can be seen all the same.
                for (call, (id, name, arguments)) in response.message.tool_calls().zip(calls) {
                    prop_assert_eq!((&call.id, &call.name, call.truncated), (id, name, true));
                    prop_assert!(arguments.to_string().starts_with(&call.arguments), "{call:?}");
                }
            }
        }
    }

    #[test]
    fn a_call_that_lacks_a_piece_does_not_run(answer in answer()) {
        for wire in Wire::ALL {
            let Streamed { events, .. } = Streamed::of(wire, &answer);
            for place in 0..events.len() {
                let mut broken = events.clone();
                let half = broken[place].floor_char_boundary(broken[place].len() / 2);
                broken[place].truncate(half);
                let Ok(response) = fold(wire, &broken, None) else { continue };
                for run in response.tool_calls() {
                    let is_whole = answer.pieces.iter().any(|piece| match piece {
                        Piece::Call { id, name, arguments, .. } => {
                            (&run.id, &run.name) == (id, name)
                                && run.parse().ok() == Some(json!(arguments))
                        }
                        _ => false,
                    });
                    prop_assert!(is_whole, "{wire:?} without {place}: {run:?}");
                }
                // Where a call may be another one, the answer must not look like a complete one.
                let has_cut_calls = response.message.tool_calls().any(|call| call.truncated);
                prop_assert!(!(has_cut_calls && response.finish.reason.is_whole()), "{wire:?}");
            }
        }
    }
}

static RUNS: AtomicUsize = AtomicUsize::new(0);

/// Counts how often it is called.
#[tool(name = "f")]
async fn counted() -> u8 {
    RUNS.fetch_add(1, Ordering::SeqCst);
    1
}

#[tokio::test]
async fn calls_of_a_truncated_turn_never_run() {
    for wire in Wire::ALL {
        for end in [End::Limit, End::Filter] {
            let call = Piece::Call {
                id: "c0".into(),
                name: "f".into(),
                arguments: serde_json::Map::new(),
                mark: None,
            };
            let answer = Answer { pieces: vec![call], end, step: 1, tokens: (1, 1) };
            let streamed = Streamed::of(wire, &answer).body("\n");
            let whole = answer.whole(wire);
            let upstream = Upstream::start(move |seen| {
                let streams = seen.target.contains("stream") || seen.json()["stream"] == true;
                match streams {
                    true => Reply::events().send(streamed.clone()),
                    false => Reply::json(200, &whole),
                }
            })
            .await;
            let client = wire.client(upstream.url()).tools([counted {}]);
            let unary = client.complete("Hi").await.unwrap();
            let streamed = client.stream("Hi").await.unwrap().collect().await.unwrap();
            assert_eq!(unary, streamed, "{wire:?}");
            assert!(unary.message.tool_calls().all(|call| call.truncated), "{wire:?}");
            assert_eq!(unary.message.tool_calls().count(), 1, "{wire:?}");
            assert_eq!(
                upstream.seen().len(),
                2,
                "nothing is sent after a turn that did not end well"
            );
        }
    }
    assert_eq!(RUNS.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_call_that_lacks_a_piece_is_told_and_never_runs() {
    for wire in [Wire::OpenAi, Wire::Anthropic] {
        let arguments = [("amount".to_owned(), json!(100))].into_iter().collect();
        let pieces = vec![
            Piece::Text { text: "Well.".into(), source: None, mark: None },
            Piece::Call { id: "c0".into(), name: "f".into(), arguments, mark: None },
        ];
        let answer = Answer { pieces, end: End::Done, step: 1, tokens: (1, 1) };
        let mut streamed = Streamed::of(wire, &answer);
        let zero = streamed.events.iter().position(|event| event.contains(r#":"0"}"#)).unwrap();
        streamed.events[zero].pop();
        let body = streamed.body("\n");
        let upstream = Upstream::start(move |_| Reply::events().send(body.clone())).await;
        let client = wire.client(upstream.url()).tools([counted {}]);
        let response = client.stream("Hi").await.unwrap().collect().await.unwrap();
        assert_eq!((&*response.text(), &response.finish.reason), ("Well.", &FinishReason::Error));
        let call = response.message.tool_calls().next().unwrap();
        assert_eq!((&*call.arguments, call.truncated), ("{\"amount\":10}", true), "{wire:?}");
        assert_eq!(upstream.seen().len(), 1);
    }
    assert_eq!(RUNS.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nothing_follows_the_end() {
    for wire in [Wire::OpenAi, Wire::Responses, Wire::Anthropic] {
        let text = |text: &str| Piece::Text { text: text.into(), source: None, mark: None };
        let answer = Answer { pieces: vec![text("once")], end: End::Done, step: 9, tokens: (1, 1) };
        let once = Streamed::of(wire, &answer).body("\n");
        let upstream =
            Upstream::start(move |_| Reply::events().send(once.clone()).send(once.clone())).await;
        let mut stream = wire.client(upstream.url()).stream("Hi").await.unwrap();
        let (mut text, mut ends) = (String::new(), Vec::new());
        while let Some(event) = stream.next().await {
            match event.unwrap() {
                ChatEvent::Text(piece) => text += &piece,
                ChatEvent::Finish(finish) => ends.push(finish.reason),
                _ => {}
            }
        }
        assert_eq!((&*text, &*ends), ("once", &[FinishReason::Stop][..]), "{wire:?}");
        assert!(stream.next().await.is_none());
    }
}
