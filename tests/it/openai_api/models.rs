//! Which models there are: those of the client, embedders, and routes.

use super::*;

#[tokio::test]
async fn models_are_listed_and_told_one_by_one() {
    let client = Client::new(FakeProvider::new()).model("vendor/small");
    let app = Ember::new().env(Env::of([("X", "y")])).client(client).openai_api("/v1");
    let client = local(app);
    let list: Value = client.get("/v1/models").send().await.json().await;
    check_schema("models", &list);
    assert_eq!(
        (&list["data"][0]["id"], &list["data"][0]["owned_by"]),
        (&json!("vendor/small"), &json!("fake"))
    );
    for path in ["/v1/models/vendor/small", "/v1/models/vendor%2Fsmall"] {
        let one: Value = client.get(path).send().await.json().await;
        check_schema("model", &one);
        assert_eq!(one, list["data"][0]);
    }
}

#[tokio::test]
async fn embeddings_come_as_numbers_or_bytes() {
    let app = app(&FakeProvider::new(), OpenAiApi::new("/v1").embedding_model("e"))
        .embedder(FakeEmbedder::new(4));
    let client = local(app);
    let post = |body: Value| client.post("/v1/embeddings").json(&body).send();
    let numbers: Value =
        post(json!({"model": "e", "input": ["a", "b"], "dimensions": 4})).await.json().await;
    check_schema("embedding_response", &numbers);
    assert_eq!(numbers["data"].as_array().unwrap().len(), 2);
    assert_eq!(numbers["data"][1]["index"], 1);
    let bytes: Value =
        post(json!({"model": "e", "input": "a", "encoding_format": "base64"})).await.json().await;
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let decoded = BASE64_STANDARD.decode(bytes["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let vector: Vec<f32> =
        decoded.chunks(4).map(|chunk| f32::from_le_bytes(chunk.try_into().unwrap())).collect();
    assert_eq!(json!(vector), numbers["data"][0]["embedding"]);
    for (body, status, param) in [
        (json!({"model": "e", "input": [1, 2]}), 400, json!("input[0]")),
        (json!({"model": "e", "input": []}), 400, json!("input")),
        (json!({"model": "e", "input": "a", "dimensions": 5}), 400, Value::Null),
        (
            json!({"model": "e", "input": "a", "encoding_format": "hex"}),
            400,
            json!("encoding_format"),
        ),
        (json!({"model": "x", "input": "a"}), 404, json!("model")),
    ] {
        let (found, error) = refused(post(body).await).await;
        assert_eq!((found, &error["param"]), (status, &param), "{error}");
    }
    let without = local(self::app(&FakeProvider::new(), "/v1"));
    assert!(!without.app().route_table().contains("embeddings"));
    let gone =
        without.post("/v1/embeddings").json(&json!({"model": "e", "input": "a"})).send().await;
    assert_eq!(refused(gone).await.0, 404);
}

mod bots {
    use super::get_weather;
    use ember::prelude::*;

    #[ai_route("/support", tools = [get_weather], model = "small", system = "You help.", openai_model = "support-bot",
        token_limits = TokenLimits::new().max_completion_tokens(7))]
    async fn support(
        conversation: ConversationContext,
        body: String,
    ) -> ember::Result<TokenStream> {
        conversation.stream(body).await
    }

    #[ai_route("/other", model = "other")]
    async fn other(mut conversation: ConversationContext, body: String) -> ember::Result<String> {
        conversation.ask(body).await
    }

    pub(super) fn app() -> Ember {
        ember::app!()
    }
}

#[tokio::test]
async fn a_route_is_a_model() {
    let fake = FakeProvider::new().respond(|request| match request.messages.len() {
        3 => FakeReply::new().tool_call("get_weather", json!({"city": "Paris"})),
        _ => FakeReply::new().text("Sunny."),
    });
    let api = OpenAiApi::new("/v1").models(["big"]).route_model("other-bot", "/other");
    let app =
        bots::app().env(Env::of([("X", "y")])).client(Client::new(fake.clone())).openai_api(api);
    let client = local(app);
    let list: Value = client.get("/v1/models").send().await.json().await;
    let ids: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["other-bot", "support-bot", "big"]);
    let messages = json!([{"role": "system", "content": "I am Ada."}, {"role": "user", "content": "Weather?"}]);
    let body = json!({"model": "support-bot", "messages": messages, "max_tokens": 100});
    let answer = whole(&client, body.clone()).await;
    assert_eq!(
        (&answer["model"], &answer["choices"][0]["message"]["content"]),
        (&json!("support-bot"), &json!("Sunny."))
    );
    let chunks = streamed(&client, body).await;
    assert_eq!(chunks[0]["model"], "support-bot");
    assert_eq!(folded(&chunks), folded_whole(&answer));
    let request = &fake.requests()[0];
    let texts: Vec<_> =
        request.messages.iter().map(|message| message.text().into_owned()).collect();
    assert_eq!(texts, ["You help.", "I am Ada.", "Weather?"]);
    assert_eq!((request.model.as_deref(), request.max_tokens), (Some("small"), Some(7)));
    whole(&client, hello(json!({"model": "other-bot"}))).await;
    assert_eq!(fake.requests().last().unwrap().model.as_deref(), Some("other"));
    // The instructions of the route hold for the route itself.
    client.post("/support").body("Hi").send().await.text().await;
    assert_eq!(fake.requests().last().unwrap().messages[0].text(), "You help.");
}
