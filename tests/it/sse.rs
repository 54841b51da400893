//! The event-stream codec: the standard's cases, every cut, and random input.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ember::Event;
use ember::base::sse::{Decoder, Frame, SseWriter};
use ember_tests::{fixtures, shared};
use proptest::prelude::*;
use serde::Deserialize;
use std::time::Duration;

#[derive(Deserialize)]
struct Case {
    name: String,
    input_b64: String,
    expected: Expected,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
struct Expected {
    events: Vec<Decoded>,
    retry: Vec<u64>,
    last_event_id: String,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Decoded {
    event: String,
    data: String,
    last_event_id: String,
}

fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Expected {
    let mut decoder = Decoder::new();
    let mut found = Expected::default();
    for chunk in chunks {
        let collect = |frame: Frame<'_>| match frame {
            Frame::Event { event, data, id } => found.events.push(Decoded {
                event: event.to_owned(),
                data: data.to_owned(),
                last_event_id: id.to_owned(),
            }),
            Frame::Retry(wait) => found.retry.push(wait.as_millis().try_into().unwrap()),
        };
        decoder.decode(chunk, collect).unwrap();
    }
    decoder.last_event_id().clone_into(&mut found.last_event_id);
    found
}

#[test]
fn every_case_of_the_standard_holds_for_every_cut() {
    let own = fixtures("sse/cases.json");
    // The cases of the web platform's tests, where they lie beside the project.
    let beside = shared("sse/eventsource_cases.json");
    let at_least = 15 + beside.as_ref().map_or(0, |_| 64);
    let files = std::iter::once(own).chain(beside).map(|path| std::fs::read(path).unwrap());
    let cases = files.flat_map(|bytes| serde_json::from_slice::<Vec<Case>>(&bytes).unwrap());
    let cases: Vec<Case> = cases.collect();
    assert!(cases.len() >= at_least, "{} cases", cases.len());
    for case in cases {
        let bytes = BASE64_STANDARD.decode(&case.input_b64).unwrap();
        assert_eq!(decode([&bytes[..]]), case.expected, "{} in one piece", case.name);
        assert_eq!(decode(bytes.chunks(1)), case.expected, "{} byte by byte", case.name);
        for cut in 0..bytes.len().min(2_000) {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(decode([head, tail]), case.expected, "{} cut at {cut}", case.name);
        }
    }
}

/// Bytes that look like a stream often enough.
fn stream_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"data".to_vec()),
        Just(b"event".to_vec()),
        Just(b"id".to_vec()),
        Just(b"retry".to_vec()),
        Just(b":".to_vec()),
        Just(b" ".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\0".to_vec()),
        Just(b"12".to_vec()),
        Just("\u{FEFF}é😀".as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_give_the_same_events_for_any_cuts(
        bytes in stream_like(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut start = 0;
        for cut in cuts.into_iter().chain([bytes.len()]) {
            pieces.push(&bytes[start..cut]);
            start = cut;
        }
        prop_assert_eq!(decode(pieces), decode([&bytes[..]]));
    }

    #[test]
    fn what_is_encoded_is_decoded_again(
        texts in prop::collection::vec(any::<String>(), 0..6),
        name in "[a-z\r\n\0]{0,5}",
        id in "[0-9\r\n\0]{0,5}",
        retry in any::<u32>(),
    ) {
        let mut writer = SseWriter::new();
        for text in &texts {
            let event = Event::data(text.clone()).event(name.clone()).id(id.clone());
            writer.event(&event.retry(Duration::from_millis(retry.into())));
            writer.comment(text);
        }
        let found = decode([&writer.take()[..]]);
        let clean = |text: &str| text.replace(['\r', '\n', '\0'], "");
        let name = if clean(&name).is_empty() { "message".to_owned() } else { clean(&name) };
        let expected = texts.iter().map(|text| Decoded {
            event: name.clone(),
            // The format knows lines, not how they ended.
            data: text.replace("\r\n", "\n").replace('\r', "\n"),
            last_event_id: clean(&id),
        });
        prop_assert_eq!(found.events, expected.collect::<Vec<_>>());
        prop_assert_eq!(found.retry, vec![u64::from(retry); texts.len()]);
    }
}
