//! From a request to its response, without a socket: the router, and what handlers take.
//!
//! The router is not public by itself; its rows differ from `web/handler` by what it does alone.

use crate::{Area, Work};
use ember::http::Request as HttpRequest;
use ember::prelude::*;
use ember::web::Route;
use ember::{Body, Ready};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

pub(crate) const ALL: Area = &[
    ("web/handler", || ask(app(0), "GET", "/hello", Send::Nothing, "Hello, World!")),
    ("web/route of 200", || ask(app(200), "GET", "/further/199/hello", Send::Nothing, "further")),
    ("web/no route of 200", || ask(app(200), "GET", "/further/200/hello", Send::Nothing, "")),
    ("web/two path parameters", || {
        ask(app(200), "GET", "/users/17/posts/4711", Send::Nothing, "4728")
    }),
    ("web/query", || {
        ask(app(0), "GET", "/search?term=lovelace&page=7", Send::Nothing, "lovelace7")
    }),
    ("web/component", || ask(app(0), "GET", "/component", Send::Nothing, "42")),
    ("web/json out", || ask(app(0), "GET", "/order", Send::Nothing, ORDER)),
    ("web/json in and out", || ask(app(0), "POST", "/orders", Send::Json(ORDER), ORDER)),
    ("web/form", || ask(app(0), "POST", "/form", Send::Form("term=lovelace&page=7"), "lovelace7")),
    ("web/middleware of 3", || ask(app(0), "GET", "/within", Send::Nothing, "within")),
    ("web/static cache hit", || ask(app(0), "GET", "/cached", Send::Nothing, "Hello, World!")),
];

const ORDER: &str = r#"{"id":4711,"customer":"Ada Lovelace","items":["punched card","gear","crank"],"total":129.5}"#;

/// What a request has as its body.
#[derive(Clone, Copy)]
enum Send {
    Nothing,
    Json(&'static str),
    Form(&'static str),
}

fn app(further: usize) -> Ember {
    let mut app = ember::app!().component(42_u64);
    for number in 0..further {
        let route = Route::get(format!("/further/{number}/hello"), async || "further");
        app = app.route(route.name(format!("further_{number}")));
    }
    app
}

/// Asks an application; an empty answer stands for 404.
fn ask(
    app: Ember,
    method: &'static str,
    target: &'static str,
    send: Send,
    expected: &'static str,
) -> Work {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let ready = app.build().expect("the application is right");
    Box::new(move || answer(&runtime, &ready, method, target, send, expected))
}

fn answer(
    runtime: &Runtime,
    ready: &Ready,
    method: &str,
    target: &str,
    send: Send,
    expected: &str,
) {
    let request = HttpRequest::builder().method(method).uri(target).header("host", "localhost");
    let request = match send {
        Send::Nothing => request.body(Body::empty()),
        Send::Json(text) => {
            request.header("content-type", "application/json").body(Body::from(text))
        }
        Send::Form(text) => request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(text)),
    };
    let response = runtime.block_on(ready.answer(request.expect("the request is one")));
    if expected.is_empty() {
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        return;
    }
    assert_eq!(response.status(), StatusCode::OK);
    let body = runtime.block_on(whole(response.into_body()));
    assert_eq!(body, expected.as_bytes());
}

async fn whole(body: Body) -> Bytes {
    http_body_util::BodyExt::collect(body).await.expect("the body is whole").to_bytes()
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Order {
    id: u64,
    customer: String,
    items: Vec<String>,
    total: f64,
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    term: String,
    page: u32,
}

#[get("/hello")]
async fn hello() -> &'static str {
    "Hello, World!"
}

#[get("/cached", cache = StaticCache::new())]
async fn cached() -> &'static str {
    "Hello, World!"
}

#[get("/users/{user}/posts/{post}")]
async fn post_of(user: u64, post: u64) -> String {
    (user + post).to_string()
}

#[get("/search")]
async fn search(Query(search): Query<Search>) -> String {
    search.term + &search.page.to_string()
}

#[get("/component")]
async fn component(number: Component<u64>) -> String {
    number.to_string()
}

#[get("/order")]
async fn order() -> Json<Order> {
    let items = ["punched card", "gear", "crank"].map(str::to_owned).to_vec();
    Json(Order { id: 4711, customer: "Ada Lovelace".to_owned(), items, total: 129.5 })
}

#[post("/orders")]
async fn orders(Json(order): Json<Order>) -> Json<Order> {
    Json(order)
}

#[post("/form")]
async fn form(Form(search): Form<Search>) -> String {
    search.term + &search.page.to_string()
}

#[get("/within", middleware = [pass, pass, pass])]
async fn within() -> &'static str {
    "within"
}

async fn pass(request: Request, next: Next) -> Response {
    next.run(request).await
}
