//! AI routes: conversations that are remembered, streamed, limited, and rolled back.

use ember::Ember;
use ember::llm::{
    Client, ErrorKind, FakeProvider, FakeReply, FinishReason, HttpProvider, Message,
    ProviderConfig, Usage,
};
use ember::prelude::*;
use ember::testing::{TestClient, TestResponse};
use ember::web::Principal;
use ember_tests::{Reply, Upstream};
use serde_json::{Value, json};
use tokio::time::timeout;

/// Adds two numbers.
#[tool]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[ai_route("/chat")]
async fn chat(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
    conversation.stream(message).await
}

#[ai_route("/ask", model = "large")]
async fn ask(mut conversation: ConversationContext, message: String) -> ember::Result<String> {
    conversation.ask(message).await
}

#[ai_route("/add", tools = [add])]
async fn adding(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
    conversation.stream(message).await
}

#[ai_route("/terse", methods = [POST, PUT])]
async fn terse(
    mut conversation: ConversationContext,
    message: String,
) -> ember::Result<TokenStream> {
    conversation.system("Be terse.");
    conversation.stream(message).await
}

#[ai_route("/history", methods = [GET])]
async fn history(conversation: ConversationContext) -> Json<Vec<Message>> {
    Json(conversation.messages().to_vec())
}

#[ai_route("/edit")]
async fn edit(mut conversation: ConversationContext, command: String) -> ember::Result<String> {
    match command.as_str() {
        "clear" => conversation.clear(),
        "add" => {
            conversation.add_message(Role::User, "one two three four");
            conversation.add_message(Role::Assistant, "five six seven eight");
            conversation.add_message(Role::System, "Be kind.");
        }
        "trim" => conversation.trim(60),
        _ => return Err(Error::bad_request("unknown")),
    }
    conversation.save().await?;
    Ok(conversation.estimate_tokens().to_string())
}

#[ai_route("/limited", token_limits = TokenLimits::per_minute(100).max_prompt_tokens(50).max_completion_tokens(30))]
async fn limited(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
    conversation.stream(message).await
}

#[post("/direct")]
async fn direct(client: Client, message: String) -> ember::Result<String> {
    Ok(client.ask(message).await?)
}

/// Authenticates whoever says who they are.
struct Trusting;

impl Middleware for Trusting {
    async fn handle(&self, mut request: Request, next: Next) -> Response {
        if let Some(name) =
            request.headers().get("x-user").and_then(|name| name.to_str().ok()).map(str::to_owned)
        {
            request.extensions_mut().insert(Principal::new(name));
        }
        next.run(request).await
    }
}

fn app(provider: &FakeProvider) -> TestClient {
    let app: Ember = ember::app!().client(Client::new(provider.clone())).middleware(Trusting);
    TestClient::new(app.build().unwrap())
}

async fn post(app: &TestClient, target: &str, id: &str, message: &'static str) -> TestResponse {
    let request = app.post(target).body(message);
    let request = if id.is_empty() { request } else { request.header("x-conversation-id", id) };
    request.send().await
}

fn id_of(response: &TestResponse) -> String {
    response.header("x-conversation-id").unwrap().to_owned()
}

async fn said(app: &TestClient, id: &str) -> Vec<String> {
    let history = app.get("/history").header("x-conversation-id", id).send().await;
    let messages: Vec<Message> = history.json().await;
    messages.iter().map(|message| format!("{:?}: {}", message.role, message.text())).collect()
}

#[tokio::test]
async fn an_answer_is_streamed_token_by_token() {
    let app = app(&FakeProvider::new().text("Hello my\nfriend"));
    let response = post(&app, "/chat", "", "Hi").await;
    assert_eq!(
        (response.status().as_u16(), response.header("content-type")),
        (200, Some("text/event-stream"))
    );
    assert_eq!(id_of(&response).len(), 32);
    let data: Vec<_> = response.events().await.into_iter().map(|event| event.data).collect();
    assert_eq!(data, ["Hello ", "my\nfriend", "[DONE]"]);
}

#[tokio::test]
async fn turns_are_remembered_under_the_id() {
    let fake = FakeProvider::new().text("Yes.");
    let app = app(&fake);
    let first = post(&app, "/chat", "", "I am Ada.").await;
    let id = id_of(&first);
    first.events().await;
    let second = post(&app, "/ask", &id, "Who am I?").await;
    assert_eq!((id_of(&second), second.text().await), (id.clone(), "Yes.".to_owned()));
    assert_eq!(
        said(&app, &id).await,
        ["User: I am Ada.", "Assistant: Yes.", "User: Who am I?", "Assistant: Yes."]
    );
    let asked = fake.requests().pop().unwrap();
    assert_eq!(
        asked.messages,
        [Message::user("I am Ada."), Message::assistant("Yes."), Message::user("Who am I?")]
    );
    assert_eq!(asked.model.as_deref(), Some("large"));
    let other = id_of(&post(&app, "/chat", "", "Hi").await);
    assert_ne!(other, id);
    assert!(said(&app, &other).await.is_empty());
}

