//! A gateway that speaks OpenAI's interface before any model: `cargo run --example openai_gateway`.
//!
//! It is configured by the environment alone:
//!
//! - `LLM_PROVIDER` and the provider's own variables, such as `ANTHROPIC_API_KEY`: who answers.
//!   Without any a scripted model does, which says so; no network is needed.
//! - `EMBER_API_KEYS=team-a:secret,team-b:secret`: who may ask. Without any only programs on this machine may,
//!   by its name `localhost` or its address; behind a proxy keys are needed.
//! - `EMBER_HOST`, `EMBER_PORT`: where it listens.
//!
//! ```text
//! curl -N http://127.0.0.1:8000/v1/chat/completions -H 'content-type: application/json' \
//!   -d '{"stream": true, "messages": [{"role": "user", "content": "Hello"}]}'
//! ```
//!
//! Every client of OpenAI works with it, given `http://127.0.0.1:8000/v1` as the base URL.

use ember::ai::OpenAiApi;
use ember::llm::FakeProvider;
use ember::prelude::*;

fn app() -> Ember {
    // A model of its own beside those of the provider.
    let api = OpenAiApi::new("/v1").model("translator", |options| {
        options.system("Translate into French. Answer with the translation alone.");
    });
    ember::app!().openai_api(api).offline(FakeProvider::new())
}

fn main() -> ember::Result {
    app().run()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ember::Env;
    use ember::serde_json::{Value, json};
    use ember::testing::TestClient;

    fn client(env: &[(&str, &str)]) -> TestClient {
        let app = app().env(Env::of(env.iter().copied())).build().unwrap();
        TestClient::new(app).peer(([127, 0, 0, 1], 50_000))
    }

    #[ember::test]
    async fn it_answers_without_any_configuration() {
        let client = client(&[("LLM_PROVIDER", "fake")]);
        let body = json!({"model": "any", "messages": [{"role": "user", "content": "Hello"}]});
        let answer: Value =
            client.post("/v1/chat/completions").json(&body).send().await.json().await;
        let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
        assert!(text.contains("no model was asked: \"Hello\""), "{text}");
        let models: Value = client.get("/v1/models").send().await.json().await;
        assert_eq!(models["data"][0]["id"], "translator");
    }

    #[ember::test]
    async fn keys_come_from_the_environment() {
        let client = client(&[("LLM_PROVIDER", "fake"), ("EMBER_API_KEYS", "ada:sk-ada")]);
        assert_eq!(client.get("/v1/models").send().await.status(), 401);
        let known = client.get("/v1/models").header("authorization", "Bearer sk-ada");
        assert_eq!(known.send().await.status(), 200);
    }
}
