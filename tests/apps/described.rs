//! A program with every kind of route, for tests of its OpenAPI document and of the page.

use ember::http::header::LOCATION;
use ember::llm::{FakeProvider, FakeReply};
use ember::prelude::*;
use ember::web::{Route, Security};
use futures_util::stream;
use serde::{Deserialize, Serialize};

/// How much a task matters.
#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Priority {
    Low,
    #[default]
    Normal,
    High,
}

/// Something to do.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Task {
    /// Its number.
    id: u64,
    /// What is to be done.
    title: String,
    #[serde(default)]
    priority: Priority,
    /// What must be done before.
    #[serde(default)]
    before: Vec<Task>,
}

/// What a new task is made of.
#[derive(Deserialize, JsonSchema)]
struct NewTask {
    /// What is to be done.
    title: String,
    #[serde(default)]
    priority: Priority,
    due: Option<String>,
}

/// Which tasks are wanted.
#[derive(Deserialize, JsonSchema)]
struct Filter {
    /// Words that the title has.
    words: String,
    /// At most so many.
    limit: Option<u32>,
    #[serde(default)]
    priority: Vec<Priority>,
}

/// One page of many.
#[derive(Serialize, JsonSchema)]
struct Page<T> {
    items: Vec<T>,
    total: u64,
}

fn sample(id: u64, title: &str) -> Task {
    Task { id, title: title.into(), priority: Priority::High, before: Vec::new() }
}

/// Tasks with certain words.
///
/// The answer is one page; `limit` bounds it.
///
/// - **Titles** are searched.
/// - Nothing else is.
#[get("/tasks")]
async fn list(Query(filter): Query<Filter>) -> Json<Page<Task>> {
    let mut items = vec![sample(1, &filter.words)];
    items.truncate(filter.limit.unwrap_or(20) as usize);
    let wanted = filter.priority.len();
    Json(Page { items, total: if wanted == 0 { 1 } else { 0 } })
}

/// Adds a task.
#[post("/tasks")]
async fn create(
    Json(new): Json<NewTask>,
) -> ember::Result<(StatusCode, [(ember::http::HeaderName, &'static str); 1], Json<Task>)> {
    if new.title.is_empty() {
        return Err(Error::unprocessable("A task has a title."));
    }
    let _ = new.due;
    let task = Task { priority: new.priority, ..sample(7, &new.title) };
    Ok((StatusCode::CREATED, [(LOCATION, "/tasks/7")], Json(task)))
}

/// One task.
#[get("/tasks/{id}")]
async fn task(
    /// The number of the task.
    id: u64,
) -> ember::Result<Json<Task>> {
    Ok(Json(sample(id, "Read")))
}

/// Replaces a task, under another name of the parameter.
#[route("/tasks/{number}", methods = [PUT, PATCH])]
async fn replace(number: u64, Json(task): Json<Task>) -> ember::Result<Json<Task>> {
    Ok(Json(Task { id: number, ..task }))
}

#[delete("/tasks/{id}")]
async fn remove(Path(id): Path<u64>) -> StatusCode {
    if id == 0 { StatusCode::NOT_FOUND } else { StatusCode::NO_CONTENT }
}

#[derive(Deserialize, JsonSchema)]
struct Place {
    shelf: String,
    row: u8,
}

#[get("/shelves/{shelf}/rows/{row}")]
async fn row(Path(place): Path<Place>) -> Html<String> {
    Html(format!("<p>{} {}</p>", place.shelf, place.row))
}

/// A file below a folder.
#[get("/files/{*file}")]
async fn file(file: String) -> String {
    file
}

#[get("/files/{name}")]
async fn short(name: String) -> Bytes {
    Bytes::from(name)
}

/// Counts until it is stopped.
#[get("/ticks")]
async fn ticks() -> Sse {
    Sse::new(stream::unfold(0_u64, |n| async move {
        tokio::time::sleep(millis(20)).await;
        Some((Event::data(format!("tick {n}")).event("tick"), n + 1))
    }))
}

#[derive(Deserialize, JsonSchema)]
struct Login {
    name: String,
    #[serde(default)]
    remember: bool,
}

/// Lets somebody in.
#[post("/login")]
async fn login(Form(login): Form<Login>) -> Redirect {
    Redirect::to(if login.remember { "/tasks?words=again" } else { "/tasks?words=once" })
}

/// A form that is read from the query.
#[get("/search")]
async fn search(Form(login): Form<Login>) -> String {
    login.name
}

/// What has no schema is described without one.
#[derive(Serialize, Deserialize)]
struct Plain {
    a: u8,
}

#[post("/plain")]
async fn plain(Json(plain): Json<Plain>) -> Json<Plain> {
    Json(plain)
}

#[get("/opaque")]
async fn opaque() -> impl IntoResponse {
    (StatusCode::IM_A_TEAPOT, "short and stout")
}

#[post("/echo")]
async fn echo(body: Bytes) -> Bytes {
    body
}

/// Talks.
#[ai_route("/chat")]
async fn chat(conversation: ConversationContext, message: String) -> ember::Result<TokenStream> {
    conversation.stream(message).await
}

/// Another module with a type and a function of the same names.
mod users {
    use ember::prelude::*;
    use serde::Serialize;

    #[derive(Serialize, JsonSchema)]
    pub(crate) struct Task {
        whose: String,
    }

    #[get("/users/{id}/tasks")]
    pub(crate) async fn list(id: u64) -> Json<Vec<Task>> {
        Json(vec![Task { whose: id.to_string() }])
    }
}

async fn by_hand(Path(name): Path<String>) -> Json<Task> {
    Json(sample(1, &name))
}

fn main() -> ember::Result {
    let model = FakeProvider::new().respond(|_| FakeReply::new().text("one two three"));
    let by_hand = Route::get("/by-hand/{name}", by_hand)
        .docs("A route that was made by hand.")
        .schema::<String>()
        .with(|options| {
            let key = Security::api_key_header("x-api-key");
            options.tags(["By hand"]).deprecated(true).security([Security::bearer(), key]);
        });
    ember::app!()
        .title("Described")
        .version("1.2.3")
        .description("Every kind of route.")
        .tag("By hand", "Routes without an attribute.")
        .route(by_hand)
        .offline(model)
        .docs("/docs")
        .run()
}
