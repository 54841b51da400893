//! The OpenAI-compatible API: whoever speaks to OpenAI can speak to the application.
//!
//! [`Ember::openai_api`](crate::Ember::openai_api) adds these routes below a path, usually `/v1`:
//!
//! | route | answers |
//! |---|---|
//! | `POST /chat/completions` | a conversation, all at once or streamed, by the application's [`Client`](crate::llm::Client) |
//! | `GET /models`, `GET /models/{id}` | the models that the caller may ask |
//! | `POST /embeddings` | vectors of texts, where the application has an [`Embedder`](crate::llm::Embedder) |
//!
//! ```
//! use ember::ai::{OpenAiApi, VirtualKey};
//! use ember::prelude::*;
//! # use ember::llm::{FakeProvider, Client};
//!
//! /// The current weather in a city.
//! #[tool]
//! async fn get_weather(city: String) -> String {
//!     format!("It is sunny in {city}.")
//! }
//!
//! fn app() -> Ember {
//!     let keys = [VirtualKey::new("team-a", "sk-long-and-random").models(["support-bot"])];
//!     // A model of the application's own, beside those of its provider.
//!     let api = OpenAiApi::new("/v1").keys(keys).model("support-bot", |options| {
//!         options.system("You help.").tools([get_weather {}.into()]);
//!     });
//!     ember::app!().openai_api(api)
//! }
//! # fn main() { app().client(Client::new(FakeProvider::new())).build().unwrap(); }
//! ```
//!
//! # What is answered
//!
//! Requests are read tolerantly: members that nobody knows are passed over, as clients send new
//! ones. A member of another type than OpenAI's is refused with its place in `param`. So are
//! members that would change the answer and cannot be said to every provider (`n` above 1,
//! penalties, `logit_bias`, `logprobs`, audio), unless [`OpenAiApi::forward`] sends them on as they
//! are. `user`, `safety_identifier`, `metadata`, `store`, `service_tier`, `prediction`, what concerns
//! the provider's cache (`prompt_cache_key`, `prompt_cache_retention`), `stream_options.include_obfuscation`,
//! the `name` of a message, and the `detail` of an image have no effect. A negative `seed` is sent as another
//! that is not. An address of an image is handed to the provider, which fetches it: what it can reach, it shows.
//!
//! A request without a temperature gets `EMBER_TEMPERATURE` where that is set, and otherwise none: the model's
//! own holds, as it would without the gateway. A model that the application defines gets the application's.
//!
//! The id of an answer ends in the same digits as its `x-request-id`, unless other middleware has set that.
//!
//! What the model that answers cannot be told is named in the header `x-ember-dropped`. Where that is the
//! `response_format` or the `tool_choice`, the request is refused instead, as the answer would be another.
//! A `json_schema` is only enforced where it says `strict: true`, as OpenAI has it; there are models, Anthropic's
//! among them, that can only be told schemas that are enforced.
//!
//! Tools of the request are the caller's: the model's calls of them go back. Those of
//! [`OpenAiApi::tools`] run here, and the caller sees nothing of them but what the model makes of
//! their results; where the model calls both kinds in one turn, the caller gets its own calls.
//!
//! A failure before the first token is a status with `{"error": …}`; a later one a frame of that
//! form in the stream, which then ends without `[DONE]`. What the provider says about the
//! caller's own request is told; its limits, keys and failures are not.
//!
//! # Routes as models
//!
//! An `#[ai_route]` with `openai_model = "support-bot"` is a model of that name. Its options make
//! it: `system`, `tools`, `model`, `token_limits`, and whatever else the route says of its model.
//! Its function is not called: that takes a body of its own kind and answers with bare
//! tokens, so that neither the caller's messages nor the usage could go through it honestly. The
//! messages of the caller are the conversation, after the instructions of the route; nothing is
//! remembered here.
//!
//! The route itself is still there, and keys of this API are not asked for at its own path: what keeps
//! strangers from it is the route's own middleware. A model that needs no path has none with
//! [`OpenAiApi::model`].
//!
//! # Keys
//!
//! [`VirtualKey`]s come from the program and from `EMBER_API_KEYS` (`team-a:secret,…`). Without
//! any, only programs on this machine are answered, and an application that listens elsewhere does not start,
//! unless [`OpenAiApi::open`] says that it shall. Of this machine is a request that comes from a loopback address,
//! asks for `localhost` or such an address as its `Host`, and does not say that somebody has passed it on
//! (`Forwarded`, `X-Forwarded-For`, `X-Real-IP`, `Via`). One that came over a Unix socket, or through another
//! framework that the application is mounted in, has no address and is none of them. A proxy that says nothing
//! of what it passes on, as nginx unless it is told to, cannot be told from a program here: behind any proxy, set keys. A request that other middleware has found a
//! [`Principal`](crate::Principal) for is answered as well.
//!
//! Keys stand where bearer tokens do: a [`BearerAuth`](crate::web::middleware::BearerAuth) around the whole application
//! would refuse them, and needs `.exclude_paths(["/v1/*"])`.
//!
//! # By hand
//!
//! What is underneath is an ordinary route; this one is enough for a client that streams text:
//!
//! ```
//! use ember::prelude::*;
//! use ember::futures_util::{StreamExt as _, stream};
//! use serde_json::{Value, json};
//! # use ember::{serde_json, futures_util};
//!
//! #[post("/v1/chat/completions")]
//! async fn completions(client: Client, Json(body): Json<Value>) -> ember::Result<Response> {
//!     let question = body["messages"][0]["content"].as_str().unwrap_or_default();
//!     let model = body["model"].clone();
//!     let frame = move |object: &str, choice: Value| {
//!         json!({"id": "chatcmpl-1", "object": object, "created": 0, "model": model, "choices": [choice]})
//!     };
//!     if body["stream"] != true {
//!         let message = json!({"role": "assistant", "content": client.ask(question).await?});
//!         let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
//!         return Ok(Json(frame("chat.completion", choice)).into_response());
//!     }
//!     let chunks = client.stream_text(question).await?.map(move |text| {
//!         let choice = json!({"index": 0, "delta": {"content": text?}, "finish_reason": null});
//!         Ok::<_, Error>(Event::data(frame("chat.completion.chunk", choice).to_string()))
//!     });
//!     let done = stream::iter([Ok(Event::data("[DONE]"))]);
//!     Ok(Sse::new(chunks.chain(done)).into_response())
//! }
//! # use ember::llm::FakeProvider;
//! # fn main() { ember::app!().client(Client::new(FakeProvider::new())).build().unwrap(); }
//! ```

mod document;
mod reader;
mod error;
mod keys;
mod gate;
mod messages;
mod request;
mod response;
mod stream;
mod api;
mod chat;
mod models;
mod embeddings;
mod prices;
mod schemas;
mod mount;

pub use keys::{VirtualKey, VirtualKeys};
pub use mount::OpenAiApi;
pub(crate) use mount::{AiRoute, Mount, Surroundings};
pub(crate) use prices::Prices;
