use axum::extract::State;
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
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "there is one already")?;
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
    axum::serve(listener, router.into_make_service()).with_graceful_shutdown(end).await?;
    Ok(())
}
