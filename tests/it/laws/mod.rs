//! The laws that hold for every adapter, whatever a model answers.
//!
//! Answers are generated and written in each of the four interfaces, whole and streamed. What is
//! read of them must follow from the answer alone: not from how its bytes are cut, nor from what
//! stands in between.

mod document;
mod streams;
mod chunking;
mod echo;
mod ending;
mod noise;
mod usage;
mod moving;
mod cancelling;

use ember::llm::adapter::anthropic::Anthropic;
use ember::llm::adapter::gemini::Gemini;
use ember::llm::adapter::openai::OpenAi;
use ember::llm::adapter::responses::OpenAiResponses;
use ember::llm::adapter::{Adapter, CallIds, Encoded, EventDecoder};
use ember::llm::{
    Accumulator, ChatEvent, ChatRequest, ChatResponse, Client, Error, ErrorKind, HttpProvider,
    ProviderConfig,
};
use proptest::prelude::*;
use std::collections::VecDeque;

/// The interface that is spoken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wire {
    OpenAi,
    Responses,
    Anthropic,
    Gemini,
}

impl Wire {
    const ALL: [Self; 4] = [Self::OpenAi, Self::Responses, Self::Anthropic, Self::Gemini];

    fn decoder(self) -> Box<dyn EventDecoder> {
        let ids = CallIds::default();
        match self {
            Self::OpenAi => Box::new(OpenAi::new().decoder(ids)),
            Self::Responses => Box::new(OpenAiResponses::new().decoder(ids)),
            Self::Anthropic => Box::new(Anthropic::new().decoder(ids)),
            Self::Gemini => Box::new(Gemini::new().decoder(ids)),
        }
    }

    fn decode(self, body: &str) -> Result<ChatResponse, Error> {
        let (body, ids) = (body.as_bytes(), CallIds::default());
        match self {
            Self::OpenAi => OpenAi::new().decode(body, ids),
            Self::Responses => OpenAiResponses::new().decode(body, ids),
            Self::Anthropic => Anthropic::new().decode(body, ids),
            Self::Gemini => Gemini::new().decode(body, ids),
        }
    }

    fn encode(self, request: &ChatRequest) -> Encoded {
        let encoded = match self {
            Self::OpenAi => OpenAi::new().encode(request, "model", false),
            Self::Responses => OpenAiResponses::new().encode(request, "model", false),
            Self::Anthropic => Anthropic::new().encode(request, "model", false),
            Self::Gemini => Gemini::new().encode(request, "model", false),
        };
        encoded.unwrap()
    }

    fn client(self, url: String) -> Client {
        let config = |name: &str| ProviderConfig::new(name, "m").api_key("k").base_url(url.clone());
        match self {
            Self::OpenAi => Client::new(HttpProvider::openai(&config("openai")).unwrap()),
            Self::Responses => {
                Client::new(HttpProvider::openai_responses(&config("openai-responses")).unwrap())
            }
            Self::Anthropic => Client::new(HttpProvider::anthropic(&config("anthropic")).unwrap()),
            Self::Gemini => Client::new(HttpProvider::gemini(&config("gemini")).unwrap()),
        }
    }
}

/// A failure is told with its smallest input; no file is left behind.
fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() }
}

type Outcome<T = ChatResponse> = Result<T, (ErrorKind, String)>;

fn told(error: Error) -> (ErrorKind, String) {
    (error.kind(), error.message().to_owned())
}

/// What a decoder makes of the data of events. It ends with exactly one end, which is the last.
fn events(wire: Wire, frames: &[String], rest: Option<&str>) -> Outcome<Vec<ChatEvent>> {
    let mut decoder = wire.decoder();
    let mut events = VecDeque::new();
    let finished =
        |events: &VecDeque<ChatEvent>| matches!(events.back(), Some(ChatEvent::Finish(_)));
    for frame in frames {
        if !finished(&events) {
            decoder.event(frame, &mut events).map_err(told)?;
        }
    }
    if !finished(&events) {
        decoder.end(rest, &mut events).map_err(told)?;
    }
    let ends = events.iter().filter(|event| matches!(event, ChatEvent::Finish(_))).count();
    assert_eq!((ends, finished(&events)), (1, true), "one end, and nothing behind it");
    Ok(events.into())
}

/// The answer that the data of events tell.
fn fold(wire: Wire, frames: &[String], rest: Option<&str>) -> Outcome {
    let mut accumulator = Accumulator::new();
    events(wire, frames, rest)?.iter().for_each(|event| accumulator.push(event));
    accumulator.finish().map_err(told)
}
