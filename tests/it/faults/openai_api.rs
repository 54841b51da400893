//! The faults, through the OpenAI-compatible API.

use super::service::{Front, Told, survive};
use ember::Ember;
use ember::base::sse::{Decoder, Frame};
use ember_tests::exchange;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Sends a request over a connection of its own, and reads what comes until its end.
async fn told(address: SocketAddr, streamed: bool) -> Told {
    let question = [json!({"role": "user", "content": "Sixty words, please."})];
    let mut asked = json!({"messages": question, "stream": streamed});
    if streamed {
        asked["stream_options"] = json!({"include_usage": true});
    }
    let asked = asked.to_string();
    // A response of this version is not chunked.
    let request = format!(
        "POST /v1/chat/completions HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{asked}",
        asked.len()
    );
    let response = exchange(address, request.as_bytes()).await;
    let (head, body) = response.split_once("\r\n\r\n").expect("a response");
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    let mut told = Told { status, text: String::new(), complete: false, error: None };
    if status != 200 {
        told.error = Some(message(&serde_json::from_str(body).expect("an error document")));
    } else if streamed {
        read_chunks(body, &mut told);
    } else {
        let answer: Value = serde_json::from_str(body).expect("a completion");
        told.text = answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
        told.complete = answer["choices"][0]["finish_reason"] == "stop";
        check_usage(&answer);
    }
    told
}

fn read_chunks(body: &str, told: &mut Told) {
    let (mut finished, mut usage) = (false, None);
    let mut decoder = Decoder::new();
    let frames = decoder.decode(body.as_bytes(), |frame| {
        let Frame::Event { data, .. } = frame else { return };
        let data = std::str::from_utf8(data.as_ref()).unwrap();
        assert!(!told.complete && told.error.is_none(), "nothing follows on the end: {data}");
        if data == "[DONE]" {
            told.complete = finished;
            return;
        }
        let chunk: Value = serde_json::from_str(data).unwrap();
        if chunk.get("error").is_some() {
            told.error = Some(message(&chunk));
            return;
        }
        let choice = &chunk["choices"][0];
        told.text += choice["delta"]["content"].as_str().unwrap_or_default();
        finished |= choice["finish_reason"] == "stop";
        if chunk["usage"].is_object() {
            usage = Some(chunk.clone());
        }
    });
    frames.unwrap();
    if told.complete {
        check_usage(&usage.expect("usage, as it was asked for"));
    }
}

/// Whoever answers is named, and what was used is told.
fn check_usage(answer: &Value) {
    assert!(answer["model"].is_string(), "{answer}");
    assert!(answer["usage"]["completion_tokens"].as_u64().unwrap() > 0, "{answer}");
}

fn message(document: &Value) -> String {
    document["error"]["message"].as_str().expect("a message").to_owned()
}

#[tokio::test]
async fn the_openai_api_survives_every_fault() {
    survive(Front {
        name: "openai_api",
        app: || Ember::new().openai_api("/v1"),
        ask: |address, streamed| Box::pin(told(address, streamed)),
    })
    .await;
}
