//! AI routes: conversations that are remembered, streamed, limited, and rolled back.

use ember::Ember;
use ember::llm::tool::ParameterSchema;
use ember::llm::{
    ChatEvent, Client, ErrorKind, FakeProvider, FakeReply, FinishReason, HttpProvider,
    MemorySessionStore, Message, ProviderConfig, Tool, Usage,
};
use ember::prelude::*;
use ember::testing::{TestClient, TestResponse};
use ember_tests::{Reply, Trusting, Upstream};
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

const SMALL: TokenLimits =
    TokenLimits::per_minute(150).max_prompt_tokens(120).max_completion_tokens(30);

#[ai_route("/scoped", tools = [add], model = "large", token_limits = SMALL)]
async fn scoped(client: Client, message: String) -> ember::Result<String> {
    Ok(client.ask(message).await?)
}

#[ai_route("/scoped-stream", tools = [add], model = "large", token_limits = SMALL)]
async fn scoped_stream(client: Client, message: String) -> ember::Result<String> {
    let mut pieces = client.stream_text(message).await?;
    let mut text = String::new();
    while let Some(piece) = pieces.next().await {
        text += &piece?;
    }
    Ok(text)
}

#[ai_route("/ask-and-fail")]
async fn ask_and_fail(
    mut conversation: ConversationContext,
    message: String,
) -> ember::Result<String> {
    conversation.ask(message).await?;
    Err(Error::conflict("Too late."))
}

#[ai_route("/set-up", tools = [add])]
async fn set_up(mut conversation: ConversationContext, message: String) -> ember::Result<String> {
    let parameters = ParameterSchema::object([ParameterSchema::new("n", "integer", "A number.")]);
    let double = |arguments: Value| async move { Ok(arguments["n"].as_i64().unwrap_or(0) * 2) };
    let double = Tool::new("double", "Doubles.", parameters, double)?;
    conversation.tool(double).with(|request| request.temperature(0.2));
    conversation.ask(message).await
}

#[post("/direct")]
async fn direct(client: Client, message: String) -> ember::Result<String> {
    Ok(client.ask(message).await?)
}

fn app(provider: &FakeProvider) -> TestClient {
    let app: Ember = ember::app!().client(Client::new(provider.clone())).middleware(Trusting);
    TestClient::new(app.build().unwrap())
}

/// An id of the form of those that are issued.
const C: &str = "cccccccccccccccccccccccccccccccc";

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
    let own = ask("ann").body("Hi").send().await;
    assert_eq!(id_of(&own), "shared", "a principal may choose");
    let messages: Vec<Message> = history("eve").send().await.json().await;
    assert!(messages.is_empty());
}

#[tokio::test]
async fn an_id_that_anybody_could_choose_is_replaced() {
    let app = app(&FakeProvider::new().text("Yes."));
    let upper = C.to_uppercase();
    for planted in ["1", "shared", &upper, &C[1..]] {
        let first = post(&app, "/ask", planted, "My secret").await;
        let issued = id_of(&first);
        assert_ne!(issued, planted);
        assert_eq!(issued.len(), 32);
        assert!(said(&app, planted).await.is_empty(), "whoever planted it reads nothing");
        assert_eq!(said(&app, &issued).await.len(), 2, "whoever was given one goes on");
    }
    let kept = post(&app, "/ask", C, "Hi").await;
    assert_eq!(id_of(&kept), C, "an id of our form is taken as it is");
}

