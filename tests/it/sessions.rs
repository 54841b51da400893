//! Sessions: their ids, their ends, and requests of one session at the same time.

use ember::base::clock::ManualClock;
use ember::http::header::SET_COOKIE;
use ember::prelude::*;
use ember::testing::{TestClient, TestResponse};
use ember::web::session::{SessionEngine, SessionRecord};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{Barrier, Notify};

#[get("/get/{key}")]
async fn read(key: String, session: Session) -> ember::Result<String> {
    Ok(session.get::<String>(&key)?.unwrap_or_default())
}

#[get("/set/{key}/{value}")]
async fn write(key: String, value: String, session: Session) -> ember::Result<()> {
    session.insert(&key, value)
}

#[get("/fail/{key}/{value}")]
async fn fail(key: String, value: String, session: Session) -> ember::Result<()> {
    session.insert(&key, value)?;
    Err(Error::forbidden("And yet it is remembered."))
}

#[get("/login")]
async fn login(session: Session, same: Session) -> ember::Result<()> {
    session.renew();
    same.insert("user", "ann")
}

#[get("/remove/{key}")]
async fn remove(key: String, session: Session) -> ember::Result<String> {
    Ok(session.remove::<String>(&key)?.unwrap_or_default())
}

#[get("/clear")]
async fn clear(session: Session) {
    session.clear();
}

#[get("/logout")]
async fn logout(session: Session) {
    session.destroy();
}

/// Does not give up when saving fails.
#[get("/insist/{value}")]
async fn insist(value: String, session: Session) -> ember::Result<String> {
    session.insert("a", value)?;
    let first = session.save().await.is_ok();
    session.insert("b", 2)?;
    let second = session.save().await.is_ok();
    Ok(format!("{first} {second}"))
}

#[get("/leave")]
async fn leave(session: Session) -> ember::Result<String> {
    session.destroy();
    let first = session.save().await.is_ok();
    let second = session.save().await.is_ok();
    Ok(format!("{first} {second}"))
}

#[get("/number")]
async fn number(session: Session) -> ember::Result<String> {
    Ok(format!("{:?}", session.get::<u64>("user")?))
}

#[get("/large")]
async fn large(session: Session) -> ember::Result<()> {
    session.insert("large", "x".repeat(70_000))
}

/// Lets two requests be under way at the same time.
struct Meeting(Barrier);

#[get("/meet/{key}/{value}")]
async fn meet(
    key: String,
    value: String,
    session: Session,
    meeting: Component<Meeting>,
) -> ember::Result<()> {
    meeting.0.0.wait().await;
    session.insert(&key, value)
}

#[get("/count")]
async fn count(session: Session, meeting: Component<Meeting>) -> ember::Result<()> {
    let count: u32 = session.get("count")?.unwrap_or(0);
    meeting.0.0.wait().await;
    session.insert("count", count + 1)
}

/// Holds a request up until it is told to go on.
struct Hold {
    reached: Notify,
    go: Notify,
}

#[get("/slow/{key}/{value}")]
async fn slow(
    key: String,
    value: String,
    session: Session,
    hold: Component<Arc<Hold>>,
) -> ember::Result<()> {
    hold.reached.notify_one();
    hold.go.notified().await;
    session.insert(&key, value)
}

/// Counts what reaches an engine, and fails when it is told to.
#[derive(Clone)]
struct Counting {
    inner: MemorySession,
    loads: Arc<AtomicU32>,
    saves: Arc<AtomicU32>,
    broken: Arc<AtomicU32>,
}

impl SessionEngine for Counting {
    async fn load(&self, id: &str) -> ember::Result<Option<SessionRecord>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.inner.load(id).await
    }

    async fn save(
        &self,
        id: &str,
        record: SessionRecord,
        expected: Option<u64>,
    ) -> ember::Result<bool> {
        self.saves.fetch_add(1, Ordering::SeqCst);
        self.fail()?;
        self.inner.save(id, record, expected).await
    }

    async fn delete(&self, id: &str) -> ember::Result<()> {
        self.fail()?;
        self.inner.delete(id).await
    }
}

impl Counting {
    /// Fails as often as it was told.
    fn fail(&self) -> ember::Result<()> {
        let left = self
            .broken
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => Err(Error::unavailable("Sessions are not available.")),
            Err(_) => Ok(()),
        }
    }
}

struct Service {
    client: TestClient,
    hands: ManualClock,
    engine: Counting,
    hold: Arc<Hold>,
}

impl Service {
    fn new() -> Self {
        let hands = ManualClock::new();
        let engine = Counting {
            inner: MemorySession::new().clock(hands.clock()),
            loads: Arc::default(),
            saves: Arc::default(),
            broken: Arc::default(),
        };
        let config = SessionConfig::new(engine.clone())
            .idle(secs(1000))
            .absolute(secs(5000))
            .clock(hands.clock());
        let hold = Arc::new(Hold { reached: Notify::new(), go: Notify::new() });
        let app = ember::app!()
            .component(config)
            .component(Meeting(Barrier::new(2)))
            .component(hold.clone());
        Self { client: TestClient::new(app.build().unwrap()), hands, engine, hold }
    }

