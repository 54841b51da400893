use ember::http::Method;
use ember::prelude::*;
use ember::testing::{TestClient, TestResponse};
use ember::web::middleware::{Compression, StaticFiles};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A folder `root` with files, beside one that nobody may read.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("secret.txt", "a secret");
    write("root/index.html", "<p>home</p>");
    write("root/hello.txt", "0123456789");
    write("root/empty.txt", "");
    write("root/a b.json", "{}");
    write("root/docs/index.html", "<p>docs</p>");
    write("root/docs/.hidden/x.txt", "hidden");
    write("root/.env", "KEY=1");
    write("root/bare/x.txt", "x");
    write("root/app.js", "plain");
    write("root/app.js.gz", "gzipped");
    write("root/app.js.br", "brotli");
    folder
}

fn root(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("root")
}

fn client_of(files: impl Into<StaticFiles>) -> TestClient {
    TestClient::new(Ember::new().files("/static", files).build().unwrap())
}

async fn get(client: &TestClient, target: &str, headers: &[(&str, &str)]) -> TestResponse {
    let request = client.get(target);
    headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send().await
}

#[tokio::test]
async fn files_are_served_with_type_length_and_validators() {
    let folder = folder();
    let client = client_of(root(&folder));
    for (target, media_type, text) in [
        ("/static/hello.txt", "text/plain", "0123456789"),
        ("/static/a%20b.json", "application/json", "{}"),
        ("/static/docs/", "text/html", "<p>docs</p>"),
        ("/static/", "text/html", "<p>home</p>"),
        ("/static", "text/html", "<p>home</p>"),
        ("/static/empty.txt", "text/plain", ""),
        ("/static/app.js?v=1", "text/javascript", "plain"),
    ] {
        let response = get(&client, target, &[("accept-encoding", "gzip")]).await;
        assert_eq!(response.status(), 200, "{target}");
        assert_eq!(response.header("content-type"), Some(media_type));
        assert_eq!(response.header("content-length"), Some(text.len().to_string().as_str()));
        assert_eq!(response.header("accept-ranges"), Some("bytes"));
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        assert!(response.header("last-modified").is_some());
        let tag = response.header("etag").unwrap();
        assert!(tag.starts_with('"') && tag.ends_with(&format!("-{:x}\"", text.len())), "{tag}");
        let head = client.head(target).send().await;
        assert_eq!(head.header("etag"), Some(tag));
        assert_eq!(head.header("content-length"), response.header("content-length"));
        assert!(head.bytes().await.is_empty());
        assert_eq!(response.text().await, text);
    }
}

#[tokio::test]
async fn a_folder_is_asked_for_with_a_slash() {
    let folder = folder();
    let client = client_of(root(&folder));
    let response = get(&client, "/static/docs?a=b", &[]).await;
    assert_eq!(response.status(), 308);
    assert_eq!(response.header("location"), Some("/static/docs/?a=b"));
    assert_eq!(get(&client, "/static/bare/", &[]).await.status(), 404, "nothing is listed");
    assert_eq!(get(&client, "/static/bare", &[]).await.status(), 404);
    let without = client_of(StaticFiles::new(root(&folder)).without_index());
    assert_eq!(get(&without, "/static/docs/", &[]).await.status(), 404);
}

#[tokio::test]
async fn nothing_leads_out_of_the_folder() {
    let folder = folder();
    let client = client_of(root(&folder));
    for path in [
        "../secret.txt",
        "%2e%2e/secret.txt",
        "..%2fsecret.txt",
        "%2e%2e%2fsecret.txt",
        "docs/../../secret.txt",
        "..%5csecret.txt",
        "%2e%2e%5csecret.txt",
        "/secret.txt",
        "//etc/passwd",
        "/etc/passwd",
        "%2fetc/passwd",
        "%252e%252e/secret.txt",
        "hello.txt%00.html",
        "./hello.txt",
        "docs//index.html",
        "hello.txt/",
        "hello.txt/x",
        "%ff",
        "nothing",
        "%0a",
    ] {
        let response = get(&client, &format!("/static/{path}"), &[]).await;
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(response.header("content-type"), Some("application/problem+json"));
    }
    let long = format!("/static/{}", "x".repeat(5000));
    assert_eq!(get(&client, &long, &[]).await.status(), 404);
}

#[tokio::test]
async fn hidden_files_are_served_only_on_request() {
    let folder = folder();
    let closed = client_of(root(&folder));
    for path in ["/static/.env", "/static/%2eenv", "/static/docs/.hidden/x.txt"] {
        assert_eq!(get(&closed, path, &[]).await.status(), 404, "{path}");
    }
    let open = client_of(StaticFiles::new(root(&folder)).hidden_files());
    assert_eq!(get(&open, "/static/.env", &[]).await.text().await, "KEY=1");
    assert_eq!(get(&open, "/static/../secret.txt", &[]).await.status(), 404);
}

