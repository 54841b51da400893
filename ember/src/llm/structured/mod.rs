//! Answers that are values of a type.
//!
//! The type's schema goes to the provider in the way that suits it ([`JsonMode`]); the answer is
//! checked by the schema and the type, and asked for once more with what was wrong. A provider
//! that refuses a schema is asked in the next plainer way. Whether the answer arrives whole or bit
//! by bit, the same [`Attempts`](attempts::Attempts) judge it.

mod partial;
mod nulls;
mod shape;
mod attempts;
mod stream;

pub use partial::PartialJson;
pub use stream::{JsonEvent, JsonStream};

use super::chat::ChatResponse;
use super::client::Prompt;
use super::error::Error;
use super::json_mode::JsonMode;
use crate::base::JsonSchema;
use attempts::{Attempts, Verdict};
use serde::de::DeserializeOwned;

/// A value that a model has answered with, and how it came to it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Structured<T> {
    /// The value.
    pub value: T,
    /// The answer that holds it. The usage is that of all attempts; an attempt that failed, and
    /// what was said to it, are among the steps.
    pub response: ChatResponse,
    /// How many answers it took: 1 or 2.
    pub attempts: usize,
}

impl Prompt {
    /// Sets how the model is brought to answer in JSON, in place of what suits it by the catalogue.
    pub fn json_mode(mut self, mode: JsonMode) -> Self {
        self.json_mode = Some(mode);
        self
    }

    /// Sends the request, and returns the answer as a value of a type.
    ///
    /// An answer that does not fit the type's schema is asked for once more, with what was wrong.
    ///
    /// ```
    /// # use ember::llm::{Client, FakeProvider};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ember::llm::Error> {
    /// # let client = Client::new(FakeProvider::new().text(r#"{"name": "Paris", "inhabitants": 2100000}"#));
    /// #[derive(serde::Deserialize, ember::JsonSchema)]
    /// struct City {
    ///     name: String,
    ///     inhabitants: u64,
    /// }
    ///
    /// let city: City = client.prompt("The capital of France?").json().await?;
    /// assert_eq!(city.name, "Paris");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Client::ask`](super::Client::ask): an answer that is cut is
    /// [`Truncated`](super::ErrorKind::Truncated), one that is refused
    /// [`ContentFilter`](super::ErrorKind::ContentFilter). One that does not fit the second time
    /// either is [`Decode`](super::ErrorKind::Decode).
    pub async fn json<T: JsonSchema + DeserializeOwned>(self) -> Result<T, Error> {
        Ok(self.json_response().await?.value)
    }

    /// As [`Prompt::json`], with the answer around the value.
    ///
    /// # Errors
    /// As [`Prompt::json`].
    pub async fn json_response<T: JsonSchema + DeserializeOwned>(
        self,
    ) -> Result<Structured<T>, Error> {
        let Self { client, request, json_mode } = self;
        let mut attempts = Attempts::new::<T>(client, request, json_mode);
        loop {
            let response = match attempts.client().complete(attempts.request()?).await {
                Ok(response) => response,
                Err(error) if attempts.step_down(&error) => continue,
                Err(error) => return Err(error),
            };
            if let Verdict::Fits(structured) = attempts.judge(response)? {
                return Ok(*structured);
            }
        }
    }

    /// As [`Prompt::json`], with the value as it comes into being: JSON that lacks its end first,
    /// and a value of the type last.
    ///
    /// ```
    /// # use ember::llm::{Client, FakeProvider, JsonEvent};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ember::llm::Error> {
    /// # let client = Client::new(FakeProvider::new().text(r#"{"value": ["red", "green"]}"#));
    /// let mut stream = client.prompt("Two colours.").json_stream::<Vec<String>>().await?;
    /// while let Some(event) = stream.next().await {
    ///     match event? {
    ///         JsonEvent::Partial(value) => println!("so far: {value}"),
    ///         JsonEvent::Done(colours) => assert_eq!(colours.value, ["red", "green"]),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Whatever keeps the answer from beginning; later failures, which are those of
    /// [`Prompt::json`], are told in the stream.
    pub async fn json_stream<T: JsonSchema + DeserializeOwned + Send + 'static>(
        self,
    ) -> Result<JsonStream<T>, Error> {
        let Self { client, request, json_mode } = self;
        JsonStream::open(Attempts::new::<T>(client, request, json_mode)).await
    }
}
