//! The tools that Ember brings along.

use ember::Env;
use ember::llm::tool::builtin::{self, HttpGet, ReadFile};
use ember::llm::{Client, FakeProvider, FakeReply, Tool, ToolCall, ToolRegistry};
use ember::prelude::*;
use ember_tests::{Reply, Upstream};
use serde_json::{Value, json};
use std::fs;
use std::net::Ipv4Addr;
use tempfile::TempDir;

/// What the model reads of a call, and whether it is an error.
async fn call(tool: impl Into<Tool>, arguments: Value) -> (String, bool) {
    let tool = tool.into();
    let call = ToolCall::new("c1", tool.name(), arguments.to_string());
    let result = ToolRegistry::of([tool]).unwrap().execute(&call).await;
    (result.content, result.is_error)
}

#[tokio::test]
async fn all_of_them_are_there_and_run_in_the_loop() {
    let names: Vec<_> = builtin::all(".").iter().map(|tool| tool.name().to_owned()).collect();
    assert_eq!(names, ["get_current_time", "http_get", "read_file"]);
    for streamed in [false, true] {
        let fake = FakeProvider::new()
            .reply(FakeReply::new().tool_call("get_current_time", json!({"tz": "Asia/Tokyo"})))
            .text("Late.");
        let client = Client::new(fake.clone()).tools(builtin::all("."));
        let answer = match streamed {
            false => client.complete("When?").await.unwrap(),
            true => client.stream("When?").await.unwrap().collect().await.unwrap(),
        };
        assert_eq!(answer.text(), "Late.");
        let result = format!("{:?}", answer.steps[1]);
        assert!(result.contains("+09:00") && result.contains("Asia/Tokyo"), "{result}");
    }
}

#[tokio::test]
async fn the_time_is_told_in_any_zone() {
    let tool = Tool::from(builtin::get_current_time());
    let schema = tool.parameters().as_value();
    let about = schema["properties"]["tz"]["description"].as_str().unwrap();
    assert!(about.contains("IANA") && about.contains("UTC"), "{about}");
    assert_eq!(schema["required"], json!([]));
    let (utc, failed) = call(tool.clone(), json!({})).await;
    assert!(!failed && utc.contains("+00:00") && utc.ends_with("UTC)"), "{utc}");
    let (kathmandu, _) = call(tool.clone(), json!({"tz": "Asia/Kathmandu"})).await;
    assert!(kathmandu.contains("+05:45"), "{kathmandu}");
    let (unknown, failed) = call(tool.clone(), json!({"tz": "Mars/Base"})).await;
    assert!(failed && unknown.contains("`Mars/Base`"), "{unknown}");
    let (wrong, failed) = call(tool, json!({"zone": "UTC"})).await;
    assert!(failed && wrong.contains("`zone`") && wrong.contains("`tz`"), "{wrong}");
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("root/notes")).unwrap();
    fs::write(folder.path().join("root/notes/today.txt"), "Buy bread.").unwrap();
    fs::write(folder.path().join("secret.txt"), "4711").unwrap();
    folder
}

fn reader(folder: &TempDir) -> ReadFile {
    builtin::read_file(folder.path().join("root"))
}

#[tokio::test]
async fn a_file_is_read() {
    let folder = folder();
    let read = |path: &str| call(reader(&folder), json!({"path": path}));
    assert_eq!(read("notes/today.txt").await, ("Buy bread.".into(), false));
    assert_eq!(read("./notes/../notes/today.txt").await, ("Buy bread.".into(), false));
    assert_eq!(read("notes/gone.txt").await, ("there is no file `notes/gone.txt`".into(), true));
    assert_eq!(read("notes/today.txt/x").await.0, "there is no file `notes/today.txt/x`");
    assert_eq!(read("notes").await, ("`notes` is a directory".into(), true));
    let nowhere = call(builtin::read_file("/no/such/folder"), json!({"path": "a"})).await;
    assert_eq!(nowhere, ("the folder of files is not there".into(), true));
}

#[tokio::test]
async fn nothing_leads_out_of_the_folder() {
    let folder = folder();
    let absolute = folder.path().join("secret.txt").to_string_lossy().into_owned();
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink("../secret.txt", folder.path().join("root/link.txt")).unwrap();
        symlink("..", folder.path().join("root/up")).unwrap();
        symlink("notes/today.txt", folder.path().join("root/inner.txt")).unwrap();
        let inner = call(reader(&folder), json!({"path": "inner.txt"})).await;
        assert_eq!(inner, ("Buy bread.".into(), false));
    }
    let mut ways = vec!["../secret.txt", "notes/../../secret.txt", "../gone.txt", &absolute];
    ways.extend(if cfg!(unix) { &["link.txt", "up/secret.txt"][..] } else { &[] });
    for path in ways {
        let (told, failed) = call(reader(&folder), json!({"path": path})).await;
        assert!(failed && told.contains("is outside the folder"), "{path}: {told}");
    }
}

#[tokio::test]
async fn the_size_of_a_file_is_limited_by_call_then_variable_then_default() {
    let folder = folder();
    fs::write(folder.path().join("root/long.txt"), "x".repeat(ReadFile::DEFAULT_MAX_BYTES + 1))
        .unwrap();
    let env = |bytes: &str| Env::of([("EMBER_FILE_MAX_BYTES", bytes)]);
    let length = |file: ReadFile| async {
        let (text, failed) = call(file, json!({"path": "long.txt"})).await;
        assert!(!failed && text.contains("[cut after "), "{failed}");
        text.bytes().filter(|byte| *byte == b'x').count()
    };
    let none = Env::of::<&str, &str>([]);
    assert_eq!(length(reader(&folder).env(none)).await, ReadFile::DEFAULT_MAX_BYTES);
    assert_eq!(length(reader(&folder).env(env("7"))).await, 7);
    assert_eq!(length(reader(&folder).env(env("many"))).await, ReadFile::DEFAULT_MAX_BYTES);
    assert_eq!(length(reader(&folder).env(env("7")).max_bytes(3)).await, 3);
}

