//! Event streams: 1,000 events, encoded, and decoded in several cuts.

use crate::{Area, Work};
use ember::base::sse::{Decoder, Event, Frame, SseWriter};
use std::hint::black_box;

pub(crate) const ALL: Area = &[
    ("sse/encode 1,000 data", encode_data),
    ("sse/encode 1,000 named", encode_named),
    ("sse/decode 1,000 whole", || decode(usize::MAX)),
    ("sse/decode 1,000 cut at 1,448", || decode(1_448)),
    ("sse/decode 1,000 cut at 100", || decode(100)),
];

const EVENTS: usize = 1_000;

const DATA: &str = r#"{"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}"#;

fn encode_data() -> Work {
    let mut writer = SseWriter::new();
    Box::new(move || {
        for _ in 0..EVENTS {
            writer.data(black_box(DATA));
        }
        assert_eq!(writer.take().len(), EVENTS * (DATA.len() + "data: \n\n".len()));
    })
}

fn encode_named() -> Work {
    let mut writer = SseWriter::new();
    let event = Event::data(DATA).event("delta").id("4711");
    let length = event.to_string().len();
    Box::new(move || {
        for _ in 0..EVENTS {
            writer.event(black_box(&event));
        }
        assert_eq!(writer.take().len(), EVENTS * length);
    })
}

fn decode(cut: usize) -> Work {
    let mut writer = SseWriter::new();
    (0..EVENTS).for_each(|_| writer.data(DATA));
    let bytes = writer.take();
    Box::new(move || {
        let (mut decoder, mut length) = (Decoder::new(), 0);
        for piece in black_box(&bytes[..]).chunks(cut.min(bytes.len())) {
            let decoded = decoder.decode(piece, |frame| {
                if let Frame::Event { data, .. } = frame {
                    length += data.len();
                }
            });
            decoded.expect("the events are small");
        }
        assert_eq!(length, EVENTS * DATA.len());
    })
}
