//! Vectors of texts, from a service on a real socket.

use ember::base::tokens::estimate_tokens;
use ember::llm::{Embedder, ErrorKind, HttpEmbedder, ProviderConfig};
use ember_tests::{Reply, Upstream, fixtures, shared};
use serde_json::{Value, json};
use std::fs;

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
async fn a_request_has_only_so_many_tokens_and_what_was_billed_is_told() {
    // About 100,000 tokens.
    let long = "word ".repeat(100_000 * 1_000 / estimate_tokens(&"word ".repeat(1_000)) as usize);
    for tells in [true, false] {
        let upstream = Upstream::start(move |seen| {
            let texts = seen.json()["input"].as_array().unwrap().clone();
            if texts.iter().any(|text| text == "last") {
                return Reply::json(503, json!({"error": {"message": "busy"}}));
            }
            let vectors = (0..texts.len()).map(|index| json!({"index": index, "embedding": [1.0]}));
            let mut body = json!({"data": vectors.collect::<Vec<_>>()});
            if tells {
                body["usage"] = json!({"prompt_tokens": 100 * texts.len()});
            }
            Reply::json(200, body)
        })
        .await;
        let embedder = HttpEmbedder::openai(&config("openai", &upstream)).unwrap();
        let texts = [&*long, &*long, &*long, "short", "short"];
        let embeddings = embedder.embed(&texts).await.unwrap();
        assert_eq!(embeddings.vectors.len(), 5);
        assert_eq!(embeddings.usage.map(|usage| usage.total_input()), tells.then_some(500));
        let sizes = |from: usize| -> Vec<usize> {
            let seen = upstream.seen().into_iter().skip(from);
            seen.map(|seen| seen.json()["input"].as_array().unwrap().len()).collect()
        };
        assert_eq!(sizes(0), [2, 3]);
        if tells {
            // A text that is too long by itself is sent alone: the service knows its limit best.
            let longest = long.repeat(3);
            embedder.embed(&["short", &longest, "short"]).await.unwrap();
            assert_eq!(sizes(2), [1, 1, 1]);
        }
        let failed = embedder.embed(&[&*long, &*long, &*long, "last"]).await.unwrap_err();
        assert_eq!((failed.kind(), failed.provider()), (ErrorKind::Overloaded, Some("openai")));
        let used = failed.usage().unwrap();
        assert_eq!(used.estimated, !tells);
        match tells {
            true => assert_eq!(used.total_input(), 200),
            false => assert!((190_000..=250_000).contains(&used.total_input()), "{used:?}"),
        }
        let first = embedder.embed(&["last"]).await.unwrap_err();
        assert_eq!(first.usage(), None);
    }
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

/// The texts of a recorded request.
fn texts(request: &Value) -> Vec<String> {
    let text = |text: &Value| text.as_str().map_or_else(|| text.to_string(), str::to_owned);
    match (&request["requests"], &request["input"]) {
        (Value::Array(requests), _) => {
            requests.iter().map(|request| text(&request["content"]["parts"][0]["text"])).collect()
        }
        (_, Value::Array(texts)) => texts.iter().map(text).collect(),
        (_, one) => vec![text(one)],
    }
}

/// Exchanges that were recorded, and those that are written by hand after what is documented.
#[tokio::test]
async fn every_recorded_exchange_is_read_as_it_must_be() {
    let mut seen = (0, 0);
    for kind in ["openai-embeddings", "gemini-embeddings"] {
        let folders = [Some(fixtures(kind)), shared(&format!("recordings/{kind}"))];
        for file in folders.into_iter().flatten().flat_map(|folder| fs::read_dir(folder).unwrap()) {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let recording: Value = serde_json::from_str(&text).unwrap();
            let (id, response) = (&recording["id"], recording["response"].clone());
            let status: u16 = response["status"].as_u64().unwrap().try_into().unwrap();
            let body = response["body"].as_str().unwrap().to_owned();
            let upstream = Upstream::start(move |_| Reply::json(status, &body)).await;
            let vendor = recording["provider"].as_str().unwrap();
            let config = config(vendor, &upstream);
            let texts = texts(&recording["request"]["body"]);
            let outcome = match kind {
                "gemini-embeddings" => HttpEmbedder::gemini(&config).unwrap().embed(&texts).await,
                _ => HttpEmbedder::openai(&config).unwrap().embed(&texts).await,
            };
            match (outcome, &recording["expected"]["error"]) {
                (Ok(embeddings), Value::Null) => {
                    seen.0 += 1;
                    assert_eq!(embeddings.vectors.len(), texts.len(), "{id}");
                    let asked = &recording["request"]["body"];
                    let asked = [
                        &asked["dimensions"],
                        &asked["output_dimension"],
                        &asked["requests"][0]["output_dimensionality"],
                    ];
                    let asked = asked.into_iter().find_map(Value::as_u64);
                    for vector in &embeddings.vectors {
                        let length = asked.unwrap_or(embeddings.vectors[0].len() as u64);
                        assert_eq!(vector.len() as u64, length, "{id}");
                        assert!(vector.iter().all(|number| number.is_finite()), "{id}");
                    }
                }
                (Err(error), expected) if !expected.is_null() => {
                    seen.1 += 1;
                    assert_eq!(error.message(), expected["message"].as_str().unwrap(), "{id}");
                    assert_eq!(error.status(), Some(status), "{id}");
                }
                (outcome, expected) => panic!("{id}: {outcome:?} where {expected} was expected"),
            }
        }
    }
    println!("{} recorded answers and {} failures of embeddings", seen.0, seen.1);
    let beside = shared("recordings").map_or((0, 0), |_| (3, 6));
    assert!(seen.0 >= 2 + beside.0 && seen.1 > beside.1, "{seen:?}");
}
