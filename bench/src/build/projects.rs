//! The programs that are built.
//!
//! "Hello alone" has JSON, HTTP/1.1 and HTTP/2, threads for all cores, a log and an orderly end; bare
//! hyper has none of that, and is there for reference. "Hello with a client of models" has a route
//! beside it that streams the answer of OpenAI's model over TLS: with Ember's default features, and with
//! reqwest and a reader of event streams behind axum.

use crate::Result;
use std::path::{Path, PathBuf};

const ALONE: &str = "Hello alone";
const WITH_CLIENT: &str = "Hello with a client of models";

pub(super) const GROUPS: [&str; 2] = [ALONE, WITH_CLIENT];

/// A program; the first of a group is what the others are compared with.
pub(super) struct Project {
    pub(super) group: &'static str,
    pub(super) name: &'static str,
    folder: &'static str,
    dependencies: &'static str,
    main: &'static str,
}

pub(super) const ALL: [Project; 5] = [
    Project {
        group: ALONE,
        name: "axum",
        folder: "axum-alone",
        dependencies: r#"
axum = { version = "0.8", features = ["http2"] }
serde = { version = "1", features = ["derive"] }
tokio = { version = "1", features = ["macros", "net", "rt-multi-thread", "signal"] }
tracing = { version = "0.1", default-features = false, features = ["std"] }
tracing-subscriber = { version = "0.3", default-features = false, features = ["fmt", "std"] }
"#,
        main: AXUM_ALONE,
    },
    Project {
        group: ALONE,
        name: "ember, only `server`",
        folder: "ember-alone",
        dependencies: r#"
ember = { path = "EMBER", default-features = false, features = ["server"] }
serde = { version = "1", features = ["derive"] }
"#,
        main: EMBER_ALONE,
    },
    Project {
        group: ALONE,
        name: "hyper, one thread and no more than hello",
        folder: "hyper-alone",
        dependencies: r#"
http-body-util = "0.1"
hyper = { version = "1", features = ["http1", "server"] }
hyper-util = { version = "0.1", features = ["tokio"] }
tokio = { version = "1", features = ["net", "rt"] }
"#,
        main: HYPER_ALONE,
    },
    Project {
        group: WITH_CLIENT,
        name: "axum and reqwest",
        folder: "axum-client",
        dependencies: r#"
axum = { version = "0.8", features = ["http2"] }
eventsource-stream = "0.2"
futures-util = { version = "0.3", default-features = false, features = ["std"] }
reqwest = { version = "0.13", default-features = false, features = ["http2", "rustls-no-provider", "stream", "system-proxy"] }
rustls = { version = "0.23", default-features = false, features = ["ring", "std", "tls12"] }
serde = { version = "1", features = ["derive"] }
serde_json = "1"
tokio = { version = "1", features = ["macros", "net", "rt-multi-thread", "signal"] }
tracing = { version = "0.1", default-features = false, features = ["std"] }
tracing-subscriber = { version = "0.3", default-features = false, features = ["fmt", "std"] }
"#,
        main: AXUM_CLIENT,
    },
    Project {
        group: WITH_CLIENT,
        name: "ember, default features",
        folder: "ember-client",
        dependencies: r#"
ember = { path = "EMBER" }
serde = { version = "1", features = ["derive"] }
"#,
        main: EMBER_CLIENT,
    },
];

impl Project {
    pub(super) fn folder(&self, parent: &Path) -> PathBuf {
        parent.join(self.folder)
    }

    /// The release build.
    pub(super) fn program(&self, parent: &Path) -> PathBuf {
        self.folder(parent).join("target/release/hello")
    }

    /// Writes the project, with the versions that this benchmark has.
    pub(super) fn write(&self, parent: &Path) -> Result {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let ember = own.join("../ember").canonicalize()?;
        let ember = ember.to_str().ok_or("the path of ember is no text")?;
        let dependencies = self.dependencies.replace("EMBER", ember);
        // A dependency from the registry is not compiled incrementally, but one from a path is.
        let profile = match self.dependencies.contains("EMBER") {
            true => {
                "[profile.dev.package.ember]\nincremental = false\n\
                 [profile.dev.package.ember-macros]\nincremental = false\n"
            }
            false => "",
        };
        let manifest = format!(
            "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
             [workspace]\n\n[dependencies]{dependencies}\n{profile}"
        );
        let folder = self.folder(parent);
        std::fs::create_dir_all(folder.join("src"))?;
        std::fs::write(folder.join("Cargo.toml"), manifest)?;
        if !folder.join("Cargo.lock").exists() {
            std::fs::copy(own.join("Cargo.lock"), folder.join("Cargo.lock"))?;
        }
        self.greet(parent, "Hello, World!")
    }