#[cfg(unix)]
#[tokio::test]
async fn links_stay_within_the_folder() {
    use std::os::unix::fs::symlink;
    let folder = folder();
    let link = |to: &Path, name: &str| symlink(to, root(&folder).join(name)).unwrap();
    link(&folder.path().join("secret.txt"), "out.txt");
    link(folder.path(), "up");
    link(Path::new("hello.txt"), "in.txt");
    link(&folder.path().join("secret.txt"), "hello.txt.gz");
    let files = StaticFiles::new(root(&folder)).precompressed();
    let closed = client_of(files.clone());
    for path in ["/static/out.txt", "/static/up/secret.txt"] {
        assert_eq!(get(&closed, path, &[]).await.status(), 404, "{path}");
    }
    assert_eq!(get(&closed, "/static/in.txt", &[]).await.text().await, "0123456789");
    let compressed = get(&closed, "/static/hello.txt", &[("accept-encoding", "gzip")]).await;
    assert_eq!(compressed.text().await, "0123456789");
    let open = client_of(files.links_anywhere());
    assert_eq!(get(&open, "/static/out.txt", &[]).await.text().await, "a secret");
}

#[tokio::test]
async fn methods_other_than_get_and_head_are_refused() {
    let folder = folder();
    let client = client_of(root(&folder));
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let response = client.request(method, "/static/hello.txt").send().await;
        assert_eq!(
            (response.status().as_u16(), response.header("allow")),
            (405, Some("GET, HEAD, OPTIONS"))
        );
    }
    let options = client.options("/static/hello.txt").send().await;
    assert_eq!(
        (options.status().as_u16(), options.header("allow")),
        (204, Some("GET, HEAD, OPTIONS"))
    );
}

#[tokio::test]
async fn conditional_requests_save_the_body() {
    let folder = folder();
    let client = client_of(StaticFiles::new(root(&folder)).cache_control("max-age=60"));
    let target = "/static/hello.txt";
    let first = get(&client, target, &[]).await;
    let (tag, modified) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    let weak = format!("\"x\", W/{tag}");
    for condition in [
        ("if-none-match", tag),
        ("if-none-match", &weak),
        ("if-none-match", "*"),
        ("if-modified-since", modified),
    ] {
        let response = get(&client, target, &[condition]).await;
        assert_eq!(response.status(), 304, "{condition:?}");
        assert_eq!(response.header("etag"), Some(tag));
        assert_eq!(response.header("cache-control"), Some("max-age=60"));
        assert_eq!(response.header("content-type"), None);
        assert!(response.bytes().await.is_empty());
    }
    let newer = [("if-none-match", "\"x\""), ("if-modified-since", modified)];
    assert_eq!(get(&client, target, &newer).await.status(), 200);
    let failed = get(&client, target, &[("if-match", "\"x\"")]).await;
    assert_eq!(failed.status(), 412);
    assert_eq!(failed.json::<Value>().await["status"], 412);
    assert_eq!(get(&client, target, &[("if-match", tag)]).await.status(), 200);
    let old = [("if-unmodified-since", "Thu, 01 Jan 1970 00:01:00 GMT")];
    assert_eq!(get(&client, target, &old).await.status(), 412);
    fs::write(root(&folder).join("hello.txt"), "another text").unwrap();
    let changed = get(&client, target, &[("if-none-match", tag)]).await;
    assert_eq!(changed.text().await, "another text");
}

#[tokio::test]
async fn a_range_is_sent_on_its_own() {
    let folder = folder();
    let client = client_of(root(&folder));
    let target = "/static/hello.txt";
    for (range, text, told) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
    ] {
        let response = get(&client, target, &[("range", range)]).await;
        assert_eq!(response.status(), 206, "{range}");
        assert_eq!(response.header("content-range"), Some(told));
        assert!(response.header("etag").is_some());
        assert_eq!(response.text().await, text);
    }
    let beyond = get(&client, target, &[("range", "bytes=10-")]).await;
    assert_eq!(
        (beyond.status().as_u16(), beyond.header("content-range")),
        (416, Some("bytes */10"))
    );
    assert_eq!(beyond.json::<Value>().await["status"], 416);
    for range in ["bytes=0-1,3-4", "items=0-1", "bytes=9-1", "nonsense"] {
        let response = get(&client, target, &[("range", range)]).await;
        assert_eq!((response.status().as_u16(), response.text().await.len()), (200, 10), "{range}");
    }
    let head = client.head(target).header("range", "bytes=0-3").send().await;
    assert_eq!((head.status().as_u16(), head.header("content-length")), (200, Some("10")));
}

