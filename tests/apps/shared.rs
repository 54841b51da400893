//! An application that keeps everything in the store that `EMBER_STORE` names, for tests in which
//! several processes share one, and in which it goes away.

use ember::llm::{ChatRequest, FakeProvider, FakeReply, StoreSessions};
use ember::prelude::*;
use ember::store::BoxStore;
use ember::web::cache::{RedisCache, StoreCache};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

static STORE: LazyLock<BoxStore> = LazyLock::new(|| {
    let store = BoxStore::from_env(&ember::Env::process()).expect("EMBER_STORE names a store");
    store.expect("EMBER_STORE is the address of a store")
});

/// Connected by itself, as the caches of routes are that name their server.
static REDIS: LazyLock<RedisCache> = LazyLock::new(|| {
    let url = std::env::var("EMBER_STORE").expect("EMBER_STORE is set");
    RedisCache::new(url, secs(100))
});

/// How many answers this process has made.
static MADE: AtomicUsize = AtomicUsize::new(0);

/// A turn whose answer comes bit by bit.
#[ai_route("/stream")]
async fn stream(conversation: ConversationContext, text: String) -> ember::Result<TokenStream> {
    conversation.stream(text).await
}

/// A turn whose answer comes whole.
#[ai_route("/whole")]
async fn whole(mut conversation: ConversationContext, text: String) -> ember::Result<String> {
    conversation.ask(text).await
}

/// Tells which process has made the answer, and which of its answers it is.
fn made() -> String {
    format!("{} of {}", MADE.fetch_add(1, Ordering::Relaxed), std::process::id())
}

/// An answer that is kept in the store of the application.
#[get("/kept/{key}", cache = StoreCache::new(STORE.clone(), secs(100)))]
async fn kept(key: String) -> String {
    format!("{key}: {}", made())
}

/// An answer that is kept in Redis.
#[get("/redis/{key}", cache = REDIS.clone())]
async fn redis(key: String) -> String {
    format!("{key}: {}", made())
}

/// Counts the visits of whoever has a cookie.
#[get("/visits")]
async fn visits(session: Session) -> ember::Result<String> {
    let visits = session.get::<u32>("visits")?.unwrap_or_default() + 1;
    session.insert("visits", visits)?;
    Ok(visits.to_string())
}

/// Says what it was told and how much was said before; slowly, if it is told to.
fn reply(request: &ChatRequest) -> FakeReply {
    let said = request.messages.last().map(|message| message.text().into_owned());
    let said = said.unwrap_or_default();
    let before = request.messages.len().saturating_sub(1);
    if said.starts_with("slowly") {
        return FakeReply::new().text("and so on ".repeat(200)).delay(millis(50));
    }
    FakeReply::new().text(format!("after {before}: {said}")).delay(millis(2))
}

fn main() -> ember::Result {
    // The lock of a process that was killed is waited for.
    let sessions = StoreSessions::new(STORE.clone())?.hold(secs(1));
    ember::app!()
        .store(STORE.clone())
        .sessions(sessions)
        .conversations("/conversations")
        .client(Client::new(FakeProvider::new().respond(reply)))
        .run()
}
