//! Cookies: what is set on which response, and what comes back.

use ember::Route;
use ember::http::header::SET_COOKIE;
use ember::prelude::*;
use ember::testing::{TestClient, TestResponse};

#[get("/set")]
async fn set(first: Cookies, second: Cookies) -> ember::Result<String> {
    first.set(Cookie::new("a", "1"))?;
    second.set(Cookie::new("b", "two words"))?;
    Ok(format!("{:?}", first.get("b")))
}

#[get("/read")]
async fn read(cookies: Cookies) -> String {
    format!("{:?} {:?}", cookies.get("a"), cookies.get("b"))
}

#[get("/leave")]
async fn leave(cookies: Cookies) -> ember::Result<&'static str> {
    cookies.remove("a")?;
    cookies.remove(Cookie::new("b", "").path("/app"))?;
    Err(Error::unauthorized("Nobody is logged in."))
}

#[get("/broken")]
async fn broken(cookies: Cookies) -> ember::Result<()> {
    cookies.set(Cookie::new("a b", "1"))
}

#[get("/cached", cache = TtlCache::new(secs(600)))]
async fn cached(cookies: Cookies) -> ember::Result<String> {
    cookies.set(Cookie::new("own", "1"))?;
    Ok("for one visitor".to_owned())
}

#[get("/plain")]
async fn plain() -> &'static str {
    "no cookies"
}

fn set_cookies(response: &TestResponse) -> Vec<String> {
    let values = response.headers().get_all(SET_COOKIE).iter();
    values.map(|value| value.to_str().unwrap().to_owned()).collect()
}

fn client() -> TestClient {
    let routes = [Route::from(set {}), read {}.into(), leave {}.into(), broken {}.into()];
    let routes = routes.into_iter().chain([cached {}.into(), plain {}.into()]);
    TestClient::new(routes.fold(Ember::new(), Ember::route).build().unwrap())
}

#[tokio::test]
async fn extractors_of_one_handler_lose_nothing_of_each_other() {
    let response = client().get("/set").send().await;
    assert_eq!(
        set_cookies(&response),
        [
            "a=1; Path=/; HttpOnly; Secure; SameSite=Lax",
            "b=two%20words; Path=/; HttpOnly; Secure; SameSite=Lax"
        ]
    );
    assert_eq!(response.text().await, "Some(\"two words\")");
    let response = client().get("/read").header("cookie", "b=two%20words; a=1").send().await;
    assert!(set_cookies(&response).is_empty());
    assert_eq!(response.text().await, "Some(\"1\") Some(\"two words\")");
}

#[tokio::test]
async fn an_error_sets_cookies_as_well() {
    let response = client().get("/leave").header("cookie", "a=1; b=2").send().await;
    assert_eq!(response.status(), 401);
    let cookies = set_cookies(&response);
    assert!(cookies[0].starts_with("a=; Path=/; Max-Age=0;"), "{cookies:?}");
    assert!(cookies[1].starts_with("b=; Path=/app; Max-Age=0;"), "{cookies:?}");
    let response = client().get("/broken").send().await;
    assert_eq!(response.status(), 500);
    assert!(!response.text().await.contains("a b"));
}

#[tokio::test]
async fn no_cache_keeps_what_sets_a_cookie() {
    let client = client();
    for _ in 0..3 {
        let response = client.get("/cached").send().await;
        assert_eq!(set_cookies(&response).len(), 1);
    }
    assert!(set_cookies(&client.get("/plain").send().await).is_empty());
}

#[cfg(feature = "cookies")]
mod sealed {
    use super::{TestClient, set_cookies};
    use ember::prelude::*;

    #[get("/login/{name}")]
    async fn login(
        name: String,
        plain: Cookies,
        signed: SignedCookies,
        private: PrivateCookies,
    ) -> ember::Result<()> {
        plain.set(Cookie::new("theme", "dark"))?;
        signed.set(Cookie::new("user", name.clone()))?;
        private.set(Cookie::new("secret", name))
    }

    #[get("/me")]
    async fn me(signed: SignedCookies, private: PrivateCookies) -> String {
        format!("{:?} {:?}", signed.get("user"), private.get("secret"))
    }

    fn client(byte: u8) -> TestClient {
        let key = CookieKey::new([byte; 64]).unwrap();
        TestClient::new(ember::app!().component(key).build().unwrap())
    }

    /// What a browser sends back.
    async fn jar(client: &TestClient) -> Vec<String> {
        let response = client.get("/login/ann").send().await;
        let cookies = set_cookies(&response);
        assert_eq!(cookies.len(), 3);
        cookies.iter().map(|cookie| cookie.split(';').next().unwrap().to_owned()).collect()
    }

    async fn who(client: &TestClient, cookies: &str) -> String {
        client.get("/me").header("cookie", cookies).send().await.text().await
    }

    #[tokio::test]
    async fn what_was_sealed_comes_back_and_nothing_else_does() {
        let jar = jar(&client(1)).await;
        let [_, user, secret] = &jar[..] else { panic!("{jar:?}") };
        assert!(user.ends_with(".ann") && !secret.contains("ann"), "{jar:?}");
        assert_eq!(who(&client(1), &jar.join("; ")).await, r#"Some("ann") Some("ann")"#);
        assert_eq!(who(&client(2), &jar.join("; ")).await, "None None", "another key");
        let forged = user.replace(".ann", ".bob");
        assert_eq!(who(&client(1), &forged).await, "None None");
        let moved = secret.replacen("secret", "user", 1);
        assert_eq!(who(&client(1), &moved).await, "None None");
        assert_eq!(who(&client(1), "user=ann; secret=ann").await, "None None");
    }

    #[test]
    fn a_missing_key_is_found_at_the_start() {
        let error = ember::app!().build().unwrap_err().to_string();
        assert!(error.contains("CookieKey") && error.contains("`login`"), "{error}");
        assert!(error.contains("`me`") && error.contains("cookies.rs:"), "{error}");
    }
}
