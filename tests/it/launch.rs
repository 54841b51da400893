//! The start-up check: every problem at once, each with its places.

use ember::llm::{Client, FakeProvider};
use ember::prelude::*;
use ember::testing::TestClient;
use ember::{Env, LaunchError, Route};

mod conflicting {
    use ember::prelude::*;

    pub(super) struct Db;
    pub(super) struct Cache;

    #[get("/tasks/{id}")]
    async fn task(id: u64, _: Component<Db>) -> String {
        id.to_string()
    }

    #[get("/tasks/{name}")]
    async fn task_by_name(name: String, _: Component<Cache>, _: Component<Db>) -> String {
        name
    }

    /// One.
    #[tool(name = "twice")]
    async fn one() -> u8 {
        1
    }

    /// Two.
    #[tool(name = "twice")]
    async fn two() -> u8 {
        2
    }

    #[ai_route("/chat")]
    async fn chat(conversation: ConversationContext) -> ember::Result<TokenStream> {
        conversation.stream("Hi").await
    }

    pub(super) fn app() -> ember::Ember {
        ember::app!()
    }
}

mod tools_of_a_route {
    use ember::prelude::*;

    mod a {
        #[ember::tool]
        pub(super) async fn look() -> u8 {
            1
        }
    }

    mod b {
        #[ember::tool(name = "look")]
        pub(super) async fn look_again() -> u8 {
            2
        }
    }

    #[ai_route("/look", tools = [a::look, b::look_again])]
    async fn chat(conversation: ConversationContext) -> ember::Result<TokenStream> {
        conversation.stream("Hi").await
    }

    pub(super) fn app() -> ember::Ember {
        ember::app!()
    }
}

mod fine {
    use ember::prelude::*;

    #[get("/fine")]
    async fn fine() -> &'static str {
        "fine"
    }
}

fn no_env() -> Env {
    Env::of::<String, String>([])
}

fn messages(error: &LaunchError) -> Vec<&str> {
    error.findings().iter().map(|finding| finding.message.as_str()).collect()
}

#[test]
fn every_problem_is_found_at_once() {
    let app = conflicting::app()
        .env(no_env())
        .component(7_u8)
        .component(8_u8)
        .route(Route::get("bad", || async {}));
    let error = app.include("no::such::module").build().unwrap_err();
    let text = error.to_string();
    for part in [
        "8 problems",
        "two routes answer to GET /tasks/{}",
        "`task` (tests/it/launch.rs:",
        "`task_by_name` (tests/it/launch.rs:",
        "no component of type `it::launch::conflicting::Db` is provided",
        "no component of type `it::launch::conflicting::Cache` is provided",
        "2 items claim the tool `twice`",
        "two components of type `u8`",
        "`bad` is no path of a route: it does not start with `/`",
        "nothing is annotated in the module `no::such::module`",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    let provider = messages(&error)
        .into_iter()
        .filter(|message| message.contains("no model can be asked"))
        .count();
    assert_eq!(provider, 1, "{text}");
}

#[test]
fn a_missing_component_names_each_route_that_needs_it() {
    let error = conflicting::app().env(no_env()).build().unwrap_err();
    let places = |name: &str| {
        let finding =
            error.findings().iter().find(|finding| finding.message.contains(name)).unwrap();
        finding.places.len()
    };
    assert_eq!((places("::Db`"), places("::Cache`")), (2, 1));
}

#[test]
fn two_tools_of_a_route_must_differ() {
    let app = tools_of_a_route::app().client(Client::new(FakeProvider::new()));
    let text = app.build().unwrap_err().to_string();
    assert!(text.contains("a route has two tools of the name `look`"), "{text}");
    assert!(text.matches("tests/it/launch.rs").count() >= 3, "{text}");
}

#[test]
fn the_provider_in_use_is_checked() {
    let with = |pairs: &[(&str, &str)]| {
        let app = Ember::new().env(Env::of(pairs.iter().copied()));
        let chat = |client: Client| async move { client.provider().to_owned() };
        app.route(Route::get("/provider", chat)).build()
    };
    assert!(with(&[("LLM_PROVIDER", "fake")]).is_ok());
    assert!(with(&[("OPENAI_API_KEY", "sk-x")]).is_ok());
    let unknown = with(&[("LLM_PROVIDER", "opnai")]).unwrap_err();
    assert!(messages(&unknown)[0].contains("there is no provider `opnai`; did you mean `openai`?"));
    let keyless = with(&[]).unwrap_err();
    assert!(messages(&keyless)[0].contains("set OPENAI_API_KEY"));
    assert!(Ember::new().env(no_env()).build().is_ok(), "without AI routes no provider is needed");
}

mod models_of_routes {
    use ember::prelude::*;

    #[ai_route("/any")]
    pub(super) async fn any(conversation: ConversationContext) -> ember::Result<TokenStream> {
        conversation.stream("Hi").await
    }

    #[ai_route("/own", model = "llama3.2")]
    async fn own(conversation: ConversationContext) -> ember::Result<TokenStream> {
        conversation.stream("Hi").await
    }

    #[ai_route("/each")]
    async fn each(client: Client) -> ember::Result<String> {
        Ok(client.prompt("Hi").model("llama3.2").text().await?)
    }

    pub(super) fn app() -> ember::Ember {
        ember::app!()
    }
}

#[test]
fn a_conversation_needs_a_model_that_somebody_names() {
    let with = |pairs: &[(&str, &str)]| {
        models_of_routes::app().env(Env::of(pairs.iter().copied())).build()
    };
    let error = with(&[("LLM_PROVIDER", "ollama")]).unwrap_err();
    let findings = error.findings();
    assert_eq!(
        messages(&error),
        [
            "`ollama` has no default model: set OLLAMA_MODEL, or name one by `model = \"…\"` on the route"
        ]
    );
    assert_eq!(findings[0].places.len(), 1, "{error}");
    assert!(findings[0].places[0].starts_with("`any` (tests/it/launch.rs:"), "{error}");
    assert!(with(&[("LLM_PROVIDER", "ollama"), ("OLLAMA_MODEL", "qwen3")]).is_ok());
    assert!(with(&[("LLM_PROVIDER", "llamacpp")]).is_ok(), "it has a default");
    assert!(with(&[("LLM_PROVIDER", "fake")]).is_ok());
}

mod by_type {
    use ember::llm::Sessions;
    use ember::prelude::*;

    struct Named(String);

    #[component]
    async fn named(client: Client) -> Named {
        Named(client.provider().to_owned())
    }

    #[get("/providers")]
    async fn providers(
        client: Component<Client>,
        named: Component<Named>,
        _: Component<Sessions>,
    ) -> String {
        format!("{} {}", client.provider(), named.0.0)
    }

    pub(super) fn app() -> Ember {
        ember::app!().env(ember::Env::of([("LLM_PROVIDER", "fake")]))
    }
}

#[ember::test]
async fn what_an_application_makes_by_itself_is_a_component_as_well() {
    let client = TestClient::start(by_type::app()).await.unwrap();
    assert_eq!(client.app().provider(), Some("fake (fake)"));
    assert_eq!(client.get("/providers").send().await.text().await, "fake fake");
}

#[test]
fn a_module_is_a_scope() {
    let app = conflicting::app().env(no_env()).include("it::launch::fine");
    let error = app.build().unwrap_err();
    assert!(!messages(&error).iter().any(|message| message.contains("nothing is annotated")));
    let fine = Ember::in_module("it::launch::fine").build().unwrap();
    let names: Vec<_> =
        fine.site().state().routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(names, ["fine"]);
    assert!(fine.route_table().starts_with("GET  /fine  fine  tests/it/launch.rs:"));
}

mod like_a_prefix {
    use ember::prelude::*;

    ember::blueprint! { prefix = "/shop/{tenant}" }

    #[post("/")]
    async fn order(tenant: String) -> String {
        tenant
    }

    #[post("/unused")]
    async fn unused(_tenant: String) {}

    #[get("/whole")]
    async fn whole(tenant: Path<String>) -> String {
        tenant.0
    }

    #[get("/headers")]
    async fn headers(headers: HeaderMap) -> String {
        headers.len().to_string()
    }

    pub(super) fn app() -> ember::Ember {
        ember::app!()
    }
}

#[test]
fn an_argument_that_a_prefix_would_not_fill_is_told() {
    let error = like_a_prefix::app().build().unwrap_err();
    let found: Vec<_> = error.findings().iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 2, "{error}");
    assert!(
        found[0].starts_with(
            "the argument `tenant` has the name of a parameter of `/shop/{tenant}` and"
        )
    );
    assert!(found[0].contains("at `order` (tests/it/launch.rs:"), "{error}");
    assert!(found[1].starts_with(
        "the argument `_tenant` has the name of a parameter of `/shop/{tenant}/unused` and"
    ));
}