#[tokio::test]
async fn ids_are_checked_and_belong_to_their_principal() {
    let app = app(&FakeProvider::new().text("Yes."));
    for bad in ["a b", "a/b", &"x".repeat(129)] {
        assert_eq!(
            app.get("/history").header("x-conversation-id", bad).send().await.status(),
            400,
            "{bad}"
        );
    }
    let ask = |user: &'static str| {
        app.post("/ask").header("x-conversation-id", "shared").header("x-user", user)
    };
    ask("ann").body("I am Ann").send().await.text().await;
    ask("bob").body("I am Bob").send().await.text().await;
    let history = |user: &'static str| {
        app.get("/history").header("x-conversation-id", "shared").header("x-user", user)
    };
    let messages: Vec<Message> = history("ann").send().await.json().await;
    assert_eq!(messages[0].text(), "I am Ann");
    assert!(said(&app, "shared").await.is_empty(), "nobody is somebody else");
    let messages: Vec<Message> = history("eve").send().await.json().await;
    assert!(messages.is_empty());
}

#[tokio::test]
async fn only_question_and_answer_of_a_turn_with_tools_are_remembered() {
    let fake = FakeProvider::new()
        .reply(FakeReply::new().text("Let me add. ").tool_call("add", json!({"a": 1, "b": 2})))
        .reply(FakeReply::new().text("It is 3."));
    let app = app(&fake);
    let response = post(&app, "/add", "sum", "1 + 2?").await;
    let data: String = response.events().await.into_iter().map(|event| event.data).collect();
    assert_eq!(data, "Let me add. It is 3.[DONE]");
    assert_eq!(said(&app, "sum").await, ["User: 1 + 2?", "Assistant: It is 3."]);
    assert_eq!(fake.requests()[0].tools[0].name(), "add");
}

#[tokio::test]
async fn a_failure_before_the_first_token_has_a_status() {
    for (kind, status) in [
        (ErrorKind::Overloaded, 503),
        (ErrorKind::Timeout, 504),
        (ErrorKind::Transport, 502),
        (ErrorKind::ContextLength, 413),
        (ErrorKind::ContentFilter, 422),
    ] {
        for events in [0, 1] {
            let thinking = FakeReply::new().reasoning("hm").text("never");
            let fake = FakeProvider::new().reply(thinking.fail_after(
                events,
                kind,
                "secret of the provider",
            ));
            let app = app(&fake);
            let response = post(&app, "/chat", "c", "Hi").await;
            assert_eq!(response.status(), status, "{kind:?}");
            assert_eq!(id_of(&response), "c");
            assert!(!response.text().await.contains("secret"));
            assert!(said(&app, "c").await.is_empty(), "a failed turn is rolled back");
        }
    }
}

#[tokio::test]
async fn a_failure_after_it_is_an_event_and_never_done() {
    let broken = [
        FakeReply::new().text("a b c").fail_after(2, ErrorKind::Transport, "secret"),
        FakeReply::new().text("a b c").cut_after(2),
        FakeReply::new().text("a b ").finish(FinishReason::Length),
        FakeReply::new().text("a b ").finish(FinishReason::ContentFilter),
    ];
    for reply in broken {
        let app = app(&FakeProvider::new().reply(reply).text("fine"));
        let events = post(&app, "/chat", "c", "Hi").await.events().await;
        let names: Vec<_> = events.iter().map(|event| event.event.as_str()).collect();
        assert_eq!(names, ["message", "message", "error"]);
        let problem: Value = serde_json::from_str(&events[2].data).unwrap();
        assert_eq!(problem["status"], 502);
        assert!(!events[2].data.contains("secret"));
        assert!(said(&app, "c").await.is_empty(), "a failed turn is rolled back");
        post(&app, "/chat", "c", "Again").await.events().await;
        assert_eq!(said(&app, "c").await, ["User: Again", "Assistant: fine"]);
    }
}

#[tokio::test]
async fn an_abandoned_turn_is_rolled_back_and_the_next_goes_on() {
    let app =
        app(&FakeProvider::new().reply(FakeReply::new().text("a b c").hang_after(2)).text("fine"));
    let mut response = post(&app, "/chat", "c", "Hi").await;
    assert_eq!(response.next_event().await.unwrap().data, "a ");
    drop(response);
    let next = timeout(secs(5), post(&app, "/ask", "c", "Again"))
        .await
        .expect("the conversation stays locked");
    assert_eq!(next.text().await, "fine");
    assert_eq!(said(&app, "c").await, ["User: Again", "Assistant: fine"]);
}

#[tokio::test]
async fn turns_of_one_conversation_follow_one_another() {
    let fake = FakeProvider::new().respond(|request| {
        FakeReply::new().text(request.messages.len().to_string()).delay(millis(2))
    });
    let app = app(&fake);
    let turns = (0..20).map(|_| async { post(&app, "/chat", "c", "Hi").await.events().await });
    futures_util::future::join_all(turns).await;
    let lengths: Vec<_> = fake.requests().iter().map(|request| request.messages.len()).collect();
    assert_eq!(lengths, (0..20).map(|turn| 2 * turn + 1).collect::<Vec<_>>());
    assert_eq!(said(&app, "c").await.len(), 40);
}

