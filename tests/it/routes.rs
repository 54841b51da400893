//! Annotated functions as routes: where arguments come from, and which route answers.

use ember::http::{HeaderMap, Method, Uri};
use ember::prelude::*;
use ember::testing::{TestClient, TestResponse};
use ember::web::TrailingSlash;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::SocketAddr;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Color {
    Red,
    Blue,
}

#[derive(Deserialize)]
struct Place {
    user: String,
    id: u64,
}

#[derive(Serialize, Deserialize)]
struct New {
    title: String,
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct Page {
    limit: Option<u32>,
    #[serde(default)]
    tag: Vec<String>,
}

struct Db(&'static str);

#[get("/")]
async fn root() -> &'static str {
    "root"
}

#[get("/number/{n}")]
async fn number(n: i16) -> String {
    n.to_string()
}

#[get("/color/{color}")]
async fn color(color: Color) -> String {
    format!("{color:?}")
}

#[get("/text/{text}")]
async fn text(text: String) -> String {
    text
}

#[get("/users/{user}/tasks/{id}")]
async fn by_names(id: u64, user: String) -> String {
    format!("{user} {id}")
}

#[get("/users/{user}/tasks/{id}/pair")]
async fn by_tuple(Path((user, id)): Path<(String, u64)>) -> String {
    format!("{user} {id}")
}

#[get("/users/{user}/tasks/{id}/struct")]
async fn by_struct(Path(place): Path<Place>) -> String {
    format!("{} {}", place.user, place.id)
}

#[get("/users/new/tasks/{id}")]
async fn literal_first(id: String) -> String {
    format!("literal {id}")
}

#[get("/files/{*path}")]
async fn rest(path: String) -> String {
    path
}

#[get("/keyword/{type}")]
async fn keyword(r#type: String) -> String {
    r#type
}

#[get("/unused/{_id}")]
async fn unused(_id: u8) -> &'static str {
    "a number"
}

#[get("/search")]
async fn search(Query(page): Query<Page>) -> String {
    format!("{:?} {:?}", page.limit, page.tag)
}

#[post("/tasks")]
async fn create(
    db: Component<Db>,
    method: Method,
    Json(new): Json<New>,
) -> (StatusCode, Json<Value>) {
    let task =
        json!({"title": new.title, "tags": new.tags, "db": db.0.0, "method": method.as_str()});
    (StatusCode::CREATED, Json(task))
}

#[put("/tasks/{id}")]
async fn body_before_path(Json(new): Json<New>, id: u8) -> String {
    format!("{id} {}", new.title)
}

#[patch("/tasks/{id}")]
async fn change(id: u8, Form(new): Form<New>) -> String {
    format!("{id} {} {:?}", new.title, new.tags)
}

#[delete("/tasks/{id}")]
async fn remove(id: u8) -> StatusCode {
    if id == 1 { StatusCode::NO_CONTENT } else { StatusCode::GONE }
}

#[head("/head")]
async fn only_head() -> [(&'static str, &'static str); 1] {
    [("x-head", "yes")]
}

#[options("/options")]
async fn own_options() -> &'static str {
    "asked"
}

#[route("/several", methods = [GET, POST])]
async fn several(method: Method) -> String {
    method.to_string()
}

#[post("/bytes")]
async fn bytes(bytes: Bytes) -> Bytes {
    bytes
}

#[post("/whole")]
async fn whole(request: Request) -> ember::Result<String> {
    let (method, path) = (request.method().clone(), request.path().to_owned());
    let route = request.route().map(|route| route.name.clone());
    let body = request.into_body().collect().await?;
    Ok(format!("{method} {path} {route:?} {}", body.len()))
}

#[get("/parts")]
async fn parts(uri: Uri, headers: HeaderMap, peer: Option<SocketAddr>) -> String {
    format!("{uri} {:?} {peer:?}", headers.get("x-a"))
}

#[get("/outcome")]
async fn outcome(page: ember::Result<Query<Page>>) -> String {
    match page {
        Ok(_) => "fits".to_owned(),
        Err(error) => error.message().to_owned(),
    }
}

#[get("/optional")]
async fn optional(missing: Option<Component<u128>>) -> String {
    missing.is_some().to_string()
}

mod below {
    use super::*;

    #[get("/below")]
    async fn below() -> &'static str {
        "below"
    }
}

fn client() -> TestClient {
    TestClient::new(ember::app!().component(Db("tasks.db")).build().unwrap())
}

async fn get(target: &str) -> (u16, String) {
    let response = client().get(target).send().await;
    (response.status().as_u16(), response.text().await)
}

#[tokio::test]
async fn arguments_come_from_the_path_by_name() {
    let ok = |text: &str| (200, text.to_owned());
    assert_eq!(get("/").await, ok("root"));
    assert_eq!(get("/number/-7").await, ok("-7"));
    assert_eq!(get("/color/red").await, ok("Red"));
    assert_eq!(get("/color/blue").await, ok("Blue"));
    assert_eq!(get("/text/a%20b%2Fc%C3%A9").await, ok("a b/cé"));
    assert_eq!(get("/users/ann/tasks/7").await, ok("ann 7"));
    assert_eq!(get("/users/ann/tasks/7/pair").await, ok("ann 7"));
    assert_eq!(get("/users/ann/tasks/7/struct").await, ok("ann 7"));
    assert_eq!(get("/users/new/tasks/7").await, ok("literal 7"));
    assert_eq!(get("/files/a/b/c.txt").await, ok("a/b/c.txt"));
    assert_eq!(get("/keyword/x").await, ok("x"));
    assert_eq!(get("/unused/7").await, ok("a number"));
    assert_eq!(get("/below").await, ok("below"));
}

