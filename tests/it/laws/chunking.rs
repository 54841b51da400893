//! Laws 1 and 2: however the bytes are cut, a stream gives what the whole answer gives.

use super::document::{answer, any_answer};
use super::streams::Streamed;
use super::{Wire, cases, events, fold, told};
use ember_tests::frames;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

fn line_end() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["\n", "\r\n", "\r"])
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_split_of_the_bytes_gives_the_same_events(
        answer in any_answer(),
        line_end in line_end(),
        mark in any::<bool>(),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        for wire in Wire::ALL {
            let streamed = Streamed::of(wire, &answer);
            let expected = events(wire, &streamed.events, None);
            prop_assert!(expected.is_ok(), "{wire:?}: {expected:?}");
            let mut body = streamed.body(line_end).into_bytes();
            if mark {
                body.splice(0..0, "\u{feff}".bytes());
            }
            let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
            places.extend([0, body.len()]);
            places.sort_unstable();
            let pieces = places.windows(2).map(|pair| &body[pair[0]..pair[1]]);
            let (data, rest) = frames(pieces);
            prop_assert_eq!(&events(wire, &data, rest.as_deref()), &expected, "{:?}", wire);
            let (data, rest) = frames(body.chunks(1));
            prop_assert_eq!(&events(wire, &data, rest.as_deref()), &expected, "{:?}", wire);
        }
    }

    #[test]
    fn a_folded_stream_is_the_whole_answer(answer in any_answer()) {
        for wire in Wire::ALL {
            let whole = wire.decode(&answer.whole(wire).to_string()).map_err(told);
            prop_assert!(whole.is_ok(), "{wire:?}: {whole:?}");
            let streamed = fold(wire, &Streamed::of(wire, &answer).events, None);
            prop_assert_eq!(streamed, whole, "{:?}", wire);
        }
    }

    #[test]
    fn the_last_event_needs_no_blank_line(answer in answer()) {
        for wire in Wire::ALL {
            let streamed = Streamed::of(wire, &answer);
            let body = streamed.body("\n");
            let (data, rest) = frames([body.trim_end_matches('\n').as_bytes()]);
            prop_assert_eq!(data.len() + 1, streamed.events.len());
            let whole = fold(wire, &streamed.events, None);
            prop_assert_eq!(fold(wire, &data, rest.as_deref()), whole, "{:?}", wire);
        }
    }
}
