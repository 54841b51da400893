//! What holds for every streamed answer, whatever it says, without a connection.

use super::{Format, Recording, recordings};
use ember::llm::adapter::anthropic::Anthropic;
use ember::llm::adapter::gemini::Gemini;
use ember::llm::adapter::openai::OpenAi;
use ember::llm::adapter::responses::OpenAiResponses;
use ember::llm::adapter::{Adapter, CallIds, EventDecoder};
use ember::llm::{Accumulator, ChatEvent, ChatResponse, Error, ErrorKind};
use ember_tests::frames;
use std::collections::VecDeque;

type Outcome = Result<ChatResponse, (ErrorKind, String)>;

fn fold(format: Format, frames: &[String], rest: Option<&str>) -> Outcome {
    fn of<A: Adapter>(
        adapter: A,
        frames: &[String],
        rest: Option<&str>,
    ) -> Result<ChatResponse, Error> {
        let mut decoder = adapter.decoder(CallIds::default());
        let mut events = VecDeque::new();
        let finished =
            |events: &VecDeque<ChatEvent>| matches!(events.back(), Some(ChatEvent::Finish(_)));
        for frame in frames {
            if !finished(&events) {
                decoder.event(frame, &mut events)?;
            }
        }
        if !finished(&events) {
            decoder.end(rest, &mut events)?;
        }
        let ends = events.iter().filter(|event| matches!(event, ChatEvent::Finish(_))).count();
        assert_eq!((ends, finished(&events)), (1, true), "one end, and nothing behind it");
        let mut accumulator = Accumulator::new();
        events.iter().for_each(|event| accumulator.push(event));
        accumulator.finish()
    }
    let outcome = match format {
        Format::OpenAi => of(OpenAi::new(), frames, rest),
        Format::Responses => of(OpenAiResponses::new(), frames, rest),
        Format::Anthropic => of(Anthropic::new(), frames, rest),
        Format::Gemini => of(Gemini::new(), frames, rest),
    };
    outcome.map_err(|error| (error.kind(), error.message().to_owned()))
}

fn streams(format: Format) -> Vec<Recording> {
    let mut streams = recordings(format, |_| true);
    streams.retain(|recording| recording.stream && recording.response.status == 200);
    streams
}

#[test]
fn every_split_of_the_bytes_gives_the_same() {
    for format in Format::ALL {
        let (streams, mut splits) = (streams(format), 0);
        for recording in &streams {
            let body = recording.response.body.as_bytes();
            let whole = frames([body]);
            assert_eq!(frames(body.chunks(1)), whole, "{}", recording.id);
            // Between two events the decoder knows nothing, so that each is cut by itself.
            for event in recording.response.body.split_inclusive("\n\n") {
                let event = event.as_bytes();
                let expected = frames([event]);
                // What is inside of a long text is cut at some places only.
                let step = 1 + event.len() / 2_000;
                for at in (0..=event.len()).step_by(step) {
                    let (left, right) = event.split_at(at);
                    assert_eq!(frames([left, right]), expected, "{} at {at}", recording.id);
                    splits += 1;
                }
            }
            let pieces = frames(body.chunks(3));
            let (a, b) = (
                fold(format, &whole.0, whole.1.as_deref()),
                fold(format, &pieces.0, pieces.1.as_deref()),
            );
            assert_eq!(a, b, "{}", recording.id);
        }
        println!("{}: {} streams, {splits} splits", format.folder(), streams.len());
        assert!(streams.len() >= 2 && splits > 1_000, "{format:?}");
    }
}

#[test]
fn a_stream_that_is_cut_is_never_finished_in_another_way() {
    for format in Format::ALL {
        for recording in streams(format) {
            let (frames, rest) = frames([recording.response.body.as_bytes()]);
            let Ok(whole) = fold(format, &frames, rest.as_deref()) else { continue };
            for length in 0..frames.len() {
                // Half of the next event is no event.
                let middle = frames[length].floor_char_boundary(frames[length].len() / 2);
                let half = Some(&frames[length][..middle]).filter(|half| !half.is_empty());
                match fold(format, &frames[..length], half) {
                    Ok(cut) => {
                        assert_eq!(cut.finish, whole.finish, "{} at {length}", recording.id);
                        assert!(
                            !matches!(format, Format::Anthropic | Format::Responses)
                                || length + 1 >= frames.len()
                        );
                    }
                    Err((kind, _)) => assert_eq!(kind, ErrorKind::Truncated, "{}", recording.id),
                }
            }
        }
    }
}

#[test]
fn what_stands_between_events_changes_nothing() {
    for format in Format::ALL {
        for recording in streams(format) {
            let body = &recording.response.body;
            let noisy = body
                .replace("\n\n", "\n\n: a comment\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n");
            let noisy = noisy.replace("\ndata:", "\r\ndata:");
            let (frames_of, rest) = frames([body.as_bytes()]);
            let (noisy, noisy_rest) = frames([noisy.as_bytes()]);
            let (a, b) = (
                fold(format, &frames_of, rest.as_deref()),
                fold(format, &noisy, noisy_rest.as_deref()),
            );
            assert_eq!(a, b, "{}", recording.id);
        }
    }
}
