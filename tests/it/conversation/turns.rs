//! What is said in a turn, and what of it is remembered.

use super::*;

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
async fn reasoning_is_not_for_the_reader() {
    let app = app(&FakeProvider::new().reply(FakeReply::new().reasoning("hm well").text("done")));
    let events = post(&app, "/chat", "", "Hi").await.events().await;
    assert_eq!(events.into_iter().map(|event| event.data).collect::<Vec<_>>(), ["done", "[DONE]"]);
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
    let app = routes().client(Client::new(slow)).sessions(store).middleware(Trusting);
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