mod caught {
    use ember::prelude::*;

    #[catch]
    async fn anything(error: &Error) -> String {
        format!("caught: {}", error.message())
    }

    pub(super) fn app() -> Ember {
        ember::app!()
    }
}

#[tokio::test]
async fn a_catcher_answers_with_the_status_of_a_refusal() {
    let folder = folder();
    let client = TestClient::new(caught::app().files("/static", root(&folder)).build().unwrap());
    let beyond = get(&client, "/static/hello.txt", &[("range", "bytes=10-")]).await;
    assert_eq!(
        (beyond.status().as_u16(), beyond.header("content-range")),
        (416, Some("bytes */10"))
    );
    assert_eq!(beyond.text().await, "caught: The range lies beyond the end of the file.");
    let failed = get(&client, "/static/hello.txt", &[("if-match", "\"x\"")]).await;
    assert_eq!(failed.status(), 412);
    assert_eq!(failed.text().await, "caught: The file has changed.");
}

#[tokio::test]
async fn a_range_of_another_version_is_not_sent() {
    let folder = folder();
    let client = client_of(root(&folder));
    let target = "/static/hello.txt";
    let first = get(&client, target, &[]).await;
    let (tag, modified) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    let weak = format!("W/{tag}");
    for (version, status) in [
        (tag, 206),
        (modified, 206),
        (&*weak, 200),
        ("\"x\"", 200),
        ("Thu, 01 Jan 1970 00:01:00 GMT", 200),
    ] {
        let headers = [("range", "bytes=0-3"), ("if-range", version)];
        assert_eq!(get(&client, target, &headers).await.status(), status, "{version}");
    }
}

#[tokio::test]
async fn compressed_variants_are_versions_of_their_own() {
    let folder = folder();
    let client = client_of(StaticFiles::new(root(&folder)).precompressed());
    let mut tags = Vec::new();
    for (accepted, coding, text) in [
        ("gzip", Some("gzip"), "gzipped"),
        ("gzip, br", Some("br"), "brotli"),
        ("zstd", None, "plain"),
    ] {
        let response = get(&client, "/static/app.js", &[("accept-encoding", accepted)]).await;
        assert_eq!(response.header("content-encoding"), coding);
        assert_eq!(response.header("content-type"), Some("text/javascript"));
        assert_eq!(response.header("vary"), Some("accept-encoding"));
        tags.push(response.header("etag").unwrap().to_owned());
        assert_eq!(response.text().await, text);
    }
    tags.dedup();
    assert_eq!(tags.len(), 3);
    let headers = [("accept-encoding", "gzip"), ("range", "bytes=0-1"), ("if-range", &*tags[0])];
    let part = get(&client, "/static/app.js", &headers).await;
    assert_eq!((part.status().as_u16(), part.text().await.as_str()), (206, "gz"));
}

#[tokio::test]
async fn what_is_not_found_may_fall_back_to_a_page() {
    let folder = folder();
    let app = Ember::new()
        .route(ember::web::Route::get("/api/x", || async { "api" }))
        .files("/", StaticFiles::new(root(&folder)).fallback("index.html"))
        .middleware(Compression::new().min_size(1));
    let client = TestClient::new(app.build().unwrap());
    assert_eq!(get(&client, "/tasks/7", &[]).await.text().await, "<p>home</p>");
    assert_eq!(get(&client, "/../secret.txt", &[]).await.text().await, "<p>home</p>");
    assert_eq!(get(&client, "/hello.txt", &[]).await.text().await, "0123456789");
    assert_eq!(get(&client, "/api/x", &[]).await.text().await, "api");
    let compressed = get(&client, "/hello.txt", &[("accept-encoding", "gzip")]).await;
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    assert!(compressed.header("etag").unwrap().starts_with("W/"));
}

#[test]
fn a_folder_that_is_not_there_keeps_the_application_from_starting() {
    let folder = folder();
    let check =
        |files: StaticFiles| Ember::new().files("/", files).build().unwrap_err().to_string();
    assert!(check("no/such/folder".into()).contains("there is no folder `no/such/folder`"));
    assert!(check(StaticFiles::new(root(&folder)).fallback("x.html")).contains("no file `x.html`"));
    assert!(check(StaticFiles::new(root(&folder)).cache_control("a\nb")).contains("Cache-Control"));
}