    async fn get(&self, path: &str, cookie: &str) -> TestResponse {
        self.client.get(path).header("cookie", cookie).send().await
    }

    /// Begins a session that holds a value; returns what the browser sends from now on.
    async fn begin(&self) -> String {
        cookie(&self.get("/set/a/1", "").await).unwrap()
    }

    async fn value(&self, key: &str, cookie: &str) -> String {
        self.get(&format!("/get/{key}"), cookie).await.text().await
    }

    fn saves(&self) -> u32 {
        self.engine.saves.load(Ordering::SeqCst)
    }
}

fn cookie(response: &TestResponse) -> Option<String> {
    let cookie = response.headers().get(SET_COOKIE)?.to_str().unwrap();
    Some(cookie.split(';').next().unwrap().to_owned())
}

#[tokio::test]
async fn begins_with_the_first_value_and_remembers() {
    let service = Service::new();
    for path in ["/get/a", "/clear", "/remove/a"] {
        assert_eq!(cookie(&service.get(path, "").await), None, "{path}");
    }
    assert_eq!(service.saves(), 0);
    let response = service.get("/set/a/1", "").await;
    let header = response.header("set-cookie").unwrap();
    let (id, attributes) = header.strip_prefix("session=").unwrap().split_at(32);
    assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{header}");
    assert_eq!(attributes, "; Path=/; HttpOnly; Secure; SameSite=Lax");
    let session = format!("session={id}");
    assert_eq!(service.value("a", &session).await, "1");
    assert_eq!(service.value("a", "").await, "");
    assert_eq!(service.saves(), 1, "reading saves nothing");
    let response = service.get("/fail/b/2", &session).await;
    assert_eq!((response.status().as_u16(), cookie(&response)), (403, None));
    assert_eq!(service.value("b", &session).await, "2");
    assert_eq!(service.get("/remove/b", &session).await.text().await, "2");
    assert_eq!(service.value("b", &session).await, "");
    service.get("/clear", &session).await;
    assert_eq!(service.value("a", &session).await, "");
    assert_ne!(service.begin().await, service.begin().await);
}

#[tokio::test]
async fn an_unknown_id_never_becomes_one() {
    let service = Service::new();
    let forged = format!("session={}", "ab".repeat(16));
    let given = cookie(&service.get("/set/a/1", &forged).await).unwrap();
    assert_ne!(given, forged);
    assert_eq!(service.value("a", &forged).await, "");
    let loads = service.engine.loads.load(Ordering::SeqCst);
    for odd in
        ["session=", "session=x", "session=../../etc", &format!("session={}", "AB".repeat(16))]
    {
        assert_eq!(service.value("a", odd).await, "");
    }
    assert_eq!(service.engine.loads.load(Ordering::SeqCst), loads, "the engine is not even asked");
}

#[tokio::test]
async fn renewing_changes_the_id_and_keeps_the_values() {
    let service = Service::new();
    let old = service.begin().await;
    let new = cookie(&service.get("/login", &old).await).unwrap();
    assert_ne!(new, old);
    assert_eq!(service.value("a", &old).await, "", "the old id is dead");
    assert_eq!(
        (service.value("a", &new).await, service.value("user", &new).await),
        ("1".into(), "ann".into())
    );
    service.get("/set/a/9", &old).await;
    assert_eq!(service.value("a", &new).await, "1");
}

#[tokio::test]
async fn destroying_forgets_everything() {
    let service = Service::new();
    let session = service.begin().await;
    let response = service.get("/logout", &session).await;
    let header = response.header("set-cookie").unwrap();
    assert!(header.starts_with("session=; Path=/; Max-Age=0;"), "{header}");
    assert_eq!(service.value("a", &session).await, "");
}

#[tokio::test]
async fn ends_when_it_is_idle_or_old() {
    let service = Service::new();
    let session = service.begin().await;
    service.hands.advance(secs(99));
    assert_eq!(service.value("a", &session).await, "1");
    assert_eq!(service.saves(), 1, "a session that was just used is not saved for being used");
    for _ in 0..5 {
        service.hands.advance(secs(900));
        assert_eq!(service.value("a", &session).await, "1");
    }
    assert!(service.saves() > 1);
    service.hands.advance(secs(400));
    assert_eq!(service.value("a", &session).await, "1", "4,999 s old");
    service.hands.advance(secs(1));
    assert_eq!(service.value("a", &session).await, "", "5,000 s old");
    let session = service.begin().await;
    service.hands.advance(secs(1000));
    assert_eq!(service.value("a", &session).await, "", "idle");
}

#[tokio::test]
async fn changes_of_different_keys_are_all_kept() {
    let service = Service::new();
    let session = service.begin().await;
    let (first, second) =
        tokio::join!(service.get("/meet/b/2", &session), service.get("/meet/c/3", &session));
    assert_eq!((first.status().as_u16(), second.status().as_u16()), (200, 200));
    assert_eq!(
        (service.value("b", &session).await, service.value("c", &session).await),
        ("2".into(), "3".into())
    );
    assert_eq!(service.value("a", &session).await, "1");
}

