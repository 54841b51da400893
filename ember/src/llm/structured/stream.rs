use super::Structured;
use super::attempts::{Attempts, Verdict};
use super::partial::PartialJson;
use super::shape::json_of;
use crate::llm::error::Error;
use crate::llm::message::Part;
use crate::llm::stream::{Accumulator, ChatEvent, ChatStream};
use futures_core::Stream;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A step of a value that comes into being.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "the whole answer comes once, and is not kept")]
pub enum JsonEvent<T> {
    /// What is there so far, unchecked: texts may lack their end, lists and objects their last
    /// members. Each is the one before and more.
    Partial(Value),
    /// What was there does not count, for these reasons: it does not fit, or the model has begun its
    /// answer anew. The value begins anew as well.
    Again(Vec<String>),
    /// The value. Nothing follows.
    Done(Structured<T>),
}

/// A value as it comes into being.
///
/// It ends with [`JsonEvent::Done`], or with an error. Dropping it closes the connection to the
/// provider.
pub struct JsonStream<T> {
    /// Until the end.
    events: Option<Events<T>>,
}

type Events<T> = Pin<Box<dyn Stream<Item = Result<JsonEvent<T>, Error>> + Send>>;

impl<T: DeserializeOwned + Send + 'static> JsonStream<T> {
    pub(super) async fn open(attempts: Attempts) -> Result<Self, Error> {
        let mut flow = Flow { attempts, reading: None };
        flow.reading = Some(flow.open().await?);
        let events = futures_util::stream::unfold(flow, |mut flow| async {
            let event = flow.next().await;
            Some((event, flow))
        });
        Ok(Self { events: Some(Box::pin(events)) })
    }

    /// Waits for the end, and returns the value.
    ///
    /// # Errors
    /// When the stream ends in one.
    pub async fn value(self) -> Result<T, Error> {
        Ok(self.response().await?.value)
    }

    /// As [`JsonStream::value`], with the answer around the value.
    ///
    /// # Errors
    /// When the stream ends in one.
    pub async fn response(mut self) -> Result<Structured<T>, Error> {
        loop {
            match self.next().await {
                Some(Ok(JsonEvent::Done(structured))) => return Ok(structured),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                // The end was taken before.
                None => return Err(ended()),
            }
        }
    }
}

impl<T> JsonStream<T> {
    /// Waits for the next event; `None` after the end.
    ///
    /// # Cancel safety
    /// No event is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Result<JsonEvent<T>, Error>> {
        StreamExt::next(self).await
    }
}

impl<T> Stream for JsonStream<T> {
    type Item = Result<JsonEvent<T>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(events) = &mut self.events else {
            return Poll::Ready(None);
        };
        let item = std::task::ready!(events.as_mut().poll_next(context));
        if matches!(item, None | Some(Err(_) | Ok(JsonEvent::Done(_)))) {
            self.events = None;
        }
        Poll::Ready(item)
    }
}

impl<T> fmt::Debug for JsonStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonStream").field("ended", &self.events.is_none()).finish()
    }
}

/// What is said of a value that is void, though nothing is wrong with it.
const ANEW: &str = "the model has begun its answer anew";

fn ended() -> Error {
    Error::new(crate::llm::ErrorKind::Truncated, "the stream of the value has ended before")
}

struct Flow {
    attempts: Attempts,
    reading: Option<Reading>,
}

/// An answer that arrives.
struct Reading {
    stream: ChatStream,
    accumulator: Accumulator,
    json: PartialJson,
    /// Whether the JSON has begun; words may stand before it.
    begun: bool,
    /// The call whose arguments are the answer.
    call: Option<usize>,
    /// Whether anything of the value was told.
    told: bool,
}

/// What an event means for the value.
enum Change {
    Nothing,
    /// There is more of it.
    More,
    /// What was there of it is void.
    Void,
}

impl Flow {
    /// Begins an answer, in a plainer way where the provider refuses this one.
    async fn open(&mut self) -> Result<Reading, Error> {
        loop {
            match self.attempts.client().stream(self.attempts.request()?).await {
                Ok(stream) => return Ok(Reading::new(stream)),
                Err(error) if self.attempts.step_down(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn next<T: DeserializeOwned>(&mut self) -> Result<JsonEvent<T>, Error> {
        loop {
            let reading = match &mut self.reading {
                Some(reading) => reading,
                None => {
                    let reading = self.open().await?;
                    self.reading.insert(reading)
                }
            };
            let event = reading.stream.next().await.unwrap_or_else(|| Err(ended()))?;
            reading.accumulator.push(&event);
            if let ChatEvent::Finish(_) = event {
                let accumulator = std::mem::take(&mut reading.accumulator);
                self.reading = None;
                return Ok(match self.attempts.judge(accumulator.finish()?)? {
                    Verdict::Fits(structured) => JsonEvent::Done(*structured),
                    Verdict::Again(mistakes) => JsonEvent::Again(mistakes),
                });
            }
            match reading.read(&event, self.attempts.tool()) {
                Change::More => {
                    let value = reading.json.value();
                    let shape = self.attempts.shape();
                    if let Some(value) = value.and_then(|value| shape.unwrapped(value)) {
                        reading.told = true;
                        return Ok(JsonEvent::Partial(value));
                    }
                }
                Change::Void if std::mem::take(&mut reading.told) => {
                    return Ok(JsonEvent::Again(vec![ANEW.to_owned()]));
                }
                Change::Void | Change::Nothing => {}
            }
        }
    }
}

impl Reading {
    fn new(stream: ChatStream) -> Self {
        let (accumulator, json) = (Accumulator::new(), PartialJson::new());
        Self { stream, accumulator, json, begun: false, call: None, told: false }
    }

    /// Reads on. `tool` takes the answer, if any does.
    fn read(&mut self, event: &ChatEvent, tool: Option<&str>) -> Change {
        match (event, tool) {
            (ChatEvent::Text(piece), None) => self.push(piece),
            (ChatEvent::Part(Part::Text(text)), None) => self.push(&text.text),
            (ChatEvent::Part(Part::ToolCall(call)), Some(tool)) if call.name == tool => {
                self.push(&call.arguments)
            }
            // A call that begins under an index that is known takes the place of that one.
            (ChatEvent::ToolCallStart { index, name, .. }, Some(tool))
                if self.call.is_none_or(|call| call == *index) =>
            {
                let change = self.call.map_or(Change::Nothing, |_| self.void());
                self.call = (name == tool).then_some(*index);
                change
            }
            (ChatEvent::ToolCallDelta { index, arguments }, Some(_))
                if self.call == Some(*index) =>
            {
                self.push(arguments)
            }
            // What was said before tools ran is not the answer, nor what the provider takes back.
            (ChatEvent::StepEnd | ChatEvent::Reset, _) => self.void(),
            _ => Change::Nothing,
        }
    }

    fn push(&mut self, piece: &str) -> Change {
        let piece = if self.begun { Some(piece) } else { json_of(piece) };
        self.begun |= piece.is_some();
        match piece.is_some_and(|piece| self.json.push(piece)) {
            true => Change::More,
            false => Change::Nothing,
        }
    }

    fn void(&mut self) -> Change {
        (self.json, self.begun, self.call) = (PartialJson::new(), false, None);
        Change::Void
    }
}
