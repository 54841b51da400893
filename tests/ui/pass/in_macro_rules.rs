//! The macros work where names, paths and types come from another macro.

use ember::llm::{FakeProvider, ToolRegistry};
use ember::prelude::*;
use ember::testing::TestClient;

macro_rules! resource {
    ($name:ident, $path:literal, $id:ident: $ty:ty, $answer:expr) => {
        #[get($path)]
        async fn $name($id: $ty) -> String {
            format!("{} {}", $answer, $id)
        }
    };
}

resource!(task, "/tasks/{id}", id: u64, "task");

macro_rules! adder {
    ($name:ident, $ty:ty, $default:expr) => {
        /// Adds.
        #[tool]
        async fn $name(a: $ty, #[default($default)] b: $ty) -> $ty {
            a + b
        }
    };
}

adder!(add, i32, 1);

#[ai_route("/chat", tools = [add])]
async fn chat(conversation: ConversationContext) -> ember::Result<TokenStream> {
    conversation.stream("Hi").await
}

fn main() {
    let app = ember::app!().client(Client::new(FakeProvider::new())).build().unwrap();
    let specs = ToolRegistry::of([add {}]).unwrap().to_openai_specs();
    assert_eq!(specs[0]["function"]["parameters"]["properties"]["b"]["default"], 1);
    let client = TestClient::new(app);
    let response = client.get("/tasks/7").send();
    let text = futures(async { response.await.text().await });
    assert_eq!(text, "task 7");
}

/// Polls until ready: nothing here waits.
fn futures<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