    /// Writes the program with another text in its handler.
    pub(super) fn greet(&self, parent: &Path, text: &str) -> Result {
        let main = self.main.replace("Hello, World!", text);
        Ok(std::fs::write(self.folder(parent).join("src/main.rs"), main)?)
    }
}

const EMBER_ALONE: &str = r#"use ember::prelude::*;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
struct Greeting {
    message: &'static str,
}

#[get("/hello")]
async fn hello() -> &'static str {
    "Hello, World!"
}

#[get("/json")]
async fn json() -> Json<Greeting> {
    Json(Greeting { message: "Hello" })
}

fn main() -> ember::Result {
    let port = std::env::var("PORT")?.parse()?;
    ember::app!().port(port).run()
}
"#;

const EMBER_CLIENT: &str = r#"use ember::llm::ProviderConfig;
use ember::prelude::*;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
struct Greeting {
    message: &'static str,
}

#[get("/hello")]
async fn hello() -> &'static str {
    "Hello, World!"
}

#[get("/json")]
async fn json() -> Json<Greeting> {
    Json(Greeting { message: "Hello" })
}

#[ai_route("/chat")]
async fn chat(client: Client, question: String) -> ember::Result<TokenStream> {
    Ok(client.stream(question).await?.into())
}

fn main() -> ember::Result {
    let port = std::env::var("PORT")?.parse()?;
    let config = ProviderConfig::new("openai", "gpt-4o").api_key("key");
    ember::app!().client(Client::from_config(config)?).port(port).run()
}
"#;

const AXUM_ALONE: &str = r#"use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Serialize)]
struct Greeting {
    message: &'static str,
}

async fn hello() -> &'static str {
    "Hello, World!"
}

async fn json() -> Json<Greeting> {
    Json(Greeting { message: "Hello" })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let port: u16 = std::env::var("PORT")?.parse()?;
    let router = Router::new().route("/hello", get(hello)).route("/json", get(json));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    tracing::info!("listening on {}", listener.local_addr()?);
    let mut end = signal(SignalKind::terminate())?;
    let end = async move {
        tokio::select! {
            _ = end.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    axum::serve(listener, router).with_graceful_shutdown(end).await?;
    Ok(())
}
"#;

const AXUM_CLIENT: &str = r#"use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Sse;
use axum::response::sse::Event;
use axum::routing::{get, post};
use axum::{Json, Router};
use eventsource_stream::Eventsource;
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Serialize)]
struct Greeting {
    message: &'static str,
}

async fn hello() -> &'static str {
    "Hello, World!"
}

async fn json() -> Json<Greeting> {
    Json(Greeting { message: "Hello" })
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn chat(
    State(client): State<reqwest::Client>,
    question: String,
) -> Result<Sse<impl Stream<Item = Result<Event, Failure>>>, StatusCode> {
    let body = json!({"model": "gpt-4o", "stream": true, "messages": [{"role": "user", "content": question}]});
    let request = client.post("https://api.openai.com/v1/chat/completions").bearer_auth("key");
    let request = request.header("content-type", "application/json").body(body.to_string());
    let response = request.send().await.and_then(reqwest::Response::error_for_status);
    let response = response.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let events = response.bytes_stream().eventsource().map(|event| {
        let event = event?;
        if event.data == "[DONE]" {
            return Ok(Event::default().data("[DONE]"));
        }
        let chunk: Value = serde_json::from_str(&event.data)?;
        Ok(Event::default().data(chunk["choices"][0]["delta"]["content"].as_str().unwrap_or("")))
    });
    Ok(Sse::new(events))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    rustls::crypto::ring::default_provider().install_default().map_err(|_| "there is one already")?;
    let port: u16 = std::env::var("PORT")?.parse()?;
    let router = Router::new()
        .route("/hello", get(hello))
        .route("/json", get(json))
        .route("/chat", post(chat))
        .with_state(reqwest::Client::new());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    tracing::info!("listening on {}", listener.local_addr()?);
    let mut end = signal(SignalKind::terminate())?;
    let end = async move {
        tokio::select! {
            _ = end.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    axum::serve(listener, router).with_graceful_shutdown(end).await?;
    Ok(())
}
"#;

const HYPER_ALONE: &str = r#"use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let mut response = Response::new(Full::from("Hello, World!"));
    if request.uri().path() != "/hello" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::var("PORT")?.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            let service = service_fn(answer);
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            runtime.spawn(connection);
        }
    })
}
"#;
