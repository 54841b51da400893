//! A service of which several processes run at once, on one Redis: whichever is asked knows what was said.
//!
//! `examples/cluster/run.sh` starts Redis, two of these and a balancer before them, kills one in the middle
//! of an answer, and goes on with the other. By itself it is a service like any other; `EMBER_STORE`
//! says where it keeps what the next request needs:
//!
//! ```text
//! EMBER_STORE=redis://localhost EMBER_PORT=8001 cargo run --example cluster --features cluster
//! ```

use ember::llm::{ChatRequest, FakeProvider, FakeReply, Role, StoreSessions};
use ember::prelude::*;
use ember::store::{BoxStore, MemoryStore};
use ember::web::cache::StoreCache;
use std::process;

/// Talks with a user, and remembers the conversation for all processes.
#[ai_route("/chat")]
async fn chat(conversation: ConversationContext, message: String) -> Result<TokenStream> {
    conversation.stream(message).await
}

/// Something that takes long to make, and is made once for all processes.
#[get("/report", cache = StoreCache::new(store(), secs(60)))]
async fn report() -> String {
    format!("made by process {}", process::id())
}

/// Says which process has answered, for whoever wants to see the balancer at work.
#[middleware(scope = app)]
async fn sign(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert("x-process", process::id().into());
    response
}

/// The store that `EMBER_STORE` names. When it is wrong, the application tells so itself.
fn store() -> BoxStore {
    let named = BoxStore::from_env(&ember::Env::process()).and_then(Result::ok);
    named.unwrap_or_else(|| MemoryStore::new().into())
}

/// A model that knows names, can count, and remembers how often it was asked.
fn model() -> FakeProvider {
    FakeProvider::new().respond(reply)
}

fn reply(request: &ChatRequest) -> FakeReply {
    let said = request.messages.iter().filter(|message| message.role == Role::User);
    let said: Vec<_> = said.map(|message| message.text()).collect();
    let name = said.iter().find_map(|text| text.strip_prefix("My name is "));
    match (said.last().map(|last| &**last), name) {
        (Some("What is my name?"), Some(name)) => {
            FakeReply::new().text(format!("Your name is {name}."))
        }
        (Some("How often have I asked?"), _) => {
            FakeReply::new().text(format!("This is question {}.", said.len()))
        }
        (Some("Count, please."), _) => {
            let numbers: String = (1..=200).map(|number| format!("{number} ")).collect();
            FakeReply::new().text(numbers).delay(millis(50))
        }
        (_, Some(name)) => FakeReply::new().text(format!("Nice to meet you, {name}.")),
        _ => FakeReply::new().text("Hello."),
    }
}

/// The routes of this module.
fn app() -> Ember {
    ember::app!()
}

fn main() -> ember::Result {
    // A conversation whose process was killed is free again after two seconds.
    let sessions = StoreSessions::new(store())?.hold(secs(2));
    app().sessions(sessions).offline(model()).run()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ember::testing::TestClient;

    /// Two applications on one store are two processes of one service.
    #[ember::test]
    async fn whichever_is_asked_knows_what_was_said() {
        let shared = MemoryStore::new();
        let process = || {
            let sessions = StoreSessions::new(shared.clone()).unwrap();
            let app = app().sessions(sessions).client(Client::new(model()));
            TestClient::new(app.build().unwrap())
        };
        let (one, other) = (process(), process());
        let said = one.post("/chat").body("My name is Ada").send().await;
        let id = said.header("x-conversation-id").unwrap().to_owned();
        assert!(said.header("x-process").is_some());
        assert!(said.text().await.contains("[DONE]"));
        let said = other.post("/chat").header("x-conversation-id", &id).body("What is my name?");
        let events = said.send().await.events().await;
        let text: String = events.iter().map(|event| event.data.as_str()).collect();
        assert_eq!(text, "Your name is Ada.[DONE]");
    }
}
