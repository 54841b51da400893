//! Blueprints, hosts, names: which address leads to which route, and with what around it.

use ember::prelude::*;
use ember::testing::TestClient;
use ember::web::Route;

async fn mark(name: &'static str, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().append("x-mark", HeaderValue::from_static(name));
    response
}

#[middleware(scope = app)]
async fn everywhere(request: Request, next: Next) -> Response {
    mark("app", request, next).await
}

#[get("/", host = "api.example.com")]
async fn api_index() -> &'static str {
    "api"
}

#[get("/", hosts = ["*.example.com"])]
async fn tenant_index() -> &'static str {
    "tenant"
}

#[get("/")]
async fn index() -> &'static str {
    "index"
}

#[post("/", host = "api.example.com")]
async fn api_post() -> &'static str {
    "posted"
}

#[get("/links")]
async fn links(urls: Urls) -> Result<Json<Vec<String>>> {
    Ok(Json(vec![
        url_for!(urls, "task", id = 7)?,
        url_for!(urls, "task", id = "a b/c")?,
        url_for!(urls, "file", path = "x/y z.txt")?,
        url_for!(urls, "index").unwrap_or_default(),
        url_for!(urls, "match", r#type = "x")?,
    ]))
}

#[get("/match/{type}")]
async fn r#match(r#type: String) -> String {
    r#type
}

#[get("/files/{*path}")]
async fn file(path: String) -> String {
    path
}

mod shop {
    use super::mark;
    use ember::prelude::*;

    blueprint! { prefix = "/shop/{tenant}", tags = ["shop"], middleware = [outer] }

    async fn outer(request: Request, next: Next) -> Response {
        mark("outer", request, next).await
    }

    #[middleware(scope = blueprint)]
    async fn by_itself(request: Request, next: Next) -> Response {
        mark("itself", request, next).await
    }

    #[get("/")]
    async fn front(Path(tenant): Path<String>) -> String {
        tenant
    }

    pub mod tasks {
        use super::mark;
        use ember::prelude::*;

        blueprint! { prefix = "/tasks", tags = ["tasks"], middleware = [inner] }

        async fn inner(request: Request, next: Next) -> Response {
            mark("inner", request, next).await
        }

        async fn own(request: Request, next: Next) -> Response {
            mark("own", request, next).await
        }

        #[get("/{id}", name = "task_of_shop", tags = ["one"], middleware = [own])]
        async fn one(id: u32, request: Request) -> Result<String> {
            let tenant = request.param("tenant")?.unwrap_or_default().into_owned();
            Ok(format!("{tenant} {id}"))
        }
    }
}

#[get("/tasks/{id}", name = "task")]
async fn show(id: String) -> String {
    id
}

fn client() -> TestClient {
    TestClient::new(ember::app!().build().unwrap())
}

async fn text(client: &TestClient, host: &str, path: &str) -> String {
    client.get(path).header("host", host).send().await.text().await
}

fn marks(response: &ember::testing::TestResponse) -> Vec<&str> {
    let marks = response.headers().get_all("x-mark").iter();
    marks.map(|mark| mark.to_str().unwrap()).collect()
}

#[tokio::test]
async fn prefixes_and_options_follow_the_modules() {
    let client = client();
    let response = client.get("/shop/acme/tasks/7").send().await;
    assert_eq!(response.status(), 200);
    assert_eq!(marks(&response), ["own", "inner", "outer", "itself", "app"]);
    assert_eq!(response.text().await, "acme 7");
    let response = client.get("/shop/acme").send().await;
    assert_eq!(marks(&response), ["outer", "itself", "app"]);
    assert_eq!(response.text().await, "acme");
    assert_eq!(client.get("/shop/acme/").send().await.status(), 404);
    let routes = &client.app().site().state().routes;
    let task = routes.iter().find(|route| route.name == "task_of_shop").unwrap();
    assert_eq!(task.path, "/shop/{tenant}/tasks/{id}");
    assert_eq!(task.notes.tags, ["shop", "tasks", "one"]);
}

#[tokio::test]
async fn middleware_of_the_app_runs_where_no_route_is() {
    let response = client().get("/nowhere").send().await;
    assert_eq!((response.status().as_u16(), marks(&response)), (404, vec!["app"]));
}