#[tokio::test]
async fn the_system_message_is_replaced_and_not_repeated() {
    let app = app(&FakeProvider::new().text("Ok."));
    post(&app, "/terse", "c", "One").await.events().await;
    post(&app, "/terse", "c", "Two").await.events().await;
    let said_so_far = said(&app, "c").await;
    let expected =
        ["System: Be terse.", "User: One", "Assistant: Ok.", "User: Two", "Assistant: Ok."];
    assert_eq!(said_so_far, expected);
    post(&app, "/edit", "c", "add").await;
    let said_so_far = said(&app, "c").await;
    assert_eq!(said_so_far.iter().filter(|line| line.starts_with("System")).count(), 1);
    assert_eq!(said_so_far[0], "System: Be kind.");
}

#[tokio::test]
async fn trimming_keeps_the_system_message_and_whole_turns() {
    let app = app(&FakeProvider::new().text("Ok."));
    for _ in 0..10 {
        post(&app, "/edit", "c", "add").await;
    }
    let tokens: u64 = post(&app, "/edit", "c", "trim").await.text().await.parse().unwrap();
    assert!((20..=60).contains(&tokens), "{tokens}");
    let kept = said(&app, "c").await;
    assert_eq!(kept[0], "System: Be kind.");
    assert!(kept[1].starts_with("User") && kept.len() % 2 == 1, "{kept:?}");
    post(&app, "/edit", "c", "clear").await;
    assert!(said(&app, "c").await.is_empty());
}

#[tokio::test]
async fn tokens_are_limited_and_settled() {
    let reply = || FakeReply::new().text("a b").usage(Usage::new(40, 20));
    let fake = FakeProvider::new().reply(reply()).reply(reply());
    let app = app(&fake);
    let first = post(&app, "/limited", "", "Hi").await;
    assert_eq!(first.header("ratelimit-limit"), Some("100"));
    first.events().await;
    assert_eq!(fake.requests()[0].max_tokens, Some(30));
    let refused =
        post(&app, "/limited", "", "A question with some more words, which needs tokens, too.")
            .await;
    assert_eq!(refused.status(), 429);
    assert!(refused.header("retry-after").is_some());
    let left: u64 = refused.header("ratelimit-remaining").unwrap().parse().unwrap();
    assert!((39..=42).contains(&left), "60 of 100 were used: {left} are left");
    let too_long = app.post("/limited").body("x".repeat(300)).send().await;
    assert_eq!(too_long.status(), 413);
}

#[tokio::test]
async fn a_client_is_an_extractor() {
    let app = app(&FakeProvider::new().text("Here."));
    assert_eq!(post(&app, "/direct", "", "Hi").await.text().await, "Here.");
}

#[tokio::test]
async fn reasoning_is_not_for_the_reader() {
    let app = app(&FakeProvider::new().reply(FakeReply::new().reasoning("hm well").text("done")));
    let events = post(&app, "/chat", "", "Hi").await.events().await;
    assert_eq!(events.into_iter().map(|event| event.data).collect::<Vec<_>>(), ["done", "[DONE]"]);
}

#[tokio::test(start_paused = true)]
async fn comments_keep_the_connection_open_while_a_model_thinks() {
    let app = app(&FakeProvider::new().reply(FakeReply::new().text("done").delay(secs(40))));
    let mut response = post(&app, "/chat", "c", "Hi").await;
    assert_eq!(response.status(), 200, "after ten seconds nobody waits for a status any more");
    let mut frames = Vec::new();
    while let Some(frame) = response.chunk().await {
        frames.push(String::from_utf8(frame.to_vec()).unwrap());
    }
    let comments = frames.iter().filter(|frame| *frame == ": keep-alive\n\n").count();
    assert!(comments >= 4, "{frames:?}");
    frames.retain(|frame| !frame.starts_with(':'));
    assert_eq!(frames, ["data: done\n\n", "data: [DONE]\n\n"]);
    // A failure that comes so late is an event.
    let late = FakeReply::new().reasoning("hm").delay(secs(40));
    let late = late.fail_after(1, ErrorKind::Overloaded, "busy");
    let app = self::app(&FakeProvider::new().reply(late));
    let events = post(&app, "/chat", "c", "Hi").await.events().await;
    assert_eq!(events[0].event, "error");
}

#[tokio::test]
async fn a_reader_who_leaves_closes_the_connection_to_the_model() {
    let chunk = json!({"id": "c1", "choices": [{"index": 0, "delta": {"content": "a"}}]});
    let mut upstream = Upstream::start(move |_| Reply::events().data(&chunk).hang()).await;
    let config = ProviderConfig::new("openai", "small").base_url(upstream.url());
    let client = Client::new(HttpProvider::openai(&config).unwrap());
    let app = TestClient::new(ember::app!().client(client).build().unwrap());
    let mut response = post(&app, "/chat", "", "Hi").await;
    assert_eq!(response.next_event().await.unwrap().data, "a");
    drop(response);
    timeout(secs(5), upstream.hung_up()).await.expect("the connection stays open");
}
