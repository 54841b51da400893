//! Vectors of texts, from a service on a real socket.

use ember::llm::{Embedder, ErrorKind, HttpEmbedder, ProviderConfig};
use ember_tests::{Reply, Upstream};
use serde_json::{Value, json};

fn config(name: &str, upstream: &Upstream) -> ProviderConfig {
    ProviderConfig::new(name, "vectors").api_key("sk-test").base_url(upstream.url())
}

#[tokio::test]
async fn more_texts_than_fit_are_sent_in_several_requests() {
    let upstream = Upstream::start(|seen| {
        let texts = seen.json()["requests"].as_array().unwrap().clone();
        let vectors = texts.iter().map(|text| {
            let number: f32 =
                text["content"]["parts"][0]["text"].as_str().unwrap().parse().unwrap();
            json!({"values": [number, 1.0]})
        });
        Reply::json(200, json!({"embeddings": vectors.collect::<Vec<_>>()}))
    })
    .await;
    let embedder = HttpEmbedder::gemini(&config("gemini", &upstream)).unwrap();
    let texts: Vec<_> = (0..250).map(|number| number.to_string()).collect();
    let embeddings = embedder.embed(&texts).await.unwrap();
    let numbers = embeddings.vectors.iter().map(|vector| vector[0] as usize);
    assert_eq!(numbers.collect::<Vec<_>>(), (0..250).collect::<Vec<_>>());
    let sizes =
        upstream.seen().into_iter().map(|seen| seen.json()["requests"].as_array().unwrap().len());
    assert_eq!(sizes.collect::<Vec<_>>(), [100, 100, 50]);
}

#[tokio::test]
async fn a_vendor_is_known_by_its_name_and_faults_are_told() {
    let upstream = Upstream::start(|seen| match seen.json()["input"][0].as_str().unwrap() {
        "few" => Reply::json(200, json!({"data": []})),
        "busy" => Reply::json(503, json!({"error": {"message": "busy"}})),
        _ => Reply::json(
            200,
            json!({
                "data": [{"index": 0, "embedding": [1.0]}], "usage": {"prompt_tokens": 3},
            }),
        ),
    })
    .await;
    let embedder = HttpEmbedder::openai(&config("ollama", &upstream)).unwrap().dimensions(1);
    let embeddings = embedder.embed(&["x"]).await.unwrap();
    assert_eq!((&embeddings.vectors[0][..], embeddings.usage.unwrap().total()), (&[1.0][..], 3));
    let asked: Value = upstream.seen()[0].json();
    assert_eq!(asked, json!({"model": "vectors", "input": ["x"], "dimensions": 1}));
    let busy = embedder.embed(&["busy"]).await.unwrap_err();
    assert_eq!((busy.kind(), busy.provider()), (ErrorKind::Overloaded, Some("ollama")));
    assert_eq!(embedder.embed(&["few"]).await.unwrap_err().kind(), ErrorKind::Decode);
    let none: [&str; 0] = [];
    assert!(embedder.embed(&none).await.unwrap().vectors.is_empty());
}