#[tokio::test]
async fn only_question_and_answer_of_a_turn_with_tools_are_remembered() {
    let fake = FakeProvider::new()
        .reply(FakeReply::new().text("Let me add. ").tool_call("add", json!({"a": 1, "b": 2})))
        .reply(FakeReply::new().text("It is 3."));
    let app = app(&fake);
    let response = post(&app, "/add", C, "1 + 2?").await;
    let data: String = response.events().await.into_iter().map(|event| event.data).collect();
    assert_eq!(data, "Let me add. It is 3.[DONE]");
    assert_eq!(said(&app, C).await, ["User: 1 + 2?", "Assistant: It is 3."]);
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
            let response = post(&app, "/chat", C, "Hi").await;
            assert_eq!(response.status(), status, "{kind:?}");
            assert_eq!(id_of(&response), C);
            assert!(!response.text().await.contains("secret"));
            assert!(said(&app, C).await.is_empty(), "a failed turn is rolled back");
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
    for (reply, status) in broken.into_iter().zip([502, 502, 502, 422]) {
        let app = app(&FakeProvider::new().reply(reply).text("fine"));
        let events = post(&app, "/chat", C, "Hi").await.events().await;
        let names: Vec<_> = events.iter().map(|event| event.event.as_str()).collect();
        assert_eq!(names, ["message", "message", "error"]);
        let problem: Value = serde_json::from_str(&events[2].data).unwrap();
        assert_eq!(problem["status"], status);
        assert!(!events[2].data.contains("secret"));
        assert!(said(&app, C).await.is_empty(), "a failed turn is rolled back");
        post(&app, "/chat", C, "Again").await.events().await;
        assert_eq!(said(&app, C).await, ["User: Again", "Assistant: fine"]);
    }
}

#[tokio::test]
async fn an_abandoned_turn_is_rolled_back_and_the_next_goes_on() {
    let app =
        app(&FakeProvider::new().reply(FakeReply::new().text("a b c").hang_after(2)).text("fine"));
    let mut response = post(&app, "/chat", C, "Hi").await;
    assert_eq!(response.next_event().await.unwrap().data, "a ");
    drop(response);
    let next = timeout(secs(5), post(&app, "/ask", C, "Again"))
        .await
        .expect("the conversation stays locked");
    assert_eq!(next.text().await, "fine");
    assert_eq!(said(&app, C).await, ["User: Again", "Assistant: fine"]);
}

#[tokio::test]
async fn turns_of_one_conversation_follow_one_another() {
    let fake = FakeProvider::new().respond(|request| {
        FakeReply::new().text(request.messages.len().to_string()).delay(millis(2))
    });
    let app = app(&fake);
    let turns = (0..20).map(|_| async { post(&app, "/chat", C, "Hi").await.events().await });
    futures_util::future::join_all(turns).await;
    let lengths: Vec<_> = fake.requests().iter().map(|request| request.messages.len()).collect();
    assert_eq!(lengths, (0..20).map(|turn| 2 * turn + 1).collect::<Vec<_>>());
    assert_eq!(said(&app, C).await.len(), 40);
}

#[tokio::test]
async fn the_system_message_is_replaced_and_not_repeated() {
    let app = app(&FakeProvider::new().text("Ok."));
    post(&app, "/terse", C, "One").await.events().await;
    post(&app, "/terse", C, "Two").await.events().await;
    let said_so_far = said(&app, C).await;
    let expected =
        ["System: Be terse.", "User: One", "Assistant: Ok.", "User: Two", "Assistant: Ok."];
    assert_eq!(said_so_far, expected);
    post(&app, "/edit", C, "add").await;
    let said_so_far = said(&app, C).await;
    assert_eq!(said_so_far.iter().filter(|line| line.starts_with("System")).count(), 1);
    assert_eq!(said_so_far[0], "System: Be kind.");
}

