//! Answers on their way into the cache, and out of it again.

use super::Ticket;
use crate::llm::chat::ChatResponse;
use crate::llm::error::Error;
use crate::llm::stream::{Accumulator, ChatEvent, ChatStream};
use futures_core::Stream;
use futures_util::{StreamExt as _, stream};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// How long a piece of a replayed text is at least, in bytes; it ends with a word.
const PIECE: usize = 24;

/// An answer of the cache as a stream: in pieces, as a model would have told it.
pub(in crate::llm) fn replayed_stream(answer: ChatResponse) -> ChatStream {
    ChatStream::new(answer.into_stream().flat_map(|item| {
        stream::iter(match item {
            Ok(ChatEvent::Text(text)) => pieces(&text)
                .into_iter()
                .map(|piece| Ok(ChatEvent::Text(piece.to_owned())))
                .collect(),
            item => vec![item],
        })
    }))
}

/// The pieces of a text. Together they are the text.
fn pieces(text: &str) -> Vec<&str> {
    let (mut pieces, mut start) = (Vec::new(), 0);
    let mut was_space = false;
    for (place, char) in text.char_indices() {
        if was_space && !char.is_whitespace() && place - start >= PIECE {
            pieces.push(&text[start..place]);
            start = place;
        }
        was_space = char.is_whitespace();
    }
    pieces.push(&text[start..]);
    pieces
}

/// A stream whose answer is kept when it is complete.
pub(in crate::llm) fn kept_stream(stream: ChatStream, ticket: Ticket) -> ChatStream {
    ChatStream::new(Taken { stream, taken: Some((ticket, Accumulator::new(), 0)) })
}

struct Taken {
    stream: ChatStream,
    /// Until the end, or until the answer is too large; with how large it is, in bytes.
    taken: Option<(Ticket, Accumulator, usize)>,
}

impl Stream for Taken {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.stream).poll_next(context));
        match &item {
            Some(Ok(event)) => self.notice(event),
            Some(Err(error)) => {
                if let Some((ticket, ..)) = self.taken.take() {
                    ticket.failed(error);
                }
            }
            None => {}
        }
        Poll::Ready(item)
    }
}

impl Taken {
    fn notice(&mut self, event: &ChatEvent) {
        let Some((ticket, accumulator, size)) = &mut self.taken else { return };
        accumulator.push(event);
        if let ChatEvent::Text(text) | ChatEvent::Reasoning(text) = event {
            *size += text.len();
        }
        if *size > ticket.max_answer() {
            if let Some((ticket, ..)) = self.taken.take() {
                ticket.gave_up();
            }
        } else if matches!(event, ChatEvent::Finish(_))
            && let Some((ticket, accumulator, _)) = self.taken.take()
        {
            match accumulator.finish() {
                Ok(answer) => ticket.answered(&answer),
                Err(_) => ticket.gave_up(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_with_words_and_make_the_text() {
        for text in [
            "",
            "one",
            &"word ".repeat(30),
            &"ü".repeat(200),
            "  a\n\n b  ",
            &"日本 語の ".repeat(20),
        ] {
            let pieces = pieces(text);
            assert_eq!(pieces.concat(), text);
            assert!(pieces.iter().rev().skip(1).all(|piece| piece.len() >= PIECE));
        }
        assert!(pieces(&"word ".repeat(30)).len() > 4);
    }
}