#[tokio::test]
async fn a_host_has_routes_of_its_own() {
    let client = client();
    assert_eq!(text(&client, "api.example.com", "/").await, "api");
    assert_eq!(text(&client, "API.example.com:8000", "/").await, "api");
    assert_eq!(text(&client, "acme.example.com", "/").await, "tenant");
    assert_eq!(text(&client, "example.com", "/").await, "index");
    assert_eq!(text(&client, "api.example.com", "/tasks/3").await, "3");
    let posted = client.post("/").header("host", "api.example.com").send().await;
    assert_eq!(posted.text().await, "posted");
    assert_eq!(client.post("/").header("host", "elsewhere").send().await.status(), 405);
}

#[tokio::test]
async fn addresses_are_made_of_names() {
    let links: Vec<String> = client().get("/links").send().await.json().await;
    assert_eq!(links, ["/tasks/7", "/tasks/a%20b%2Fc", "/files/x/y%20z.txt", "/", "/match/x"]);
}

#[test]
fn wrong_names_and_parameters_are_told() {
    let ready = ember::app!().build().unwrap();
    let urls = ready.urls();
    let error = |outcome: Result<String>| outcome.unwrap_err().to_string();
    assert!(error(url_for!(urls, "taks")).contains("is `task` meant?"));
    assert!(error(url_for!(urls, "task")).contains("needs its parameter `id`"));
    assert!(error(url_for!(urls, "task", id = 1, page = 2)).contains("no parameter `page`"));
    assert!(error(url_for!(urls, "task", id = "")).contains("empty"));
    for (name, value) in [("task", "."), ("task", ".."), ("file", "a/../b"), ("file", "..")] {
        let url = urls.url_for(name, &[(if name == "task" { "id" } else { "path" }, &value)]);
        assert!(error(url).contains("another path"), "{value}");
    }
    let all = Ember::new().route(Route::get("/{*path}", async || "all").name("all"));
    let all = all.build().unwrap();
    assert_eq!(url_for!(all.urls(), "all", path = "a//b").unwrap(), "/a//b");
    assert!(error(url_for!(all.urls(), "all", path = "/elsewhere.test")).contains("another host"));
    assert_eq!(url_for!(urls, "task", id = "../x").unwrap(), "/tasks/..%2Fx");
    assert_eq!(url_for!(urls, "file", path = "...").unwrap(), "/files/...");
}

#[test]
fn blueprints_by_hand_nest() {
    async fn hello() -> &'static str {
        "hello"
    }
    let inner = Blueprint::new("/b").route(Route::get("/c", hello).name("inner"));
    let app = Ember::new().blueprint(Blueprint::new("/a").tags(["x"]).blueprint(inner));
    let ready = app.build().unwrap();
    assert_eq!(url_for!(ready.urls(), "inner").unwrap(), "/a/b/c");
    assert_eq!(ready.site().state().routes[0].notes.tags, ["x"]);
}

#[test]
fn what_contradicts_itself_is_found_at_the_start() {
    async fn hello() -> &'static str {
        "hello"
    }
    let route = |path: &str| Route::get(path, hello);
    let app = Ember::new()
        .route(route("/a").name("same"))
        .route(route("/b").name("same"))
        .route(route("/c").host("no host"))
        .blueprint(Blueprint::new("/end/").route(route("/d")));
    let text = app.build().unwrap_err().to_string();
    for part in [
        "two routes have the name `same`",
        "`no host` is no host: that is a name alone",
        "empty segment",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

mod limited {
    use ember::prelude::*;

    blueprint! { prefix = "/limited", limits = RouteLimits::new().max_body_size(4).timeout(millis(200)) }

    #[post("/small")]
    async fn small(body: String) -> String {
        body
    }

    #[post("/large", limits = RouteLimits::new().max_body_size(8 << 20).in_memory_threshold(8).timeout(secs(30)))]
    async fn large(body: BufferedBody) -> String {
        format!("{} {}", body.len(), body.is_in_memory())
    }

    #[get("/slow")]
    async fn slow() {
        std::future::pending().await
    }
}

#[tokio::test]
async fn limits_are_those_of_the_route_and_then_of_its_blueprint() {
    let client = client();
    let post = |path: &str, bytes: usize| client.post(path).body(vec![b'x'; bytes]).send();
    assert_eq!(post("/limited/small", 4).await.status(), 200);
    assert_eq!(post("/limited/small", 5).await.status(), 413);
    assert_eq!(post("/limited/large", 8).await.text().await, "8 true");
    let large = post("/limited/large", 3 << 20).await;
    assert_eq!(large.text().await, "3145728 false", "the route allows more than the application");
    assert_eq!(client.get("/limited/slow").send().await.status(), 503);
}
