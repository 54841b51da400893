#![expect(clippy::panic, reason = "a response that is not what the test expects must fail it")]

use crate::base::sse::{Decoder, Frame};
use crate::web::{Body, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use std::collections::VecDeque;

/// The response of an application, whose body may still be arriving.
///
/// # Panics
/// Its methods panic, with the reason, when the body is not what they are asked for.
#[derive(Debug)]
pub struct TestResponse {
    head: http::response::Parts,
    body: Body,
    decoder: Decoder,
    events: VecDeque<TestEvent>,
}

/// An event of a streamed response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TestEvent {
    /// Its type; `message` where the stream named none.
    pub event: String,
    /// Its data.
    pub data: String,
}

impl TestResponse {
    pub(super) fn new(response: Response) -> Self {
        let (head, body) = response.into_parts();
        Self { head, body, decoder: Decoder::new(), events: VecDeque::new() }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Waits for the whole body.
    pub async fn bytes(self) -> Bytes {
        match self.body.collect().await {
            Ok(bytes) => bytes,
            Err(error) => panic!("the body broke: {error}"),
        }
    }

    /// Waits for the whole body, which must be UTF-8.
    pub async fn text(self) -> String {
        match String::from_utf8(self.bytes().await.into()) {
            Ok(text) => text,
            Err(error) => panic!("the body is not UTF-8: {error}"),
        }
    }

    /// Waits for the whole body, and reads it as JSON.
    pub async fn json<T: DeserializeOwned>(self) -> T {
        let text = self.text().await;
        match serde_json::from_str(&text) {
            Ok(value) => value,
            Err(error) => panic!("the body is not the JSON that was expected: {error}: {text}"),
        }
    }

    /// Waits for the next piece of the body as it is sent; `None` at the end.
    pub async fn chunk(&mut self) -> Option<Bytes> {
        match self.body.data().await {
            Ok(data) => data,
            Err(error) => panic!("the body broke: {error}"),
        }
    }

    /// Waits for the next event of a streamed body; `None` at the end.
    pub async fn next_event(&mut self) -> Option<TestEvent> {
        while self.events.is_empty() {
            let chunk = self.chunk().await?;
            let events = &mut self.events;
            let outcome = self.decoder.decode(&chunk, |frame| {
                if let Frame::Event { event, data, .. } = frame {
                    events.push_back(TestEvent { event: event.to_owned(), data: data.to_owned() });
                }
            });
            if let Err(error) = outcome {
                panic!("the events cannot be read: {error}");
            }
        }
        self.events.pop_front()
    }

    /// Waits for all events of a streamed body.
    pub async fn events(mut self) -> Vec<TestEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.next_event().await {
            events.push(event);
        }
        events
    }
}