/// The tool, which may reach the service of a test.
fn getter() -> HttpGet {
    builtin::http_get().allow(Ipv4Addr::LOCALHOST).env(Env::of::<&str, &str>([]))
}

async fn page(body: String) -> Upstream {
    Upstream::start(move |_| {
        Reply::status(200).header("content-type", "text/plain").send(body.clone())
    })
    .await
}

#[tokio::test]
async fn a_page_is_fetched() {
    let upstream = page("Hello".into()).await;
    let (text, failed) = call(getter(), json!({"url": upstream.url()})).await;
    assert!(
        !failed && text.starts_with("200 http://127.0.0.1:") && text.ends_with("\n\nHello"),
        "{text}"
    );
    let missing = Upstream::start(|_| Reply::status(404).send("Gone")).await;
    let (text, failed) = call(getter(), json!({"url": missing.url()})).await;
    assert!(!failed && text.starts_with("404 ") && text.ends_with("Gone"), "{text}");
}

#[tokio::test]
async fn only_web_addresses_are_fetched() {
    for url in ["ftp://example.com/a", "file:///etc/passwd", "data:text/plain,x", "gopher://a/"] {
        let (told, failed) = call(builtin::http_get(), json!({"url": url})).await;
        assert!(failed && told.contains("only http and https"), "{told}");
    }
    let (told, failed) = call(builtin::http_get(), json!({"url": "not an address"})).await;
    assert!(failed && told.contains("is no address"), "{told}");
}

#[tokio::test]
async fn what_is_not_public_is_not_reached() {
    let upstream = page("secret".into()).await;
    let port = upstream.url().trim_end_matches("/v1").rsplit(':').next().unwrap().to_owned();
    let hosts = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "10.0.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fc00::1]",
        "224.0.0.1",
        "[::]",
    ];
    for host in hosts {
        let url = format!("http://{host}:{port}/");
        let (told, failed) = call(builtin::http_get(), json!({"url": url})).await;
        assert!(failed && told.contains("is not on the public internet"), "{host}: {told}");
    }
    assert_eq!(upstream.seen().len(), 0);
    // With the allowance the same place is reached: it is the guard that has refused it.
    let (told, failed) = call(getter(), json!({"url": format!("http://127.0.0.1:{port}/")})).await;
    assert!(!failed && told.contains("secret"), "{told}");
}

#[tokio::test]
async fn a_redirect_is_followed_and_checked() {
    let upstream = Upstream::start(|seen| match seen.target.as_str() {
        "GET /start" => Reply::status(302).header("location", "/end"),
        "GET /end" => Reply::status(200).send("There"),
        "GET /inside" => Reply::status(302).header("location", "http://169.254.169.254/latest"),
        "GET /other" => Reply::status(307).header("location", "http://[::1]:1/"),
        "GET /file" => Reply::status(301).header("location", "file:///etc/passwd"),
        _ => Reply::status(302).header("location", "/round"),
    })
    .await;
    let base = upstream.url();
    let base = base.trim_end_matches("/v1").trim_end_matches('/').to_owned();
    let get = |path: &str| call(getter(), json!({"url": format!("{base}{path}")}));
    let (text, failed) = get("/start").await;
    assert!(!failed && text.contains("/end\n\nThere"), "{text}");
    assert!(get("/inside").await.0.contains("`169.254.169.254` is not on the public internet"));
    // The allowance is for one address of this machine, and for no other.
    let (told, failed) = get("/other").await;
    assert!(failed && told.contains("`[::1]` is not on the public internet"), "{told}");
    assert!(get("/file").await.0.contains("only http and https"));
    assert!(get("/round").await.0.contains("more than 5 times"));
}

#[tokio::test]
async fn the_size_of_a_page_is_limited_by_call_then_variable_then_default() {
    let upstream = page("x".repeat(HttpGet::DEFAULT_MAX_BYTES + 1)).await;
    let url = upstream.url();
    let length = |get: HttpGet| async {
        let (text, failed) = call(get, json!({"url": url})).await;
        assert!(!failed && text.contains("[cut after "));
        text.split_once("\n\n").unwrap().1.bytes().filter(|byte| *byte == b'x').count()
    };
    let env = |bytes: &str| Env::of([("EMBER_HTTP_MAX_BYTES", bytes)]);
    assert_eq!(length(getter()).await, HttpGet::DEFAULT_MAX_BYTES);
    assert_eq!(length(getter().env(env("9"))).await, 9);
    assert_eq!(length(getter().env(env("-1"))).await, HttpGet::DEFAULT_MAX_BYTES);
    assert_eq!(length(getter().env(env("9")).max_bytes(4)).await, 4);
}

#[tokio::test]
async fn a_page_that_does_not_come_is_given_up() {
    let upstream = Upstream::start(|_| Reply::silence()).await;
    let env = Env::of([("EMBER_HTTP_TIMEOUT", "0.05")]);
    let (told, failed) = call(getter().env(env.clone()), json!({"url": upstream.url()})).await;
    assert!(failed && told.contains("within 0.05 seconds"), "{told}");
    let (told, _) =
        call(getter().env(env).timeout(millis(20)), json!({"url": upstream.url()})).await;
    assert!(told.contains("within 0.02 seconds"), "{told}");
}
