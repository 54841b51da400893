use axum::routing::get;
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
    axum::serve(listener, router.into_make_service()).with_graceful_shutdown(end).await?;
    Ok(())
}