mod misfits {
    use ember::Error;
    use ember::prelude::*;
    use serde::Deserialize;

    ember::blueprint! { prefix = "/shop/{tenant}" }

    #[derive(Deserialize)]
    struct Place {
        tenant: String,
        city: String,
        #[serde(default)]
        page: u32,
    }

    #[get("/pair")]
    async fn pair(Path((tenant, id)): Path<(String, u64)>) -> String {
        format!("{tenant} {id}")
    }

    #[get("/place")]
    async fn nowhere(Path(place): Path<Place>) -> String {
        format!("{} {} {}", place.tenant, place.city, place.page)
    }

    #[get("/{city}/place")]
    async fn fine(Path(place): Path<Place>) -> String {
        format!("{} {} {}", place.tenant, place.city, place.page)
    }

    #[get("/seen")]
    async fn seen(place: Result<Path<Place>>) -> String {
        place.is_ok().to_string()
    }

    #[catch(409)]
    async fn perhaps_never(_: &Error, Path(id): Path<(u64, u64)>) -> String {
        format!("{id:?}")
    }

    pub(super) fn app() -> ember::Ember {
        ember::app!()
    }
}

#[test]
fn a_path_that_asks_for_what_is_not_there_is_told() {
    let by_hand = |Path((a, b)): Path<(u64, u64)>| async move { format!("{a} {b}") };
    let app = misfits::app().route(Route::get("/by/{hand}", by_hand));
    let error = app.build().unwrap_err();
    assert_eq!(error.findings().len(), 3, "{error}");
    for (part, place) in [
        ("`/shop/{tenant}/pair` does not have: 2 values are wanted", "`pair`"),
        (
            "`/shop/{tenant}/place` does not have: the path of the route has no parameter `city`",
            "`nowhere`",
        ),
        ("`/by/{hand}` does not have: 2 values are wanted", "`"),
    ] {
        let found = error.findings().iter().find(|finding| finding.message.contains(part));
        assert!(found.is_some_and(|found| found.places[0].contains(place)), "{part}:\n{error}");
    }
}
