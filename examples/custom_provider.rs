//! A model of one's own, chosen by `LLM_PROVIDER` like any other, with everything around it.
//!
//! `cargo run --example custom_provider` needs no key and no network: the model stands in this file.

use ember::Env;
use ember::llm::{
    ChatRequest, ChatResponse, ChatStream, Client, Error, ErrorKind, Provider, ProviderConfig,
    Usage,
};
use ember::provider;

/// A model that says everything backwards.
#[provider("mirror", model_env = "MIRROR_MODEL", default_model = "plain")]
struct Mirror {
    model: String,
}

impl From<ProviderConfig> for Mirror {
    fn from(config: ProviderConfig) -> Self {
        Self { model: config.model }
    }
}

impl Provider for Mirror {
    fn name(&self) -> &str {
        "mirror"
    }

    async fn chat(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        let Some(last) = request.messages.last() else {
            return Err(Error::new(ErrorKind::InvalidRequest, "there is nothing to answer"));
        };
        let mut text: String = last.text().chars().rev().collect();
        if self.model == "loud" {
            text = text.to_uppercase();
        }
        let words = |text: &str| text.split_whitespace().count() as u64;
        let usage = Usage::new(words(&last.text()), words(&text));
        let mut response = ChatResponse::text_answer(text);
        response.model = Some(self.model.clone());
        response.usage = Some(usage);
        Ok(response)
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
        // A model that answers bit by bit would make a `ChatStream` of its events.
        Ok(self.chat(request).await?.into_stream())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    // With `LLM_PROVIDER=mirror` in the environment, `Client::from_env` alone would do.
    let client = match Env::process().var("LLM_PROVIDER") {
        Some(_) => Client::from_env()?,
        None => Client::from_config(ProviderConfig::new("mirror", "plain"))?,
    };
    println!("{}", client.ask("Was it a cat I saw").await?);
    println!("{:?}", client.usage());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(model: &str) -> Client {
        Client::with_env(Env::of([("LLM_PROVIDER", "mirror"), ("MIRROR_MODEL", model)])).unwrap()
    }

    #[ember::test]
    async fn it_is_found_by_its_name_and_counted_like_any_other() {
        let client = client("");
        assert_eq!((client.provider(), client.default_model()), ("mirror", Some("plain")));
        assert_eq!(client.ask("Hello there").await.unwrap(), "ereht olleH");
        assert_eq!(client.usage().total_input_tokens(), 2);
    }

    #[ember::test]
    async fn the_environment_chooses_its_model_and_it_streams() {
        let stream = client("loud").stream("abc").await.unwrap();
        assert_eq!(stream.collect().await.unwrap().text(), "CBA");
    }
}
