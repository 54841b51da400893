//! The OpenAI-compatible API as a gateway: who may ask what, what it costs them, and what of a
//! request reaches the model.

use crate::openai_api::{
    app, folded, folded_whole, frames, hello, local, refused, streamed, whole,
};
use ember::ai::{OpenAiApi, VirtualKey, VirtualKeys};
use ember::base::clock::{ManualClock, secs};
use ember::llm::layer::CostConfig;
use ember::llm::{ChatEvent, Dropped, ErrorKind, FakeEmbedder, FakeProvider, FakeReply};
use ember::llm::{HttpProvider, ModelRouter, ModelSpec, Price, ProviderConfig, SpendLimit, Usage};
use ember::prelude::*;
use ember::testing::{TestClient, TestResponse};
use ember::{Env, Principal, serde_json};
use ember_tests::{Reply, Upstream};
use serde_json::{Value, json};
use std::net::TcpListener;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const CHAT: &str = "/v1/chat/completions";

fn unasked() -> FakeProvider {
    FakeProvider::new().respond(|_| FakeReply::new().text("Hello"))
}

/// A request with a key.
async fn with_key(client: &TestClient, key: &str, path: &str, body: &Value) -> TestResponse {
    let bearer = format!("Bearer {key}");
    client.post(path).header("authorization", &bearer).json(body).send().await
}