#[tokio::test]
async fn a_parameter_that_does_not_fit_is_told_by_name() {
    for (target, reason) in [
        ("/number/70000", "a whole number from -32768 to 32767, and is `70000`"),
        ("/color/green", "unknown variant `green`"),
        ("/text/%FF", "not UTF-8"),
        ("/users/ann/tasks/x/pair", "`id`"),
        ("/unused/x", "`_id`"),
    ] {
        let (status, body) = get(target).await;
        assert_eq!(status, 400, "{target}");
        assert!(body.contains(reason), "{target}: {body}");
    }
}

#[tokio::test]
async fn queries_are_read_with_lists() {
    assert_eq!(
        get("/search?limit=5&tag=a&tag=b%20c").await,
        (200, "Some(5) [\"a\", \"b c\"]".to_owned())
    );
    assert_eq!(get("/search").await, (200, "None []".to_owned()));
    assert_eq!(get("/search?limit=x").await.0, 400);
    assert_eq!(get("/outcome?limit=1").await.1, "fits");
    assert!(get("/outcome?limit=x").await.1.contains("`limit`"));
}

#[tokio::test]
async fn bodies_are_read_by_type() {
    let new = New { title: "Read".into(), tags: vec!["a".into(), "b".into()] };
    let created = client().post("/tasks").json(&new).send().await;
    assert_eq!(created.status(), 201);
    let expected = json!({"title": "Read", "tags": ["a", "b"], "db": "tasks.db", "method": "POST"});
    assert_eq!(created.json::<Value>().await, expected);
    assert_eq!(client().put("/tasks/3").json(&new).send().await.text().await, "3 Read");
    assert_eq!(
        client().patch("/tasks/3").form(&new).send().await.text().await,
        "3 Read [\"a\", \"b\"]"
    );
    assert_eq!(client().post("/bytes").body("\u{1}\u{2}").send().await.bytes().await, "\u{1}\u{2}");
    let whole = client().post("/whole").body("abc").send().await.text().await;
    assert_eq!(whole, "POST /whole Some(\"whole\") 3");
    let misfit = client().post("/tasks").json(&json!({"title": 7, "tags": []})).send().await;
    assert_eq!(misfit.status(), 422);
    assert_eq!(misfit.json::<Value>().await["pointer"], "/title");
}

#[tokio::test]
async fn the_head_is_read_by_type() {
    let response = client().get("/parts?b=1").header("x-a", "1").send().await;
    assert_eq!(response.text().await, "/parts?b=1 Some(\"1\") None");
    assert_eq!(get("/optional").await.1, "false");
}

#[tokio::test]
async fn methods_are_told_apart() {
    let send = |method: Method, target: &'static str| async move {
        client().request(method, target).send().await
    };
    assert_eq!(send(Method::DELETE, "/tasks/1").await.status(), 204);
    assert_eq!(send(Method::GET, "/several").await.text().await, "GET");
    assert_eq!(send(Method::POST, "/several").await.text().await, "POST");
    let refused = send(Method::POST, "/number/1").await;
    assert_eq!(
        (refused.status().as_u16(), refused.header("allow")),
        (405, Some("GET, HEAD, OPTIONS"))
    );
    let refused = send(Method::GET, "/tasks/1").await;
    assert_eq!(refused.header("allow"), Some("DELETE, OPTIONS, PATCH, PUT"));
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(send(Method::GET, "/nothing").await.status(), 404);
}

#[tokio::test]
async fn head_and_options_follow_from_the_routes() {
    let head = client().head("/number/12").send().await;
    assert_eq!((head.status().as_u16(), head.header("content-length")), (200, Some("2")));
    assert_eq!(head.text().await, "");
    assert_eq!(client().head("/head").send().await.header("x-head"), Some("yes"));
    assert_eq!(client().get("/head").send().await.status(), 405);
    let options = client().options("/several").send().await;
    assert_eq!(
        (options.status().as_u16(), options.header("allow")),
        (204, Some("GET, HEAD, OPTIONS, POST"))
    );
    assert_eq!(client().options("/options").send().await.text().await, "asked");
}

#[tokio::test]
async fn a_slash_at_the_end_is_treated_as_asked() {
    async fn ask(strategy: TrailingSlash, target: &str) -> TestResponse {
        let app = ember::app!().component(Db("")).trailing_slash(strategy).build().unwrap();
        TestClient::new(app).get(target).send().await
    }
    assert_eq!(ask(TrailingSlash::Strict, "/number/1/").await.status(), 404);
    assert_eq!(ask(TrailingSlash::Clone, "/number/1/").await.text().await, "1");
    let redirect = ask(TrailingSlash::Redirect, "/number/1/?a=b").await;
    assert_eq!(
        (redirect.status().as_u16(), redirect.header("location")),
        (308, Some("/number/1?a=b"))
    );
    assert_eq!(ask(TrailingSlash::Redirect, "//number/1/").await.status(), 404);
    assert_eq!(ask(TrailingSlash::Redirect, "/nothing/").await.status(), 404);
}

#[tokio::test]
async fn functions_stay_functions() {
    assert_eq!(by_names(7, "ann".to_owned()).await, "ann 7");
}
