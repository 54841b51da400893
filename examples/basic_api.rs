//! Routes, blueprints, middleware and caches, in one file.
//!
//! `cargo run --example basic_api`, then look at `http://localhost:8000/docs`, or
//! `curl localhost:8000/notes`.

use ember::prelude::*;
use ember::web::middleware::{AccessLog, ApiKeyAuth};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

/// A page that is the same for everybody until the next start: made once, and given before
/// anything else runs.
#[get("/", cache = StaticCache::new())]
async fn index() -> Html<&'static str> {
    Html("<h1>Notes</h1><p>See <a href=\"/docs\">the routes</a>.</p>")
}

/// The time, which is looked at once a second however many ask.
#[get("/time", cache = TtlCache::new(secs(1)))]
async fn time() -> Result<String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(format!("{} seconds since 1970", now.as_secs()))
}

/// Counts down, one event at a time.
#[get("/countdown/{from}")]
async fn countdown(from: u8) -> Sse {
    let numbers = (0..=from).rev().map(|n| Event::data(n.to_string()));
    Sse::new(ember::futures_util::stream::iter(numbers))
}

/// What nobody has an answer for is answered in this application's own way.
#[catch(404)]
async fn nothing_here(error: &Error, uri: Uri) -> Json<Missing> {
    Json(Missing { path: uri.path().to_owned(), detail: error.message().to_owned() })
}

#[derive(Serialize, JsonSchema)]
struct Missing {
    path: String,
    detail: String,
}

/// Every response says who made it.
#[middleware(scope = app)]
async fn powered_by(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert("x-powered-by", HeaderValue::from_static("ember"));
    response
}

/// Everything below stands under `/notes`.
mod notes {
    use super::*;

    blueprint! { prefix = "/notes", tags = ["notes"], limits = RouteLimits::new().max_body_size(64 << 10) }

    /// A note.
    #[derive(Clone, Serialize, Deserialize, JsonSchema)]
    pub(crate) struct Note {
        pub(crate) id: usize,
        pub(crate) text: String,
    }

    /// What a new note is made of.
    #[derive(Deserialize, JsonSchema)]
    struct NewNote {
        text: String,
    }

    /// Which notes are listed.
    #[derive(Deserialize, JsonSchema)]
    struct Search {
        /// Only notes that contain this.
        contains: Option<String>,
    }

    /// The notes, in memory.
    #[derive(Default)]
    pub(crate) struct Notes(Mutex<Vec<Note>>);

    impl Notes {
        fn with<T>(&self, look: impl FnOnce(&mut Vec<Note>) -> T) -> T {
            look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    /// Made at the start; a test could replace it.
    #[component]
    fn notes() -> Notes {
        Notes::default()
    }

    /// Lists notes.
    #[get("/")]
    async fn list(notes: Component<Notes>, Query(search): Query<Search>) -> Json<Vec<Note>> {
        let wanted = search.contains.unwrap_or_default();
        Json(notes.with(|notes| {
            notes.iter().filter(|note| note.text.contains(&wanted)).cloned().collect()
        }))
    }

    /// Adds a note.
    #[post("/", status = StatusCode::CREATED)]
    async fn add(notes: Component<Notes>, Json(new): Json<NewNote>) -> (StatusCode, Json<Note>) {
        let note = notes.with(|notes| {
            let note = Note { id: notes.len(), text: new.text };
            notes.push(note.clone());
            note
        });
        (StatusCode::CREATED, Json(note))
    }

    /// One note.
    #[get("/{id}")]
    async fn one(id: usize, notes: Component<Notes>) -> Result<Json<Note>> {
        let note = notes.with(|notes| notes.get(id).cloned());
        note.map(Json).ok_or_else(|| Error::not_found(format!("There is no note {id}.")))
    }

    /// Takes all notes away; only with the key.
    #[delete("/", middleware = [keys()], status = StatusCode::NO_CONTENT)]
    async fn clear(notes: Component<Notes>) -> StatusCode {
        notes.with(Vec::clear);
        StatusCode::NO_CONTENT
    }

    /// Who may. A program that others reach has its keys from outside of it.
    fn keys() -> ApiKeyAuth {
        ApiKeyAuth::new().key("curator", "let me in")
    }
}

fn app() -> Ember {
    ember::app!().middleware(AccessLog::new()).docs("/docs")
}

fn main() -> Result {
    app().run()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ember::serde_json::json;
    use ember::testing::TestClient;
    use notes::Note;

    async fn client() -> TestClient {
        TestClient::start(app()).await.unwrap()
    }

    #[ember::test]
    async fn notes_are_kept_and_searched() {
        let client = client().await;
        for text in ["buy milk", "call Ada"] {
            let added = client.post("/notes").json(&json!({"text": text})).send().await;
            assert_eq!(added.status(), 201);
        }
        let found: Vec<Note> = client.get("/notes?contains=Ada").send().await.json().await;
        assert_eq!((found.len(), found[0].id), (1, 1));
        assert_eq!(client.delete("/notes").send().await.status(), 401);
        let cleared = client.delete("/notes").header("x-api-key", "let me in").send().await;
        assert_eq!(cleared.status(), 204);
        assert_eq!(client.get("/notes").send().await.json::<Vec<Note>>().await.len(), 0);
    }

    #[ember::test]
    async fn what_is_missing_is_told_in_our_own_way() {
        let response = client().await.get("/notes/7").send().await;
        assert_eq!(
            (response.status().as_u16(), response.header("x-powered-by")),
            (404, Some("ember"))
        );
        let missing: ember::serde_json::Value = response.json().await;
        assert_eq!(missing, json!({"path": "/notes/7", "detail": "There is no note 7."}));
    }

    #[ember::test]
    async fn a_countdown_arrives_event_by_event() {
        let events = client().await.get("/countdown/2").send().await.events().await;
        let numbers: Vec<_> = events.iter().map(|event| event.data.as_str()).collect();
        assert_eq!(numbers, ["2", "1", "0"]);
    }

    #[ember::test]
    async fn a_page_is_made_once() {
        let client = client().await;
        for _ in 0..2 {
            let page = client.get("/").send().await;
            assert!(page.text().await.contains("<h1>Notes</h1>"));
        }
    }
}
