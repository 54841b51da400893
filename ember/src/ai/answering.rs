//! An answer on its way to the reader, with the conversation that it belongs to.

use super::on_disconnect::OnDisconnect;
use super::transcript::Transcript;
use crate::base::Error;
use crate::llm::{Accumulator, ChatEvent, ChatResponse, ChatStream, Finish, Message, Role};
use futures_core::Stream;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A streamed answer, which is remembered before its reader is told that it is complete.
pub(super) struct Answering {
    /// Events that have arrived and are not passed on yet.
    ready: VecDeque<ChatEvent>,
    accumulator: Accumulator,
    on_disconnect: OnDisconnect,
    state: State,
}

enum State {
    Reading {
        answer: ChatStream,
        transcript: Box<Transcript>,
    },
    /// The answer is complete and is being remembered; only then the reader is told.
    Saving(Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>, Option<Finish>),
    Over,
}

impl Answering {
    /// An answer of which these events have arrived. Its question is in the transcript.
    pub(super) fn new(
        ready: VecDeque<ChatEvent>,
        answer: ChatStream,
        transcript: Transcript,
        on_disconnect: OnDisconnect,
    ) -> Self {
        let state = State::Reading { answer, transcript: Box::new(transcript) };
        Self { ready, accumulator: Accumulator::new(), on_disconnect, state }
    }

    /// Begins to remember the answer.
    fn save(&mut self, finish: Finish) -> Result<(), Error> {
        let answer = std::mem::take(&mut self.accumulator).finish()?.into_message()?;
        // The stream of the model goes here: the next turn's budget need not wait for the store.
        if let State::Reading { mut transcript, .. } =
            std::mem::replace(&mut self.state, State::Over)
        {
            transcript.add(answer);
            if self.on_disconnect == OnDisconnect::Keep {
                transcript.owe();
            }
            let save = Box::pin(async move {
                let saved = transcript.save().await;
                if saved.is_err() {
                    // Its reader is told so, and may ask again.
                    transcript.disown();
                }
                saved
            });
            self.state = State::Saving(save, Some(finish));
        }
        Ok(())
    }
}

impl Stream for Answering {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let event = match &mut this.state {
                State::Over => return Poll::Ready(None),
                State::Saving(save, finish) => {
                    let outcome = ready!(save.as_mut().poll(context));
                    let finish = finish.take().map(ChatEvent::Finish);
                    this.state = State::Over;
                    return Poll::Ready(match outcome {
                        Ok(()) => finish.map(Ok),
                        Err(error) => Some(Err(error)),
                    });
                }
                State::Reading { answer, .. } => match this.ready.pop_front() {
                    Some(event) => Some(Ok(event)),
                    None => ready!(Pin::new(answer).poll_next(context)),
                },
            };
            // A turn that fails is as if it had not been.
            match event.transpose() {
                Ok(Some(event)) => {
                    this.accumulator.push(&event);
                    let ChatEvent::Finish(finish) = event else {
                        return Poll::Ready(Some(Ok(event)));
                    };
                    if let Err(error) = this.save(finish) {
                        this.state = State::Over;
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                // The stream itself sees to it that an end is either a finish or an error.
                Ok(None) => this.state = State::Over,
                Err(error) => {
                    this.state = State::Over;
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
        }
    }
}

impl Drop for Answering {
    /// The reader has gone, unless the answer is over.
    fn drop(&mut self) {
        if let State::Reading { answer, mut transcript } =
            std::mem::replace(&mut self.state, State::Over)
        {
            drop(answer);
            keep(self.on_disconnect, &self.accumulator, None, &mut transcript);
        }
    }
}

/// An answer that is gathered for a reader who waits for the whole of it.
struct Gathering<'a> {
    /// After how many messages it stands.
    question: Option<(usize, Message)>,
    accumulator: Accumulator,
    transcript: &'a mut Transcript,
}

/// Waits for the end of an answer; what there is of it is kept if nobody waits any longer.
pub(super) async fn gather(
    mut answer: ChatStream,
    place: usize,
    question: Message,
    transcript: &mut Transcript,
) -> Result<ChatResponse, Error> {
    let mut gathering = Gathering {
        question: Some((place, question)),
        accumulator: Accumulator::new(),
        transcript,
    };
    while let Some(event) = answer.next().await {
        match event {
            Ok(event) => gathering.accumulator.push(&event),
            Err(error) => {
                gathering.question = None;
                return Err(error.into());
            }
        }
    }
    gathering.question = None;
    Ok(std::mem::take(&mut gathering.accumulator).finish()?)
}

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        if let Some(question) = self.question.take() {
            keep(OnDisconnect::Keep, &self.accumulator, Some(question), self.transcript);
        }
    }
}

/// Keeps as much of an answer as there is, if that is wanted and anything was said.
fn keep(
    on_disconnect: OnDisconnect,
    accumulator: &Accumulator,
    question: Option<(usize, Message)>,
    transcript: &mut Transcript,
) {
    if on_disconnect == OnDisconnect::RollBack {
        return;
    }
    let content = accumulator.content().iter().cloned();
    let said = spoken(&Message::new(Role::Assistant, content));
    if said.is_empty() {
        return;
    }
    let mut said = Message::assistant(said);
    said.cut = true;
    if let Some((place, question)) = question {
        transcript.go_back(place);
        transcript.add(question);
    }
    transcript.add(said);
    transcript.owe();
}

/// What the model says to its reader, be it an answer or a refusal.
pub(super) fn spoken(message: &Message) -> String {
    let text = message.text();
    match message.refusal() {
        Some(refusal) if text.is_empty() => refusal.into_owned(),
        _ => text.into_owned(),
    }
}
