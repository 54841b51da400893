//! What becomes of a turn whose reader goes away.

use super::*;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test]
async fn what_the_reader_was_sent_is_kept_as_the_route_says() {
    for (target, kept) in [("/kept", true), ("/chat", false)] {
        for accept in ["", EVENTS, UI] {
            let reply = FakeReply::new().text("a b c").hang_after(2);
            let app = app(&FakeProvider::new().reply(reply).text("fine"));
            let mut response = post(&app, target, accept, "Hi").await;
            let mut seen = String::new();
            while !seen.contains("b ") {
                seen += &response.next_event().await.unwrap().data;
            }
            drop(response);
            let next = timeout(secs(5), post(&app, "/ask", "", "Again")).await.unwrap();
            assert_eq!(next.text().await, "fine");
            let messages = said(&app).await;
            let texts: Vec<_> = messages.iter().map(|message| message.text()).collect();
            if kept {
                assert_eq!(texts, ["Hi", "a b ", "Again", "fine"], "{accept}");
                let cut: Vec<_> = messages.iter().map(|message| message.cut).collect();
                assert_eq!(cut, [false, true, false, false]);
            } else {
                assert_eq!(texts, ["Again", "fine"], "{accept}");
            }
        }
    }
}

#[tokio::test]
async fn what_was_answered_before_whoever_asked_has_gone_is_kept_as_well() {
    for (target, accept, kept) in
        [("/kept-ask", "", true), ("/kept", "application/json", true), ("/ask", "", false)]
    {
        let reply = FakeReply::new().text("a b c").hang_after(2);
        let fake = FakeProvider::new().reply(reply).text("fine");
        let app = app(&fake);
        let abandoned = timeout(millis(100), post(&app, target, accept, "Hi"));
        assert!(abandoned.await.is_err());
        post(&app, "/ask", "", "Again").await.text().await;
        let expected: &[&str] =
            if kept { &["Hi", "a b ", "Again", "fine"] } else { &["Again", "fine"] };
        assert_eq!(texts(&app).await, expected, "{target} {accept}");
    }
}

#[tokio::test]
async fn a_turn_that_fails_or_in_which_nothing_was_said_is_not_kept() {
    let failing = FakeReply::new().text("a b c").fail_after(2, ErrorKind::Transport, "reset");
    let silent = FakeReply::new().reasoning("hm").hang_after(1);
    let app = app(&FakeProvider::new().reply(failing).reply(silent));
    post(&app, "/kept", EVENTS, "Hi").await.events().await;
    assert!(said(&app).await.is_empty());
    let mut thinking = post(&app, "/kept", EVENTS, "Hi").await;
    while thinking.next_event().await.unwrap().event != "reasoning" {}
    drop(thinking);
    assert!(said(&app).await.is_empty());
}

#[tokio::test]
async fn a_reader_who_leaves_calls_the_model_off_and_pays_for_what_was_used() {
    let chunk =
        json!({"id": "c1", "choices": [{"index": 0, "delta": {"content": "some words of it"}}]});
    for accept in ["", EVENTS, UI] {
        let data = chunk.clone();
        let mut upstream = Upstream::start(move |_| Reply::events().data(&data).hang()).await;
        let config = ProviderConfig::new("openai", "small").base_url(upstream.url());
        let cost = Cost::new(HttpProvider::openai(&config).unwrap(), CostConfig::new());
        let ledger = cost.ledger().clone();
        let app = annotated().client(Client::new(cost));
        let app = TestClient::new(app.build().unwrap());
        let mut response = post(&app, "/chat", accept, "Hi").await;
        while !response.next_event().await.unwrap().data.contains("some words") {}
        assert_eq!(ledger.totals().total_requests(), 0, "it still goes on");
        drop(response);
        timeout(secs(5), upstream.hung_up()).await.expect("the connection stays open");
        let totals = ledger.totals();
        assert_eq!(totals.total_requests(), 1, "{accept}");
        assert!(totals.total_output_tokens() >= 3 && totals.total_input_tokens() > 0, "{totals:?}");
    }
}

#[tokio::test]
async fn a_question_that_fails_takes_nothing_back() {
    let fake = FakeProvider::new()
        .reply(FakeReply::new().text("First"))
        .reply(FakeReply::error(ErrorKind::Overloaded, "busy"));
    let app = app(&fake);
    post(&app, "/ask", "", "Hi").await.text().await;
    let question = json!({"id": "m", "role": "user", "parts": [{"type": "text", "text": "Hi"}]});
    let body = json!({"id": "x", "messages": [question], "trigger": "regenerate-message"});
    let failed = app.post("/noted").header("x-conversation-id", C).json(&body).send().await;
    assert_eq!(failed.status(), 503, "{}", failed.text().await);
    assert_eq!(texts(&app).await, ["Hi", "First"]);
}

/// A store that writes when it is told to, and says when it is asked to.
#[derive(Clone)]
struct Held {
    store: Arc<MemorySessionStore>,
    asked: Arc<Notify>,
    open: Arc<Semaphore>,
    /// The first write fails.
    fails: Arc<AtomicBool>,
}

