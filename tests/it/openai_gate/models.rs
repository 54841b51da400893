//! The models of a key.

use super::*;

/// A small model that fails, and a large one that does not.
fn models() -> ModelRouter {
    let fails = |_: &_| FakeReply::error(ErrorKind::Overloaded, "down");
    ModelRouter::new([
        ModelSpec::served_by("small", FakeProvider::new().respond(fails)),
        ModelSpec::served_by("large", unasked()),
    ])
    .unwrap()
}

#[tokio::test]
async fn the_models_of_a_key_hold_when_one_fails() {
    let keys = [VirtualKey::new("a", "sk-a").models(["small"]), VirtualKey::new("b", "sk-b")];
    let api = OpenAiApi::new("/v1").keys(keys);
    let app = Ember::new().env(Env::of([("X", "y")])).models(models()).openai_api(api);
    let client = TestClient::new(app.build().unwrap());
    for stream in [false, true] {
        let ask = |key: &'static str, model: &str| {
            let (client, body) = (&client, hello(json!({"model": model, "stream": stream})));
            async move { with_key(client, key, CHAT, &body).await }
        };
        assert_eq!(ask("sk-b", "small").await.status(), 200);
        assert_eq!(refused(ask("sk-a", "small").await).await.0, 503);
        for (key, model) in [("sk-a", "large"), ("sk-b", "nope")] {
            let (status, error) = refused(ask(key, model).await).await;
            assert_eq!((status, &error["code"]), (404, &json!("model_not_found")));
            let message = error["message"].as_str().unwrap();
            assert!(message.contains(model) && !message.contains("small"), "{message}");
        }
    }
}

#[tokio::test]
async fn a_request_that_names_no_temperature_has_the_models_own() {
    for (variables, sent) in [(&[("X", "y")], None), (&[("EMBER_TEMPERATURE", "0.2")], Some(0.2))] {
        for by_router in [false, true] {
            let fake = unasked();
            let env = Env::of(variables.iter().copied());
            let api = OpenAiApi::new("/v1").model("bot", |options| {
                options.system("Be brief.");
            });
            let app = Ember::new().env(env.clone()).openai_api(api);
            let app = match by_router {
                false => {
                    app.client(Client::builder().provider(fake.clone()).env(env).build().unwrap())
                }
                true => {
                    let spec = ModelSpec::served_by("m", fake.clone());
                    app.models(ModelRouter::builder().model(spec).env(env).build().unwrap())
                }
            };
            let client = local(app);
            whole(&client, hello(json!({}))).await;
            streamed(&client, hello(json!({}))).await;
            whole(&client, hello(json!({"temperature": 1.5}))).await;
            whole(&client, hello(json!({"model": "bot"}))).await;
            streamed(&client, hello(json!({"model": "bot"}))).await;
            let temperatures: Vec<_> =
                fake.requests().iter().map(|request| request.temperature).collect();
            let ours = Some(sent.unwrap_or(0.7));
            assert_eq!(temperatures, [sent, sent, Some(1.5), ours, ours], "{by_router}");
        }
    }
}

#[tokio::test]
async fn a_model_of_the_applications_own_has_no_other_path() {
    let fake = unasked();
    let keys =
        [VirtualKey::new("a", "sk-a").models(["bot"]), VirtualKey::new("b", "sk-b").models(["m"])];
    let api = OpenAiApi::new("/v1").keys(keys).model("bot", |options| {
        options.system("You help.").model("small");
        options.token_limits(TokenLimits::per_minute(500).max_completion_tokens(7));
    });
    let app = app(&fake, api).token_limits(TokenLimits::per_minute(10_000));
    let ready = app.build().unwrap();
    assert_eq!(ready.route_table().matches("/v1/").count(), 3, "{}", ready.route_table());
    let client = TestClient::new(ready);
    let listed = client.get("/v1/models").header("authorization", "Bearer sk-a");
    let listed: Value = listed.send().await.json().await;
    assert_eq!(
        (&listed["data"][0]["id"], listed["data"].as_array().unwrap().len()),
        (&json!("bot"), 1)
    );
    for stream in [false, true] {
        let body = hello(json!({"model": "bot", "stream": stream}));
        let response = with_key(&client, "sk-a", CHAT, &body).await;
        // The limit of the model is the one that is near.
        assert_eq!(response.header("x-ratelimit-limit-tokens"), Some("500"));
        match stream {
            true => assert_eq!(frames(response).await[0]["model"], "bot"),
            false => assert_eq!(response.json::<Value>().await["model"], "bot"),
        }
        let foreign = with_key(&client, "sk-b", CHAT, &body).await;
        assert_ne!(foreign.header("x-ratelimit-limit-tokens"), Some("500"), "it is not there");
        let (status, error) = refused(foreign).await;
        assert_eq!((status, &error["code"]), (404, &json!("model_not_found")));
    }
    let request = &fake.requests()[0];
    assert_eq!((request.model.as_deref(), request.max_tokens), (Some("small"), Some(7)));
    assert_eq!(request.messages[0].text(), "You help.");
}

#[test]
fn what_is_wrong_with_models_and_keys_is_found_at_the_start() {
    let build = |api: OpenAiApi| {
        app(&FakeProvider::new(), api)
            .build()
            .err()
            .map_or_else(String::new, |error| error.to_string())
    };
    let of_key = |change: fn(VirtualKey) -> VirtualKey| {
        build(OpenAiApi::new("/v1").keys(change(VirtualKey::new("ann", "sk-a"))))
    };
    let day = |limit: &str| SpendLimit::per_day(limit.parse().unwrap());
    assert!(of_key(|key| key.requests_per_minute(0)).contains("`ann`"));
    for limits in [TokenLimits::per_minute(0), TokenLimits::per_minute(0).per_principal()] {
        let told =
            build(OpenAiApi::new("/v1").keys(VirtualKey::new("ann", "sk-a").token_limits(limits)));
        assert!(told.contains("`ann`") && told.contains("zero"), "{told}");
    }
    let with_money = |limit| VirtualKey::new("ann", "sk-a").spend_limit(limit);
    let told = build(OpenAiApi::new("/v1").keys(with_money(day("0"))));
    assert!(told.contains("`ann`") && told.contains("zero"), "{told}");
    let told = build(OpenAiApi::new("/v1").keys(with_money(day("1")).models(["typo"])));
    assert!(told.contains("no price is known") && told.contains("`typo`"), "{told}");
    let listed = |limit| OpenAiApi::new("/v1").models(["small"]).keys(with_money(limit));
    let told = build(listed(day("1")));
    assert!(told.contains("`ann`") && told.contains("no price is known of any"), "{told}");
    let unpriced = day("1").allow_unpriced();
    assert_eq!(build(listed(unpriced.clone())), "");
    assert_eq!(build(OpenAiApi::new("/v1").keys(with_money(unpriced).models(["typo"]))), "");
    let bot = |api: OpenAiApi| {
        api.model("bot", |options| {
            options.system("Be brief.");
        })
    };
    assert_eq!(build(bot(OpenAiApi::new("/v1"))), "");
    assert!(build(bot(bot(OpenAiApi::new("/v1")))).contains("`bot` is defined twice"));
    let zero = OpenAiApi::new("/v1").model("bot", |options| {
        options.token_limits(TokenLimits::per_minute(0));
    });
    assert!(build(zero).contains("zero"));
}