#[tokio::test]
async fn trimming_keeps_the_system_message_and_whole_turns() {
    let app = app(&FakeProvider::new().text("Ok."));
    for _ in 0..10 {
        post(&app, "/edit", C, "add").await;
    }
    let tokens: u64 = post(&app, "/edit", C, "trim").await.text().await.parse().unwrap();
    assert!((20..=60).contains(&tokens), "{tokens}");
    let kept = said(&app, C).await;
    assert_eq!(kept[0], "System: Be kind.");
    assert!(kept[1].starts_with("User") && kept.len() % 2 == 1, "{kept:?}");
    post(&app, "/edit", C, "clear").await;
    assert!(said(&app, C).await.is_empty());
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
    let mut response = post(&app, "/chat", C, "Hi").await;
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
    let events = post(&app, "/chat", C, "Hi").await.events().await;
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

#[tokio::test]
async fn an_answer_without_text_that_is_broken_has_a_status() {
    for (finish, status) in [
        (FinishReason::ContentFilter, 422),
        (FinishReason::Length, 502),
        (FinishReason::Error, 502),
        (FinishReason::ToolLimit, 502),
    ] {
        for target in ["/chat", "/ask"] {
            let reply = FakeReply::new().reasoning("hm").finish(finish.clone());
            let app = app(&FakeProvider::new().reply(reply).text("fine"));
            let response = post(&app, target, C, "Hi").await;
            assert_eq!(response.status(), status, "{finish:?} at {target}");
            assert_eq!(response.header("content-type"), Some("application/problem+json"));
            assert!(said(&app, C).await.is_empty(), "a failed turn is rolled back");
        }
    }
    let empty = app(&FakeProvider::new().reply(FakeReply::new()));
    let events = post(&empty, "/chat", C, "Hi").await.events().await;
    assert_eq!(events.into_iter().map(|event| event.data).collect::<Vec<_>>(), ["[DONE]"]);
    assert_eq!(said(&empty, C).await.len(), 2, "an empty answer is remembered");
}

#[tokio::test]
async fn a_refusal_is_said_and_remembered() {
    let no = || FakeReply::new().event(ChatEvent::Refusal("No.".into()));
    for (target, expected) in [("/chat", "No.[DONE]"), ("/ask", "No.")] {
        let reply = no().finish(FinishReason::ContentFilter);
        let app = app(&FakeProvider::new().reply(reply));
        let response = post(&app, target, C, "Hi").await;
        assert_eq!(response.status(), 200);
        let text = match target {
            "/ask" => response.text().await,
            _ => response.events().await.into_iter().map(|event| event.data).collect(),
        };
        assert_eq!(text, expected);
        assert_eq!(said(&app, C).await.len(), 2);
    }
}

#[tokio::test]
async fn options_of_a_route_hold_for_a_plain_client() {
    for streamed in [false, true] {
        let target = if streamed { "/scoped-stream" } else { "/scoped" };
        let fake = FakeProvider::new()
            .reply(
                FakeReply::new().tool_call("add", json!({"a": 1, "b": 2})).usage(Usage::new(10, 5)),
            )
            .reply(FakeReply::new().text("3").usage(Usage::new(20, 5)));
        let app = app(&fake);
        let first = post(&app, target, "", "Hi").await;
        assert_eq!(first.header("ratelimit-limit"), Some("150"));
        assert_eq!(first.text().await, "3");
        let [asked, again] = &fake.requests()[..] else { panic!() };
        assert_eq!((asked.model.as_deref(), asked.max_tokens), (Some("large"), Some(30)));
        assert_eq!((asked.tools[0].name(), again.messages.len()), ("add", 3));
        let refused = app.post(target).body("x".repeat(120)).send().await;
        assert_eq!(refused.status(), 429, "{target}: both rounds are settled");
        let left: u64 = refused.header("ratelimit-remaining").unwrap().parse().unwrap();
        assert!((110..=113).contains(&left), "40 of 150 were used: {left} are left");
        let too_long = app.post(target).body("x".repeat(300)).send().await;
        assert_eq!(too_long.status(), 413);
        let problem: Value = too_long.json().await;
        assert!(
            problem["detail"].as_str().unwrap().contains("at most 120 are allowed"),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn what_was_used_before_a_failure_is_settled_in_both_ways() {
    let round =
        || FakeReply::new().tool_call("add", json!({"a": 1, "b": 2})).usage(Usage::new(30, 10));
    let endings = [
        (FakeReply::error(ErrorKind::Overloaded, "busy"), 40),
        (FakeReply::new().finish(FinishReason::Length).usage(Usage::new(10, 5)), 55),
    ];
    for (ending, used) in endings {
        for target in ["/scoped", "/scoped-stream"] {
            let app = app(&FakeProvider::new().reply(round()).reply(ending.clone()));
            let response = post(&app, target, "", "Hi").await;
            let _ = response.text().await;
            let left = left_of(&app, target).await;
            assert!(
                (150 - used..=153 - used).contains(&left),
                "{target}: {left} are left, not {}",
                150 - used
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_used_before_a_drop_is_settled_in_both_ways() {
    let round =
        || FakeReply::new().tool_call("add", json!({"a": 1, "b": 2})).usage(Usage::new(30, 10));
    let mut left = Vec::new();
    for target in ["/scoped", "/scoped-stream"] {
        let fake = FakeProvider::new().reply(round()).reply(FakeReply::new().hang_after(0));
        let app = app(&fake);
        let dropped =
            timeout(millis(50), async { post(&app, target, "", "Hi").await.text().await });
        assert!(dropped.await.is_err());
        left.push(left_of(&app, target).await);
    }
    assert!(left[0] <= 50, "the first round and the second prompt are paid: {left:?}");
    assert!(left[0].abs_diff(left[1]) <= 2, "{left:?}");
}

/// What is left of a route's tokens, as a request tells that is refused for its length.
async fn left_of(app: &TestClient, target: &str) -> u64 {
    let refused = app.post(target).body("x".repeat(300)).send().await;
    assert_eq!(refused.status(), 413);
    refused.header("ratelimit-remaining").unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_handler_that_fails_after_an_answer_leaves_it_said() {
    let app = app(&FakeProvider::new().text("Yes."));
    assert_eq!(post(&app, "/ask-and-fail", C, "Hi").await.status(), 409);
    assert_eq!(said(&app, C).await, ["User: Hi", "Assistant: Yes."]);
}

#[tokio::test]
async fn a_turn_can_be_set_up_by_its_handler() {
    let fake = FakeProvider::new()
        .reply(
            FakeReply::new()
                .tool_call("double", json!({"n": 4}))
                .tool_call("add", json!({"a": 1, "b": 1})),
        )
        .text("done");
    let app = app(&fake);
    assert_eq!(post(&app, "/set-up", C, "Hi").await.text().await, "done");
    let [first, second] = &fake.requests()[..] else { panic!() };
    let names: Vec<_> = first.tools.iter().map(Tool::name).collect();
    assert_eq!((names, first.temperature), (vec!["double", "add"], Some(0.2)));
    let results: Vec<_> = second.messages.last().unwrap().content.iter().collect();
    assert!(format!("{results:?}").contains("\"8\"") && format!("{results:?}").contains("\"2\""));
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_is_forgotten_during_a_turn_is_not_kept_by_half() {
    let slow = FakeProvider::new()
        .reply(FakeReply::new().text("One."))
        .reply(FakeReply::new().text("Two.").delay(secs(1)))
        .text("Three.");
    let store = MemorySessionStore::new().max_sessions(1);
    let app = ember::app!().client(Client::new(slow)).sessions(store).middleware(Trusting);
    let app = TestClient::new(app.build().unwrap());
    post(&app, "/terse", C, "Hi").await.events().await;
    assert_eq!(said(&app, C).await[0], "System: Be terse.");
    let mut second = post(&app, "/terse", C, "Go on").await;
    assert_eq!(second.next_event().await.unwrap().data, "Two.");
    // Another conversation takes the only place.
    post(&app, "/ask", "", "Me").await;
    let last = second.events().await.pop().unwrap();
    assert_eq!(last.event, "error");
    let problem: Value = serde_json::from_str(&last.data).unwrap();
    assert_eq!(problem["status"], 409);
    assert!(said(&app, C).await.is_empty());
}

#[tokio::test]
async fn an_answer_that_is_begun_anew_is_taken_back_only_where_nobody_has_seen_it() {
    let reply = |before: FakeReply| before.event(ChatEvent::Reset).text("anew");
    let fake = FakeProvider::new()
        .reply(reply(FakeReply::new().text("begun")))
        .reply(reply(FakeReply::new().reasoning("thought")));
    let ready = Ember::new().client(Client::new(fake)).route(chat {}).build().unwrap();
    let client = TestClient::new(ready);
    let seen = client.post("/chat").body("Hi").send().await.events().await;
    let (last, before) = seen.split_last().unwrap();
    assert_eq!((last.event.as_str(), before.len()), ("error", 1), "{seen:?}");
    assert!(last.data.contains("anew in the middle"), "{last:?}");
    let unseen = client.post("/chat").body("Hi").send().await.events().await;
    let data: Vec<_> = unseen.iter().map(|event| event.data.as_str()).collect();
    assert_eq!(data, ["anew", "[DONE]"]);
}
