//! The faults, through an `#[ai_route]`.

use super::service::{Front, Told, survive};
use ember::base::sse::{Decoder, Frame};
use ember::prelude::*;
use ember_tests::exchange;
use serde_json::Value;
use std::net::SocketAddr;

#[ai_route("/ask")]
async fn ask(mut conversation: ConversationContext, message: String) -> ember::Result<String> {
    conversation.ask(message).await
}

#[ai_route("/chat")]
async fn chat(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
    conversation.stream(message).await
}

/// Sends a question over a connection of its own, and reads what comes until its end.
async fn told(address: SocketAddr, streamed: bool) -> Told {
    let path = if streamed { "/chat" } else { "/ask" };
    // A response of this version is not chunked.
    let question = "Sixty words, please.";
    let request = format!(
        "POST {path} HTTP/1.0\r\nhost: x\r\ncontent-length: {}\r\n\r\n{question}",
        question.len()
    );
    let response = exchange(address, request.as_bytes()).await;
    let (head, body) = response.split_once("\r\n\r\n").expect("a response");
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    let is_problem = head.to_lowercase().contains("application/problem+json");
    let mut told = Told { status, text: String::new(), complete: false, error: None };
    match (is_problem, streamed) {
        (true, _) => told.error = Some(problem(body)),
        (false, false) => (told.text, told.complete) = (body.to_owned(), status == 200),
        (false, true) => read_events(body, &mut told),
    }
    told
}

fn read_events(body: &str, told: &mut Told) {
    let mut decoder = Decoder::new();
    let frames = decoder.decode(body.as_bytes(), |frame| {
        let Frame::Event { event, data, .. } = frame else { return };
        let data = std::str::from_utf8(data.as_ref()).unwrap();
        assert!(!told.complete && told.error.is_none(), "nothing follows on the end: {data}");
        match (event, data) {
            ("error", problem_document) => told.error = Some(problem(problem_document)),
            (_, "[DONE]") => told.complete = true,
            (_, token) => told.text += token,
        }
    });
    frames.unwrap();
}

fn problem(document: &str) -> String {
    let document: Value = serde_json::from_str(document).expect("a problem document");
    assert!(document["status"].is_u64(), "{document}");
    document["detail"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_ai_route_survives_every_fault() {
    survive(Front {
        name: "#[ai_route]",
        app: || ember::app!(),
        ask: |address, streamed| Box::pin(told(address, streamed)),
    })
    .await;
}
