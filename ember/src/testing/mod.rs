//! Testing an application without a socket and without a model.
//!
//! [`TestClient`] calls a [`Ready`](crate::Ready) application directly, streams included;
//! [`FakeProvider`] plays the model, and [`conformance`] tests a provider of one's own.
//!
//! ```
//! use ember::prelude::*;
//! use ember::testing::TestClient;
//!
//! #[get("/double/{n}")]
//! async fn double(n: i64) -> String {
//!     (2 * n).to_string()
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let client = TestClient::new(ember::app!().build().unwrap());
//! let response = client.get("/double/21").send().await;
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.text().await, "42");
//! # }
//! ```

mod client;
mod embedder;
mod response;
pub mod conformance;

pub use crate::base::clock::ManualClock;
pub use crate::llm::{FakeProvider, FakeReply};
pub use client::{TestClient, TestRequest};
pub use embedder::NgramEmbedder;
pub use response::{TestEvent, TestResponse};
