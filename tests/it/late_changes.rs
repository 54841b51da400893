//! Cookies and sessions that are changed by whoever has a part in an answer, whenever that is.

use ember::http::header::SET_COOKIE;
use ember::prelude::*;
use ember::testing::{TestClient, TestResponse};
use ember::web::session::{MemorySession, SessionConfig};

/// Middleware that acts when the handler has answered.
mod behind {
    use ember::prelude::*;

    #[middleware(scope = app)]
    async fn late(
        cookies: Cookies,
        session: Session,
        request: Request,
        next: Next,
    ) -> Result<Response> {
        let response = next.run(request).await;
        cookies.set(Cookie::new("late", "1"))?;
        let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
        session.insert("visits", visits)?;
        Ok(response)
    }

    #[get("/plain")]
    async fn plain() -> &'static str {
        "plain"
    }

    #[get("/own")]
    async fn own(cookies: Cookies, session: Session) -> Result<String> {
        cookies.set(Cookie::new("own", "1"))?;
        cookies.set(Cookie::new("late", "early"))?;
        session.insert("own", 1)?;
        Ok(session.get::<u32>("visits")?.unwrap_or(0).to_string())
    }

    #[get("/fails")]
    async fn fails() -> Result<()> {
        Err(Error::conflict("no"))
    }

    pub fn app() -> Ember {
        ember::app!()
    }
}

/// Hooks and catchers, which see a copy of the request's head.
mod around {
    use ember::prelude::*;

    #[hook(after_endpoint)]
    async fn seen(response: Response, session: Session, cookies: Cookies) -> Result<Response> {
        session.insert("seen", cookies.get("own"))?;
        Ok(response)
    }

    #[catch(409)]
    async fn caught(error: &Error, session: Session) -> Result<String> {
        session.insert("caught", error.message())?;
        Ok("caught".to_owned())
    }

    #[catch(404)]
    async fn nowhere(_error: &Error, session: Session, cookies: Cookies) -> Result<String> {
        cookies.set(Cookie::new("lost", "1"))?;
        session.insert("lost", true)?;
        Ok("nowhere".to_owned())
    }

    #[post("/login")]
    async fn login(session: Session, cookies: Cookies) -> Result<()> {
        session.renew();
        session.insert("user", "ann")?;
        cookies.set(Cookie::new("own", "1"))
    }

    #[post("/fails")]
    async fn fails(session: Session) -> Result<()> {
        session.insert("failed", true)?;
        Err(Error::conflict("no"))
    }

    #[get("/values")]
    async fn values(session: Session) -> Result<Json<Vec<Option<serde_json::Value>>>> {
        let keys = ["user", "seen", "failed", "caught", "lost"];
        Ok(Json(keys.map(|key| session.get(key)).into_iter().collect::<Result<_>>()?))
    }

    use ember::serde_json;

    pub fn app() -> Ember {
        ember::app!()
    }
}

fn client(app: Ember) -> TestClient {
    let sessions = SessionConfig::new(MemorySession::new());
    TestClient::new(app.component(sessions).build().unwrap())
}

/// Name and value of each cookie that a response sets.
fn pairs(response: &TestResponse) -> Vec<&str> {
    let headers = response.headers().get_all(SET_COOKIE).iter();
    headers.map(|header| header.to_str().unwrap().split(';').next().unwrap()).collect()
}

/// The cookie of the session, which is set once.
#[track_caller]
fn session(response: &TestResponse) -> String {
    let sessions: Vec<_> =
        pairs(response).into_iter().filter(|pair| pair.starts_with("session=")).collect();
    let [session] = sessions[..] else { panic!("{sessions:?}") };
    session.to_owned()
}

#[tokio::test]
async fn what_middleware_sets_behind_the_handler_goes_out() {
    let client = client(behind::app());
    for (method, target, status, cookies) in [
        ("GET", "/plain", 200, 2),
        ("GET", "/own", 200, 3),
        ("GET", "/fails", 409, 2),
        ("GET", "/nowhere", 404, 2),
        ("POST", "/plain", 405, 2),
        ("OPTIONS", "/plain", 204, 2),
    ] {
        let response = client.request(method.parse().unwrap(), target).send().await;
        let pairs = pairs(&response);
        assert_eq!(
            (response.status().as_u16(), pairs.len()),
            (status, cookies),
            "{target} {pairs:?}"
        );
        assert!(pairs.contains(&"late=1"), "{method} {target}: {pairs:?}");
        let session = session(&response);
        let response = client.get("/own").header("cookie", &session).send().await;
        assert_eq!(response.text().await, "1", "{method} {target}");
    }
}

#[tokio::test]
async fn a_login_survives_a_hook_that_changes_the_session() {
    let client = client(around::app());
    let values = async |session: &str| {
        let response = client.get("/values").header("cookie", session).send().await;
        response.text().await
    };
    let first = client.post("/login").send().await;
    assert_eq!(first.status(), 200);
    let first = session(&first);
    let expected = r#"["ann","1",null,null,null]"#;
    assert_eq!(values(&first).await, expected, "of a new visitor");
    let second = client.post("/login").header("cookie", &first).send().await;
    let second = session(&second);
    assert_ne!(first, second);
    assert_eq!(values(&second).await, expected, "of one with a session");
    assert_eq!(values(&first).await, "[null,null,null,null,null]");
}

#[tokio::test]
async fn catchers_and_handlers_have_one_session() {
    let client = client(around::app());
    let response = client.post("/fails").send().await;
    assert_eq!(response.status(), 409);
    let known = session(&response);
    let nowhere = client.get("/nowhere").header("cookie", &known).send().await;
    assert_eq!((nowhere.status().as_u16(), pairs(&nowhere)), (404, vec!["lost=1"]));
    let values = client.get("/values").header("cookie", &known).send().await;
    assert_eq!(values.text().await, r#"[null,null,true,"no",true]"#);
    assert_eq!(session(&client.get("/nowhere").send().await).len(), "session=".len() + 32);
}