impl Held {
    fn new(fails: bool) -> Self {
        Self {
            store: Arc::new(MemorySessionStore::new()),
            asked: Arc::default(),
            open: Arc::new(Semaphore::new(0)),
            fails: Arc::new(fails.into()),
        }
    }
}

impl SessionStore for Held {
    type Lock = <MemorySessionStore as SessionStore>::Lock;

    async fn load(&self, id: &str) -> ember::Result<History> {
        self.store.load(id).await
    }

    async fn write(&self, id: &str, version: u64, change: SessionChange) -> ember::Result<u64> {
        self.asked.notify_one();
        let _open = self.open.acquire().await.unwrap();
        if self.fails.swap(false, Ordering::Relaxed) {
            return Err(Error::unavailable("The store is away."));
        }
        self.store.write(id, version, change).await
    }

    async fn delete(&self, id: &str) -> ember::Result<bool> {
        self.store.delete(id).await
    }

    async fn exists(&self, id: &str) -> ember::Result<bool> {
        self.store.exists(id).await
    }

    async fn list(&self, query: SessionQuery) -> ember::Result<Vec<SessionSummary>> {
        self.store.list(query).await
    }

    async fn lock(&self, id: &str) -> ember::Result<Self::Lock> {
        self.store.lock(id).await
    }
}

#[tokio::test]
async fn an_answer_that_was_complete_is_kept_although_its_reader_left_before_the_store_had_it() {
    for (target, accept) in [("/kept-ask", ""), ("/kept", "application/json"), ("/kept", "")] {
        let store = Held::new(false);
        let client = Client::new(FakeProvider::new().text("all of it"));
        let app = annotated().client(client).sessions(store.clone());
        let app = TestClient::new(app.build().unwrap());
        let work = async { post(&app, target, accept, "Hi").await.text().await };
        tokio::select! {
            text = work => panic!("answered before it was remembered: {text}"),
            () = store.asked.notified() => {}
        }
        store.open.add_permits(1);
        // The conversation is free again when the turn is written.
        assert_eq!(texts(&app).await, ["Hi", "all of it"], "{target} {accept}");
    }
}

#[tokio::test]
async fn a_turn_whose_reader_was_told_that_the_store_failed_is_not_kept() {
    for (target, accept) in [("/kept-ask", ""), ("/kept", "application/json"), ("/kept", "")] {
        let store = Held::new(true);
        store.open.add_permits(1);
        let client = Client::new(FakeProvider::new().text("all of it"));
        let app = annotated().client(client).sessions(store);
        let app = TestClient::new(app.build().unwrap());
        let told = post(&app, target, accept, "Hi").await.text().await;
        assert!(!told.contains("[DONE]"), "{target} {accept}: {told}");
        assert!(said(&app).await.is_empty(), "{target} {accept}");
    }
}

/// Asks a served application, and reads until something was said.
async fn asked(address: SocketAddr, path: &str, header: &str, said: &str) -> (TcpStream, Vec<u8>) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\n{header}\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nHi"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(said) {
        assert_ne!(socket.read_buf(&mut seen).await.unwrap(), 0);
    }
    (socket, seen)
}

#[tokio::test]
async fn what_the_reader_was_sent_is_kept_although_the_server_stops() {
    let store = Held::new(false);
    let fake = FakeProvider::new().reply(FakeReply::new().text("one two three").hang_after(2));
    let app = annotated().client(Client::new(fake)).sessions(store.clone()).workers(1);
    let running = app.serve(std::net::TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
    let id = format!("x-conversation-id: {C}");
    let (mut socket, mut seen) = asked(running.address(), "/kept", &id, "two").await;
    running.stop().within(secs(0));
    socket.read_to_end(&mut seen).await.unwrap();
    store.asked.notified().await;
    // By then the worker is gone, and whatever it had begun.
    tokio::time::sleep(millis(300)).await;
    store.open.add_permits(1);
    tokio::task::spawn_blocking(|| running.join()).await.unwrap();
    let all = store.store.list(SessionQuery::new("", 10)).await.unwrap();
    let [kept] = &all[..] else { panic!("{all:?}") };
    let said = store.store.load(&kept.id).await.unwrap().messages;
    assert_eq!(said.iter().map(Message::text).collect::<Vec<_>>(), ["Hi", "one two "]);
}

#[tokio::test]
async fn the_servers_stop_is_told_in_the_dialect_of_the_stream() {
    for (accept, ending) in [
        (UI, "data: {\"type\":\"error\",\"errorText\":\"The server is stopping.\"}\n\n"),
        (EVENTS, "event: error\n"),
        ("text/event-stream", "event: error\n"),
    ] {
        let fake = FakeProvider::new().reply(FakeReply::new().text("one two three").hang_after(2));
        let app = annotated().client(Client::new(fake)).workers(1);
        let running = app.serve(std::net::TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        let accept_header = format!("accept: {accept}");
        let (mut socket, mut seen) =
            asked(running.address(), "/client", &accept_header, "one").await;
        running.stop().within(secs(0));
        socket.read_to_end(&mut seen).await.unwrap();
        running.join();
        let seen = String::from_utf8(seen).unwrap();
        assert!(seen.contains(ending) && !seen.contains("[DONE]"), "{accept}: {seen}");
        assert_eq!(seen.contains("event: error"), accept != UI, "{seen}");
    }
}
