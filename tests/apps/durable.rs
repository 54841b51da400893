//! A chat whose conversations are in the file that the command line names, for tests that kill it.

use ember::llm::{FakeProvider, FakeReply, StoreSessions};
use ember::prelude::*;
use ember::store::SqliteStore;

#[ai_route("/chat")]
async fn chat(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
    conversation.stream(message).await
}

fn main() -> ember::Result {
    let path = std::env::args().nth(1).unwrap_or_default();
    // The lock of a process that was killed is waited for.
    let sessions = StoreSessions::new(SqliteStore::new(path))?.hold(millis(300));
    let answer = |request: &ember::llm::ChatRequest| {
        let said = request.messages.last().map(|message| message.text().into_owned());
        FakeReply::new().text(format!("you said {}", said.unwrap_or_default())).delay(millis(1))
    };
    let client = Client::new(FakeProvider::new().respond(answer));
    Ember::new().route(chat {}).client(client).sessions(sessions).build()?.run()
}