#[tokio::test]
async fn without_keys_only_this_machine_is_answered() {
    let fake = unasked();
    let anywhere = TestClient::new(app(&fake, "/v1").build().unwrap());
    let at =
        |address: &str| anywhere.clone().peer(address.parse::<std::net::SocketAddr>().unwrap());
    let here = at("127.0.0.1:5000");
    let ask = |client: &TestClient, headers: &[(&str, &str)], stream: bool| {
        let request = client.post(CHAT).json(&hello(json!({"stream": stream})));
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        async { request.send().await.status().as_u16() }
    };
    for stream in [false, true] {
        for (peer, status) in [
            ("127.0.0.1:5000", 200),
            ("[::1]:5000", 200),
            ("[::ffff:127.0.0.1]:5000", 200),
            ("203.0.113.9:5000", 401),
            ("192.168.0.7:5000", 401),
        ] {
            assert_eq!(ask(&at(peer), &[], stream).await, status, "{peer}");
        }
        // Behind a Unix socket, or mounted elsewhere.
        assert_eq!(ask(&anywhere, &[("host", "localhost")], stream).await, 401);
        for (headers, status) in [
            (&[("host", "localhost:8000")][..], 200),
            (&[("host", "127.0.0.1:8000"), ("origin", "http://localhost:3000")], 200),
            // A page whose name was made to lead here.
            (&[("host", "evil.example"), ("origin", "http://evil.example")], 401),
            (&[("host", "evil.example:8000")], 401),
            (&[("forwarded", "for=203.0.113.9")], 401),
            (&[("x-forwarded-for", "203.0.113.9")], 401),
            (&[("x-forwarded-for", "127.0.0.1")], 401),
            (&[("x-real-ip", "203.0.113.9")], 401),
            (&[("via", "1.1 proxy")], 401),
        ] {
            assert_eq!(ask(&here, headers, stream).await, status, "{headers:?}");
        }
    }
    let asked = fake.requests().len();
    assert_eq!(refused(anywhere.get("/v1/models").send().await).await.0, 401);
    assert_eq!(fake.requests().len(), asked);
    // Where something else keeps watch, all are let in.
    let open = TestClient::new(app(&fake, OpenAiApi::new("/v1").open()).build().unwrap());
    assert_eq!(ask(&open, &[("host", "api.example"), ("via", "1.1 proxy")], true).await, 200);
    let signed_in = async |mut request: Request, next: Next| {
        request.extensions_mut().insert(Principal::new("ada"));
        next.run(request).await
    };
    let known = TestClient::new(app(&fake, "/v1").middleware(signed_in).build().unwrap());
    assert_eq!(ask(&known, &[("host", "api.example")], false).await, 200);
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_not_this_machine_alone() {
    let build = |api: OpenAiApi| {
        let app =
            app(&FakeProvider::new(), api).env(Env::of([("EMBER_HOST", "unix:/run/app.sock")]));
        app.build().err().map(|error| error.to_string())
    };
    assert!(build("/v1".into()).unwrap().contains("EMBER_API_KEYS"));
    assert_eq!(build(OpenAiApi::new("/v1").open()), None);
}

#[tokio::test]
async fn a_key_is_one_token_behind_its_scheme() {
    let api = OpenAiApi::new("/v1").keys(VirtualKey::new("ada", "sk-a"));
    let client = TestClient::new(app(&unasked(), api).build().unwrap());
    for (value, status) in [
        ("Bearer sk-a", 200),
        ("bearer  sk-a ", 200),
        ("Bearer sk-a extra", 401),
        ("Basic sk-a", 401),
        ("sk-a", 401),
        ("Bearer ", 401),
    ] {
        let asked = client.post(CHAT).header("authorization", value).json(&hello(json!({})));
        assert_eq!(asked.send().await.status().as_u16(), status, "{value}");
    }
    let twice = client.post(CHAT).header("authorization", "Bearer sk-a");
    let twice = twice.header("authorization", "Bearer sk-b").json(&hello(json!({})));
    assert_eq!(refused(twice.send().await).await.0, 401);
}

#[tokio::test]
async fn embeddings_are_within_the_limits_of_a_key_and_of_the_application() {
    let hands = ManualClock::new();
    let limits = TokenLimits::per_minute(100);
    let keys = VirtualKeys::new()
        .key(VirtualKey::new("a", "sk-a").models(["e"]).token_limits(limits))
        .key(VirtualKey::new("b", "sk-b").models(["chat"]))
        .key(VirtualKey::new("c", "sk-c"))
        .key(VirtualKey::new("d", "sk-d").spend_limit(SpendLimit::per_day("1".parse().unwrap())))
        .clock(hands.clock());
    let api = OpenAiApi::new("/v1").keys(keys).embedding_model("e");
    let app = app(&unasked(), api).embedder(FakeEmbedder::new(4));
    let client = TestClient::new(app.token_limits(TokenLimits::per_minute(300)).build().unwrap());
    let embed = |key: &'static str, words: usize| {
        let (client, body) = (&client, json!({"model": "e", "input": "word ".repeat(words)}));
        async move { with_key(client, key, "/v1/embeddings", &body).await }
    };
    let first = embed("sk-a", 60).await;
    assert_eq!(first.status(), 200);
    let left: u64 = first.header("x-ratelimit-remaining-tokens").unwrap().parse().unwrap();
    let used = first.json::<Value>().await["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(left, 100 - used);
    assert_eq!(refused(embed("sk-a", 60).await).await.0, 429);
    hands.advance(secs(60));
    // More than there will ever be room for.
    assert_eq!(refused(embed("sk-a", 10_000).await).await.0, 400);
    assert_eq!(embed("sk-a", 60).await.status(), 200);
    assert_eq!(refused(embed("sk-b", 1).await).await.1["code"], "model_not_found");
    // What is left of the application's own 300 is for everybody.
    assert_eq!(embed("sk-c", 60).await.status(), 200);
    assert_eq!(refused(embed("sk-c", 200).await).await.0, 429);
    assert_eq!(refused(embed("sk-d", 1).await).await.1["code"], "model_not_found", "no price");
    // A chat draws from the same tokens.
    let body = hello(json!({"model": "e", "max_tokens": 90}));
    assert_eq!(refused(with_key(&client, "sk-a", CHAT, &body).await).await.0, 429);
}

#[tokio::test]
async fn embeddings_cost_money() {
    let limit = SpendLimit::per_day("1".parse().unwrap());
    let prices = CostConfig::new().price("e", Price::per_million("10000", "0").unwrap());
    let client = Client::builder().provider(unasked()).cost(prices).build().unwrap();
    let key = VirtualKey::new("a", "sk-a").spend_limit(limit.clone());
    let api = OpenAiApi::new("/v1").keys(key).embedding_model("e");
    let app = Ember::new().env(Env::of([("X", "y")])).client(client).openai_api(api);
    let client = TestClient::new(app.embedder(FakeEmbedder::new(4)).build().unwrap());
    let body = json!({"model": "e", "input": "word ".repeat(64)});
    let first = with_key(&client, "sk-a", "/v1/embeddings", &body).await;
    assert_eq!(first.status(), 200);
    let tokens = first.json::<Value>().await["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(limit.spent().to_string(), format!("0.{tokens}"));
    assert_eq!(refused(with_key(&client, "sk-a", "/v1/embeddings", &body).await).await.0, 429);
}

#[tokio::test]
async fn embeddings_cost_what_they_do_and_not_what_the_models_of_a_router_cost() {
    let limit = SpendLimit::per_day("1".parse().unwrap());
    let price = |text: &str| Price::per_million(text, "0").unwrap();
    let router = ModelRouter::new([ModelSpec::served_by("chat", unasked()).price(price("10"))]);
    let prices = CostConfig::new().price("e", price("10000"));
    let client = Client::builder().router(router.unwrap()).cost(prices).build().unwrap();
    let key = VirtualKey::new("a", "sk-a").spend_limit(limit.clone());
    let api = OpenAiApi::new("/v1").keys(key).embedding_model("e");
    let app = Ember::new().env(Env::of([("X", "y")])).client(client).openai_api(api);
    let client = TestClient::new(app.embedder(FakeEmbedder::new(4)).build().unwrap());
    let body = json!({"model": "e", "input": "word ".repeat(30)});
    let answer = with_key(&client, "sk-a", "/v1/embeddings", &body).await;
    assert_eq!(answer.status(), 200);
    let tokens = answer.json::<Value>().await["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(limit.spent(), format!("0.{tokens}").parse().unwrap());
}

#[test]
fn a_key_of_some_models_needs_a_name_for_the_embedders() {
    let build = |api: OpenAiApi| {
        let app = app(&FakeProvider::new(), api).embedder(FakeEmbedder::new(4));
        app.build().err().map(|error| error.to_string())
    };
    let api = || OpenAiApi::new("/v1").keys(VirtualKey::new("a", "sk-a").models(["m"]));
    assert!(build(api()).unwrap().contains(".embedding_model("));
    assert_eq!(build(api().embedding_model("e")), None);
    assert_eq!(build(OpenAiApi::new("/v1").keys(VirtualKey::new("a", "sk-a"))), None);
}

#[tokio::test]
async fn what_nobody_knows_is_passed_over_and_the_rest_is_bounded() {
    let client = local(app(&unasked(), "/v1"));
    let send = |body: String, path: &str| {
        client.post(path).header("content-type", "application/json").body(body).send()
    };
    let many = "0,".repeat(300_000);
    let unknown = format!(r#"{{"messages":[{{"role":"user","content":"Hi"}}],"x":[{many}0]}}"#);
    assert_eq!(send(unknown, CHAT).await.status(), 200);
    let known = format!(r#"{{"messages":[{{"role":"user","content":"Hi","x":[{many}0]}}]}}"#);
    let (status, error) = refused(send(known, CHAT).await).await;
    assert_eq!(status, 413, "{error}");
    assert!(error["message"].as_str().unwrap().contains("100000 values"), "{error}");
}

#[tokio::test]
async fn an_invented_tool_is_told_alike_in_whole_and_streamed_answers() {
    /// The time.
    #[tool]
    async fn now() -> &'static str {
        "noon"
    }
    let invented = || FakeReply::new().tool_call("hallucinated", json!({}));
    let theirs =
        || FakeReply::new().tool_call("hallucinated", json!({})).tool_call("theirs", json!({}));
    let declared = json!({"tools": [{"type": "function", "function": {"name": "theirs"}}]});
    for (ours, body, script) in [
        (true, json!({}), vec![invented(), FakeReply::new().text("Noon.")]),
        (true, declared.clone(), vec![theirs()]),
        (false, declared, vec![theirs()]),
        (false, json!({}), vec![invented()]),
    ] {
        let twice = [script.clone(), script].concat();
        let fake = twice.into_iter().fold(FakeProvider::new(), FakeProvider::reply);
        let api = OpenAiApi::new("/v1");
        let api = if ours { api.tools([now {}]) } else { api };
        let client = local(app(&fake, api));
        let told = folded_whole(&whole(&client, hello(body.clone())).await);
        assert_eq!(folded(&streamed(&client, hello(body)).await), told);
        let calls = told["message"]["tool_calls"].to_string();
        assert_eq!(calls.contains("hallucinated"), !ours, "{told}");
    }
}

#[tokio::test]
async fn a_tool_choice_names_a_tool_of_the_callers() {
    /// The time.
    #[tool]
    async fn now() -> &'static str {
        "noon"
    }
    let fake = unasked();
    let client = local(app(&fake, OpenAiApi::new("/v1").tools([now {}])));
    for choice in [json!({"type": "function", "function": {"name": "now"}}), json!("required")] {
        for stream in [false, true] {
            let body = hello(json!({"tool_choice": choice, "stream": stream}));
            let (status, error) = refused(client.post(CHAT).json(&body).send().await).await;
            assert_eq!((status, &error["param"]), (400, &json!("tool_choice")));
        }
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_schema_reaches_openai_as_strict_as_it_was_sent() {
    let mut upstream = Upstream::start(|_| {
        let message = json!({"role": "assistant", "content": "{}"});
        Reply::json(200, json!({"id": "c", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}))
    })
    .await;
    let config = ProviderConfig::new("openai", "m").api_key("sk-up").base_url(upstream.url());
    let client = Client::new(HttpProvider::openai(&config).unwrap());
    let client = local(Ember::new().env(Env::of([("X", "y")])).client(client).openai_api("/v1"));
    let properties = json!({"a": {"type": "integer"}, "note": {"type": "string"}});
    let schema = json!({"type": "object", "properties": properties, "required": ["a"]});
    for (strict, sent) in [(json!(null), false), (json!(false), false), (json!(true), true)] {
        let described = json!({"name": "x", "schema": schema, "strict": strict});
        let format = json!({"type": "json_schema", "json_schema": described});
        whole(&client, hello(json!({"response_format": format}))).await;
        let format =
            upstream.seen().last().unwrap().json()["response_format"]["json_schema"].clone();
        assert_eq!(format["strict"], sent);
        assert_eq!(format["schema"] == schema, !sent, "{format}");
    }
    let body = upstream.seen().last().unwrap().json();
    assert!(body.get("temperature").is_none(), "nobody asked for one: {body}");
    let _ = &mut upstream;
}

#[tokio::test]
async fn what_the_model_cannot_be_told_is_refused_or_named() {
    let dropped = |names: &[&str]| {
        let event = |name: &&str| ChatEvent::Dropped(Dropped::new(*name, "it knows none"));
        names.iter().map(event).fold(FakeReply::new(), FakeReply::event).text("Hello")
    };
    for stream in [false, true] {
        for (names, param) in [
            (&["seed", "top_p"][..], None),
            (&["seed", "response_format"], Some("response_format")),
            (&["tool_choice"], Some("tool_choice")),
        ] {
            let client = local(app(&FakeProvider::new().reply(dropped(names)), "/v1"));
            let body = hello(json!({"stream": stream}));
            let response = client.post(CHAT).json(&body).send().await;
            match param {
                None => {
                    assert_eq!(response.header("x-ember-dropped"), Some("seed, top_p"));
                    assert_eq!(response.status(), 200);
                }
                Some(param) => {
                    let (status, error) = refused(response).await;
                    assert_eq!((status, &error["param"]), (400, &json!(param)));
                    assert!(error["message"].as_str().unwrap().contains("it knows none"));
                }
            }
        }
    }
    let client = local(app(&unasked(), "/v1"));
    let plain = client.post(CHAT).json(&hello(json!({}))).send().await;
    assert_eq!(plain.header("x-ember-dropped"), None);
}

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
    let unpriced = day("1").allow_unpriced();
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

#[tokio::test]
async fn money_of_keys_is_counted_by_key_where_it_says_so() {
    for (limit, second) in [
        (SpendLimit::per_day("100".parse().unwrap()).per_principal(), 200),
        (SpendLimit::per_day("100".parse().unwrap()), 429),
    ] {
        let reply = |_: &_| FakeReply::new().text("x").usage(Usage::new(90, 1));
        let prices =
            CostConfig::new().price("fake", Price::per_million("1000000", "2000000").unwrap());
        let builder = Client::builder().provider(FakeProvider::new().respond(reply));
        let client = builder.cost(prices.default_model("fake")).build().unwrap();
        let keys = ["a", "b"]
            .map(|name| VirtualKey::new(name, format!("sk-{name}")).spend_limit(limit.clone()));
        let app = Ember::new().env(Env::of([("X", "y")])).client(client);
        let client =
            TestClient::new(app.openai_api(OpenAiApi::new("/v1").keys(keys)).build().unwrap());
        let body = json!({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1});
        assert_eq!(with_key(&client, "sk-a", CHAT, &body).await.status(), 200);
        assert_eq!(with_key(&client, "sk-b", CHAT, &body).await.status().as_u16(), second);
    }
}

#[tokio::test]
async fn a_key_pays_by_the_models_that_may_answer_it() {
    let price = |dollars: &str| Price::per_million(dollars, dollars).unwrap();
    for stream in [false, true] {
        let prices = CostConfig::new().price("small", price("1")).price("large", price("1000000"));
        let router =
            ModelRouter::new(["small", "large"].map(|name| ModelSpec::served_by(name, unasked())));
        let client = Client::builder().router(router.unwrap()).cost(prices).build().unwrap();
        let limit = || SpendLimit::per_day("1".parse().unwrap());
        let keys = [
            VirtualKey::new("a", "sk-a").models(["small"]).spend_limit(limit()),
            VirtualKey::new("b", "sk-b").spend_limit(limit()),
        ];
        let app = Ember::new().env(Env::of([("X", "y")])).client(client);
        let client =
            TestClient::new(app.openai_api(OpenAiApi::new("/v1").keys(keys)).build().unwrap());
        let body = hello(json!({"model": "small", "stream": stream, "max_tokens": 5}));
        let cheap = with_key(&client, "sk-a", CHAT, &body).await;
        assert_eq!(cheap.status(), 200);
        let dear = with_key(&client, "sk-b", CHAT, &body).await;
        assert_eq!(dear.status(), 429, "the other model may answer in its place");
    }
}

#[tokio::test]
async fn a_model_without_a_price_is_not_there_for_whoever_pays() {
    let limit = SpendLimit::per_day("1".parse().unwrap());
    let keys = VirtualKey::new("a", "sk-a").spend_limit(limit);
    let client =
        TestClient::new(app(&unasked(), OpenAiApi::new("/v1").keys(keys)).build().unwrap());
    for stream in [false, true] {
        let body = hello(json!({"model": "typo", "stream": stream}));
        let (status, error) = refused(with_key(&client, "sk-a", CHAT, &body).await).await;
        assert_eq!((status, &error["code"]), (404, &json!("model_not_found")));
    }
}

/// Asks over a connection, and gives back what has arrived once `mark` has.
async fn begin(address: std::net::SocketAddr, headers: &str, mark: &str) -> (TcpStream, Vec<u8>) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let body = hello(json!({"stream": true})).to_string();
    let request = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n{headers}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(mark) {
        assert_ne!(socket.read_buf(&mut seen).await.unwrap(), 0);
    }
    (socket, seen)
}

#[tokio::test]
async fn a_stream_that_the_servers_stop_cuts_ends_in_openais_error() {
    let fake = FakeProvider::new().reply(FakeReply::new().text("a b c").hang_after(2));
    let app = app(&fake, "/v1").workers(1);
    let running = app.serve(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
    let (mut socket, mut seen) = begin(running.address(), "", "b ").await;
    running.stop().within(secs(0));
    socket.read_to_end(&mut seen).await.unwrap();
    running.join();
    let seen = String::from_utf8(seen).unwrap();
    let last = seen.lines().rfind(|line| line.starts_with("data: ")).unwrap();
    let last: Value = serde_json::from_str(&last["data: ".len()..]).unwrap();
    assert_eq!(last["error"]["type"], "server_error", "{seen}");
    assert!(!seen.contains("event: error") && !seen.contains("[DONE]"), "{seen}");
}

#[tokio::test]
async fn an_abandoned_call_costs_its_key_what_was_used() {
    let mut upstream = Upstream::start(|_| {
        Reply::events()
            .data(json!({"model": "m", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}))
            .hang()
    })
    .await;
    let config = ProviderConfig::new("openai", "m").api_key("sk-up").base_url(upstream.url());
    let client = Client::new(HttpProvider::openai(&config).unwrap());
    let key = |name: &str| {
        VirtualKey::new(name, format!("sk-{name}")).token_limits(TokenLimits::per_day(1_000))
    };
    let api = OpenAiApi::new("/v1").keys([key("a"), key("b")]);
    let app = Ember::new().env(Env::of([("X", "y")])).client(client).openai_api(api).workers(1);
    let running = app.serve(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
    let address = running.address();
    let (socket, _) = begin(address, "authorization: Bearer sk-a\r\n", "\"content\":\"Hi\"").await;
    drop(socket);
    upstream.hung_up().await;
    // What is left while a call of each key is under way.
    let mut left = Vec::new();
    for key in ["a", "b"] {
        let bearer = format!("authorization: Bearer sk-{key}\r\n");
        let (_socket, seen) = begin(address, &bearer, "\r\n\r\n").await;
        let seen = String::from_utf8(seen).unwrap();
        let (_, rest) = seen.split_once("x-ratelimit-remaining-tokens: ").unwrap();
        left.push(rest.lines().next().unwrap().parse::<u64>().unwrap());
    }
    let cost = left[1] - left[0];
    assert!((2..50).contains(&cost), "its prompt and a word, and not what was set aside: {left:?}");
    running.stop().within(secs(0));
    running.join();
}