#[tokio::test]
async fn a_change_that_rests_on_a_lost_value_is_refused() {
    let service = Service::new();
    let session = service.begin().await;
    let (first, second) =
        tokio::join!(service.get("/count", &session), service.get("/count", &session));
    let mut statuses = [first.status().as_u16(), second.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "one is counted and one is told");
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_does_not_come_back() {
    for path in ["/logout", "/login"] {
        let service = Service::new();
        let session = service.begin().await;
        let slow = service.get("/slow/b/2", &session);
        let end = async {
            service.hold.reached.notified().await;
            let response = service.get(path, &session).await;
            service.hold.go.notify_one();
            response
        };
        let (slow, _) = tokio::join!(slow, end);
        assert_eq!((slow.status().as_u16(), cookie(&slow)), (409, None), "{path}");
        assert_eq!(service.value("a", &session).await, "");
    }
}

#[tokio::test]
async fn what_cannot_be_saved_is_an_error() {
    let service = Service::new();
    let session = cookie(&service.get("/login", "").await).unwrap();
    assert_eq!(service.get("/number", &session).await.status(), 500, "of another type");
    assert_eq!(service.get("/large", &session).await.status(), 500);
    service.engine.broken.store(1, Ordering::SeqCst);
    let response = service.get("/set/a/1", "").await;
    assert_eq!((response.status().as_u16(), cookie(&response)), (503, None));
}

/// Asks once more where sessions were away.
async fn again(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let first = next.clone().run(Request::from_parts(parts.clone(), Body::empty())).await;
    match first.status() {
        StatusCode::SERVICE_UNAVAILABLE => next.run(Request::from_parts(parts, body)).await,
        _ => first,
    }
}

#[tokio::test]
async fn a_request_that_is_made_again_has_the_session_as_it_is_kept() {
    let engine = Service::new().engine;
    let config = SessionConfig::new(engine.clone());
    let app = Ember::new().component(config).middleware(again);
    let app = app.route(write {}).route(read {}).route(logout {});
    let client = TestClient::new(app.build().unwrap());
    let get =
        async |path: &str, cookie: &str| client.get(path).header("cookie", cookie).send().await;
    engine.broken.store(1, Ordering::SeqCst);
    let response = get("/set/a/1", "").await;
    let session = cookie(&response).unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(get("/get/a", &session).await.text().await, "1");
    engine.broken.store(1, Ordering::SeqCst);
    let response = get("/logout", &session).await;
    assert_eq!((response.status().as_u16(), cookie(&response).as_deref()), (200, Some("session=")));
    assert_eq!(get("/get/a", &session).await.text().await, "", "the session has ended");
}

#[tokio::test]
async fn what_was_not_saved_is_saved_by_the_next_attempt() {
    let service = Service::new();
    let session = service.begin().await;
    service.engine.broken.store(1, Ordering::SeqCst);
    assert_eq!(service.get("/insist/7", &session).await.text().await, "false true");
    assert_eq!(service.value("a", &session).await, "7");
    service.engine.broken.store(1, Ordering::SeqCst);
    assert_eq!(service.get("/leave", &session).await.text().await, "false true");
    assert_eq!(service.value("a", &session).await, "", "the session has ended");
}

#[tokio::test]
async fn a_session_may_last_for_ever() {
    let config = SessionConfig::new(MemorySession::new()).idle(Duration::MAX);
    let app = ember::app!()
        .component(config.absolute(Duration::MAX))
        .component(Meeting(Barrier::new(2)))
        .component(Arc::new(Hold { reached: Notify::new(), go: Notify::new() }));
    let client = TestClient::new(app.build().unwrap());
    let session = cookie(&client.get("/set/a/1").send().await).unwrap();
    let answer = client.get("/get/a").header("cookie", &session).send().await;
    assert_eq!(answer.text().await, "1");
}

#[tokio::test]
async fn the_cookie_is_as_it_was_configured() {
    let own = Cookie::new("__Host-id", "").max_age(secs(60));
    let config = SessionConfig::new(MemorySession::new()).cookie(own);
    let app = Ember::new().component(config).route(write {}).route(read {});
    let client = TestClient::new(app.build().unwrap());
    let response = client.get("/set/a/1").send().await;
    let header = response.header("set-cookie").unwrap().to_owned();
    assert!(header.starts_with("__Host-id=") && header.contains("Max-Age=60"), "{header}");
    let sent = header.split(';').next().unwrap();
    assert_eq!(client.get("/get/a").header("cookie", sent).send().await.text().await, "1");
}

#[tokio::test]
async fn sessions_are_in_memory_unless_something_else_is_said() {
    let app = Ember::new().env(ember::Env::of([("X", "y")])).route(read {}).route(write {});
    let client = TestClient::new(app.build().unwrap());
    let session = cookie(&client.get("/set/a/1").send().await).unwrap();
    let answer = client.get("/get/a").header("cookie", &session).send().await;
    assert_eq!(answer.text().await, "1");
}
