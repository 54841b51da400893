use ember::base::sse::{Decoder, Frame};

/// The data of all events of a body that arrives in these pieces, and what is left at its end.
pub fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Option<String>) {
    let (mut decoder, mut frames) = (Decoder::new(), Vec::new());
    for piece in pieces {
        let outcome = decoder.decode(piece, |frame| {
            if let Frame::Event { data, .. } = frame {
                frames.push(data.to_owned());
            }
        });
        outcome.unwrap();
    }
    (frames, decoder.finish().map(|rest| rest.to_string()))
}
