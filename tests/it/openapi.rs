//! What an application says of itself.

use ember::ApiKeyAuth;
use ember::prelude::*;
use ember::testing::TestClient;
use ember::web::{Operation, Parameter, RequestParts, Route, Security};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Which notes are wanted.
#[derive(Deserialize, JsonSchema)]
struct Filter {
    /// Words in the text.
    words: String,
    #[serde(default)]
    tag: Vec<String>,
    limit: Option<u8>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Note {
    text: String,
    #[serde(default)]
    answers: Vec<Note>,
}

struct Tenant;

impl FromRequestParts for Tenant {
    async fn from_request_parts(_: &mut RequestParts) -> ember::Result<Self> {
        Ok(Self)
    }

    fn describe(operation: &mut Operation) {
        let header = Parameter::header("x-tenant").of::<String>().required();
        operation
            .schema::<String>()
            .parameter(header.description("Whose notes."))
            .security(Security::bearer());
    }
}

/// Notes
/// with certain words.
///
/// At most `limit`.
#[get("/notes")]
async fn list(_: Tenant, Query(filter): Query<Filter>) -> Json<Vec<Note>> {
    let _ = (filter.words, filter.tag, filter.limit);
    Json(Vec::new())
}

#[post("/notes")]
async fn create(Json(note): Json<Note>) -> (StatusCode, Json<Note>) {
    (StatusCode::CREATED, Json(note))
}

#[get("/notes/{id}")]
async fn note(
    /// The number of the note.
    id: u16,
) -> ember::Result<Json<Note>> {
    Err(Error::not_found(format!("There is no note {id}.")))
}

#[route("/notes/{number}", methods = [PUT, DELETE])]
async fn change(Path(number): Path<u32>) -> StatusCode {
    if number > 0 { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

#[get("/users/{user}/notes/{at}")]
async fn of_user(Path(path): Path<(String, i8)>) -> String {
    path.0
}

#[get("/files/{*path}")]
async fn file(path: String) -> Bytes {
    path.into()
}

#[get("/events")]
async fn events() -> ember::Result<Sse> {
    Ok(Sse::new(stream::iter([Event::data("1")])))
}

/// Has no schema.
#[derive(Serialize, Deserialize)]
struct Plain {
    a: u8,
}

#[put("/plain")]
async fn plain(Json(plain): Json<Plain>) -> ember::Result<Json<Option<Plain>>> {
    Ok(Json(Some(plain)))
}

#[ai_route("/chat")]
async fn chat(conversation: ConversationContext, text: String) -> ember::Result<TokenStream> {
    conversation.stream(text).await
}

mod other {
    use ember::prelude::*;
    use serde::Serialize;

    #[derive(Serialize, JsonSchema)]
    pub(super) struct Note {
        number: u8,
    }

    #[get("/other")]
    pub(super) async fn list() -> Json<Note> {
        Json(Note { number: 1 })
    }
}

fn app() -> Ember {
    let model = ember::llm::FakeProvider::new();
    ember::app!().title("Notes").version("2").client(Client::new(model)).docs("/docs")
}

fn document() -> Value {
    app().build().unwrap().openapi()
}

fn operation(document: &Value, path: &str, method: &str) -> Value {
    let operation = document["paths"][path][method].clone();
    assert!(operation.is_object(), "{method} {path} is missing: {document:#}");
    operation
}

#[test]
fn a_route_tells_its_parameters() {
    let document = document();
    let list = operation(&document, "/notes", "get");
    assert_eq!(list["summary"], "Notes with certain words.");
    assert_eq!(list["description"], "At most `limit`.");
    assert_eq!(
        list["parameters"],
        json!([
            {"name": "words", "in": "query", "description": "Words in the text.", "required": true,
             "schema": {"type": "string"}},
            {"name": "tag", "in": "query",
             "schema": {"type": "array", "items": {"type": "string"}, "default": []}},
            {"name": "limit", "in": "query",
             "schema": {"type": "integer", "format": "uint8", "minimum": 0, "maximum": 255}},
            {"name": "x-tenant", "in": "header", "description": "Whose notes.", "required": true,
             "schema": {"type": "string"}},
        ])
    );
    assert_eq!(list["security"], json!([{"bearer": []}]));
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    let note = operation(&document, "/notes/{id}", "get");
    assert_eq!(note["parameters"][0]["description"], "The number of the note.");
    assert_eq!(note["parameters"][0]["schema"]["format"], "uint16");
    let of_user = operation(&document, "/users/{user}/notes/{at}", "get");
    assert_eq!(of_user["parameters"][0]["schema"], json!({"type": "string"}));
    assert_eq!(of_user["parameters"][1]["schema"]["format"], "int8");
}

#[test]
fn a_route_tells_its_body_and_its_answers() {
    let document = document();
    let create = operation(&document, "/notes", "post");
    let body = &create["requestBody"];
    assert_eq!(body["required"], true);
    let reference = |content: &Value| content["application/json"]["schema"]["$ref"].clone();
    assert_eq!(reference(&body["content"]), "#/components/schemas/NoteInput");
    assert_eq!(reference(&create["responses"]["2XX"]["content"]), "#/components/schemas/Note");
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["NoteInput"]["required"], json!(["text"]));
    assert_eq!(schemas["Note"]["required"], json!(["text", "answers"]));
    let note = operation(&document, "/notes/{id}", "get");
    let problem = &note["responses"]["default"]["content"]["application/problem+json"];
    assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem");
    let events = operation(&document, "/events", "get");
    assert!(events["responses"]["200"]["content"]["text/event-stream"].is_object());
    let chat = operation(&document, "/chat", "post");
    assert_eq!(chat["parameters"][0]["name"], "x-conversation-id");
    assert!(chat["responses"]["200"]["headers"]["x-conversation-id"].is_object());
    let plain = operation(&document, "/plain", "put");
    assert_eq!(plain["requestBody"]["content"], json!({"application/json": {}}));
}

#[test]
fn names_that_meet_are_told_apart() {
    let document = document();
    assert_eq!(operation(&document, "/other", "get")["operationId"], "other_list");
    assert_eq!(operation(&document, "/notes", "get")["operationId"], "openapi_list");
    assert_eq!(operation(&document, "/notes/{id}", "put")["operationId"], "change_put");
    assert_eq!(operation(&document, "/notes/{id}", "delete")["parameters"][0]["name"], "id");
    let other = operation(&document, "/other", "get");
    let schema = &other["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
    let name = schema.as_str().unwrap().rsplit('/').next().unwrap();
    let definition = &document["components"]["schemas"][name];
    assert!(definition["properties"]["number"].is_object(), "{document:#}");
}

#[test]
fn what_openapi_cannot_say_is_said_nearly() {
    let file = operation(&document(), "/files/{path}", "get");
    assert_eq!(file["parameters"][0]["x-ember-rest"], true);
    let app = app().route(Route::get("/files/{name}", || async { "a file" }));
    let document = app.build().unwrap().openapi();
    assert_eq!(operation(&document, "/files/{name}", "get")["parameters"][0]["name"], "name");
    assert_eq!(operation(&document, "/files/{*path}", "get")["parameters"][0]["name"], "*path");
}

#[test]
fn options_and_hands_add_to_what_types_tell() {
    async fn by_hand(Json(note): Json<Note>) -> (StatusCode, Json<Note>) {
        (StatusCode::CREATED, Json(note))
    }
    let route = Route::post("/by-hand", by_hand)
        .docs("Made by hand.")
        .schema::<Note>()
        .describe(|operation| {
            operation.parameter(Parameter::cookie("theme").description("Dark or light."));
        })
        .with(|options| {
            options.tags(["Hand", "Other"]).tags(["Hand"]).deprecated(true);
            options.status(StatusCode::CREATED).security([]);
        });
    let hidden = Route::get("/hidden", || async {}).with(|options| {
        options.hidden(true);
    });
    let app = Ember::new()
        .route(route)
        .route(hidden)
        .tag("Other", "Described first.")
        .security(Security::api_key_header("x-key"))
        .server_url("/api");
    let document = app.build().unwrap().openapi();
    let by_hand = operation(&document, "/by-hand", "post");
    assert_eq!(by_hand["tags"], json!(["Hand", "Other"]));
    assert_eq!(by_hand["deprecated"], true);
    assert_eq!(by_hand["security"], json!([]));
    assert_eq!(by_hand["parameters"][0]["in"], "cookie");
    let statuses: Vec<_> = by_hand["responses"].as_object().unwrap().keys().collect();
    assert_eq!(statuses, ["201", "default"]);
    assert!(document["paths"]["/hidden"].is_null());
    assert_eq!(document["security"], json!([{"apiKey": []}]));
    assert_eq!(document["servers"], json!([{"url": "/api"}]));
    assert_eq!(
        document["tags"],
        json!([{"name": "Other", "description": "Described first."}, {"name": "Hand"}])
    );
}

#[test]
fn equal_applications_have_equal_documents() {
    let first = document();
    assert_eq!(first.to_string(), document().to_string());
    assert_eq!(first["openapi"], "3.1.1");
    assert_eq!(
        first["info"],
        json!({"title": "Notes", "description": "Tests of ember from outside", "version": "2"})
    );
    let paths = first["paths"].as_object().unwrap();
    assert!(paths.keys().all(|path| !path.starts_with("/docs")), "{paths:?}");
}

#[tokio::test]
async fn the_page_and_the_document_are_served() {
    let client = TestClient::new(app().build().unwrap());
    let served: Value = client.get("/docs/openapi.json").send().await.json().await;
    assert_eq!(served, document());
    for (path, media_type) in [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/page.css", "text/css; charset=utf-8"),
        ("/docs/page.js", "text/javascript; charset=utf-8"),
    ] {
        let response = client.get(path).send().await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.header("content-type"), Some(media_type));
        let policy = response.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    }
    let root = TestClient::new(Ember::new().docs("/").build().unwrap());
    assert_eq!(root.get("/").send().await.status(), 200);
    assert_eq!(root.get("/openapi.json").send().await.status(), 200);
    let wrong = Ember::new().docs("docs").build().unwrap_err().to_string();
    assert!(wrong.contains("does not start with `/`"), "{wrong}");
}

mod around {
    use ember::prelude::*;
    use ember::{ApiKeyAuth, BearerAuth};

    #[derive(serde::Serialize, JsonSchema)]
    struct Oops {
        reason: String,
    }

    #[catch]
    async fn anything(error: &Error) -> Json<Oops> {
        Json(Oops { reason: error.message().to_owned() })
    }

    fn key() -> ApiKeyAuth {
        ApiKeyAuth::new().key("ada", "secret-of-ada")
    }

    #[get("/", middleware = [key()], deprecated = true, summary = "Old news.")]
    async fn index() -> &'static str {
        "old"
    }

    pub fn app() -> Ember {
        ember::app!()
            .middleware(BearerAuth::new(|token| (token == "t").then(|| Principal::new("t"))))
    }
}

#[test]
fn what_stands_around_a_route_is_described() {
    let document = around::app().build().unwrap().openapi();
    let get = &document["paths"]["/"]["get"];
    assert_eq!((&get["summary"], &get["deprecated"]), (&"Old news.".into(), &true.into()));
    let failures = get["responses"]["default"]["content"].as_object().unwrap();
    let types: Vec<_> = failures.keys().map(String::as_str).collect();
    assert_eq!(types, ["application/problem+json", "application/json"]);
    assert!(document["components"]["schemas"]["Oops"].is_object());
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    assert_eq!(schemes.keys().collect::<Vec<_>>(), ["apiKey", "bearer"]);
    assert_eq!(get["security"], json!([{"apiKey": [], "bearer": []}]), "both are enforced");
}

#[test]
fn schemes_of_one_name_are_told_apart() {
    let keys = || ApiKeyAuth::new().key("ada", "secret-of-ada");
    let route = |path: &str| Route::get(path.to_owned(), async || "kept");
    let chosen = [Security::bearer().scopes(["read"]), Security::api_key_query("token")];
    let app = Ember::new()
        .route(route("/header").middleware(keys()))
        .route(route("/query").middleware(keys().query("token")))
        .route(route("/also").middleware(keys()))
        .route(route("/either").with(move |options| {
            options.security(chosen);
        }));
    let document = app.build().unwrap().openapi();
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(schemes.as_object().unwrap().len(), 3);
    assert_eq!(schemes["apiKey"]["in"], "header");
    assert_eq!(schemes["apiKey2"], json!({"type": "apiKey", "in": "query", "name": "token"}));
    let of = |path: &str| document["paths"][path]["get"]["security"].clone();
    assert_eq!(of("/header"), json!([{"apiKey": []}]));
    assert_eq!(of("/query"), json!([{"apiKey2": []}]));
    assert_eq!(of("/also"), json!([{"apiKey": []}]));
    assert_eq!(of("/either"), json!([{"bearer": ["read"]}, {"apiKey2": []}]));
}
