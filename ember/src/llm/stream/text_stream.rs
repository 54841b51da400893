use super::chat_stream::ChatStream;
use super::event::ChatEvent;
use crate::llm::chat::{Finish, refused};
use crate::llm::error::{Error, ErrorKind};
use crate::llm::message::{Part, Text};
use futures_core::Stream;
use futures_util::StreamExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The pieces of text of an answer.
///
/// After the last piece of a complete answer comes the end. An answer that breaks, is cut, is
/// withheld or is a refusal ends in an error, as
/// [`ChatResponse::into_text`](crate::llm::ChatResponse::into_text) tells it.
#[derive(Debug)]
pub struct TextStream {
    events: ChatStream,
    refusal: Option<String>,
    /// Whether this turn has told any text.
    told: bool,
}

impl ChatStream {
    /// The pieces of text alone.
    pub fn into_text(self) -> TextStream {
        TextStream { events: self, refusal: None, told: false }
    }
}

impl TextStream {
    /// Waits for the next piece; `None` after the end.
    ///
    /// # Cancel safety
    /// No piece is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Result<String, Error>> {
        StreamExt::next(self).await
    }

    /// Tells whether the answer that has ended so is a text.
    fn check(&self, finish: &Finish) -> Result<(), Error> {
        finish.check(self.refusal.is_some())?;
        match &self.refusal {
            Some(refusal) => Err(refused(refusal)),
            None => Ok(()),
        }
    }
}

impl Stream for TextStream {
    type Item = Result<String, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(self.events.poll_next_unpin(context)) {
                Some(Ok(
                    ChatEvent::Text(text) | ChatEvent::Part(Part::Text(Text { text, .. })),
                )) => {
                    self.told = true;
                    return Poll::Ready(Some(Ok(text)));
                }
                // Text that has been handed out cannot be taken back.
                Some(Ok(ChatEvent::Reset)) if self.told => {
                    self.events.close();
                    return Poll::Ready(Some(Err(begun_anew())));
                }
                Some(Ok(ChatEvent::Reset)) => self.refusal = None,
                Some(Ok(ChatEvent::Refusal(piece))) => {
                    self.refusal.get_or_insert_default().push_str(&piece);
                }
                // What was refused in a turn before the last is not the answer.
                Some(Ok(ChatEvent::StepEnd)) => {
                    self.refusal = None;
                    self.told = false;
                }
                Some(Ok(ChatEvent::Part(Part::Refusal(text)))) => self.refusal = Some(text),
                Some(Ok(ChatEvent::Finish(finish))) => {
                    return Poll::Ready(self.check(&finish).err().map(Err));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

fn begun_anew() -> Error {
    Error::new(ErrorKind::Truncated, "the provider began its answer anew in the middle of it")
}
