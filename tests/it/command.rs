//! Whole programs: their command line, what they print, and how they end.

use ember_tests::Program;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

const SOUND: &str = env!("CARGO_BIN_EXE_sound");
const BROKEN: &str = env!("CARGO_BIN_EXE_broken");

/// A program without any setting of the machine that runs the tests.
fn program(path: &str) -> Command {
    let mut command = Command::new(path);
    for name in [
        "LLM_PROVIDER",
        "OPENAI_API_KEY",
        "EMBER_HOST",
        "EMBER_PORT",
        "EMBER_TLS_CERT",
        "EMBER_TLS_KEY",
        "EMBER_WORKERS",
        "EMBER_LOG",
        "EMBER_STORE",
    ] {
        command.env_remove(name);
    }
    command.env("RUST_BACKTRACE", "0");
    command
}

fn run(path: &str, arguments: &[&str]) -> (bool, String, String) {
    let Output { status, stdout, stderr } = program(path).args(arguments).output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_program_describes_itself() {
    let (ok, routes, _) = run(SOUND, &["routes"]);
    assert!(ok);
    let lines: Vec<_> = routes.lines().collect();
    assert_eq!(lines.len(), 3, "{routes}");
    assert!(lines[0].starts_with("GET   /hello  hello  tests/apps/sound.rs:"), "{routes}");
    let (ok, tools, _) = run(SOUND, &["tools"]);
    assert!(ok);
    let tools: serde_json::Value = serde_json::from_str(&tools).unwrap();
    assert_eq!(tools[0]["function"]["parameters"]["properties"]["a"]["description"], "The first.");
    let (ok, tools, _) = run(SOUND, &["tools", "--format", "anthropic"]);
    assert!(ok && tools.contains("input_schema"));
    let (ok, document, _) = run(SOUND, &["openapi"]);
    assert!(ok);
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["info"]["title"], "ember-tests");
    assert_eq!(document["paths"].as_object().unwrap().len(), 3);
    let (ok, check, _) = run(SOUND, &["check"]);
    assert!(
        ok && check.contains("no problem was found: 3 routes, 1 tool")
            && check.contains("provider: fake")
    );
    let (ok, help, _) = run(SOUND, &["--help"]);
    assert!(ok && help.contains("routes") && help.contains("EMBER_PORT"));
}

#[test]
fn a_problem_is_a_failure_with_all_its_places() {
    for arguments in [&["check"][..], &[], &["routes"]] {
        let (ok, _, errors) = run(BROKEN, arguments);
        assert!(!ok);
        for part in [
            "the application cannot start: 2 problems",
            "two routes answer to GET /tasks/{}",
            "`task` (tests/apps/broken.rs:8)",
            "`task_by_name` (tests/apps/broken.rs:13)",
            "no component of type `broken::Db` is provided",
        ] {
            assert!(errors.contains(part), "{part} is missing: {errors}");
        }
    }
    assert!(run(BROKEN, &["routes"]).1.contains("/tasks/{name}"), "what can be printed is printed");
    assert!(run(BROKEN, &["openapi"]).1.contains("\"/tasks/{id}\""));
    let (ok, _, errors) = run(SOUND, &["rotues"]);
    assert!(!ok && errors.contains("`rotues` is no command"));
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = program(SOUND).env("EMBER_PORT", &port).output().unwrap();
    assert!(!output.status.success());
    let errors = String::from_utf8(output.stderr).unwrap();
    let told =
        format!("127.0.0.1:{port} cannot be listened on: somebody else does; choose another port");
    assert!(errors.contains(&told), "{errors}");
    assert!(!errors.contains("EMBER_LOG"), "{errors}");
}

#[test]
fn an_address_that_this_machine_lacks_is_told_so() {
    // An address of documentation (RFC 5737) is nobody's.
    let output = program(SOUND).env("EMBER_HOST", "192.0.2.1").env("EMBER_PORT", "0").output();
    let errors = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(
        errors.contains("192.0.2.1:0 cannot be listened on: this machine has no such"),
        "{errors}"
    );
}

#[test]
fn a_level_of_the_log_that_there_is_not_is_told_once() {
    let told = "EMBER_LOG is `loud`, which is none of off, error, warn, info, debug and trace";
    let check = program(SOUND).arg("check").env("EMBER_LOG", "loud").output().unwrap();
    let printed = String::from_utf8(check.stdout).unwrap();
    assert!(check.status.success() && printed.contains(&format!("note: {told}")), "{printed}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let start = program(SOUND).env("EMBER_LOG", "loud").env("EMBER_PORT", port).output().unwrap();
    let errors = String::from_utf8(start.stderr).unwrap();
    assert_eq!(errors.matches("EMBER_LOG is").count(), 1, "{errors}");
}

/// The sound program, as it serves.
fn serve() -> Program {
    Program::start(program(SOUND).env("EMBER_WORKERS", "2"))
}

#[cfg(unix)]
fn send_signal(program: &Program, name: &str) {
    let status =
        Command::new("kill").args([&format!("-{name}"), &program.id().to_string()]).status();
    assert!(status.unwrap().success());
}

/// Begins to read an answer that is streamed.
#[cfg(unix)]
fn begin_chat(serving: &Program) -> TcpStream {
    let mut stream = serving.connect();
    stream.write_all(b"POST /chat HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nHi").unwrap();
    let mut begun = [0; 12];
    stream.read_exact(&mut begun).unwrap();
    stream
}

#[cfg(unix)]
#[test]
fn a_signal_lets_requests_finish_and_a_second_one_does_not() {
    for signal in ["INT", "TERM"] {
        let serving = serve();
        let mut socket = serving.connect();
        socket.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        std::thread::sleep(Duration::from_millis(100));
        send_signal(&serving, signal);
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("slow"), "{signal}: {answer}");
        assert!(serving.ended(), "{signal}");
    }
    let serving = serve();
    let _stream = begin_chat(&serving);
    send_signal(&serving, "TERM");
    std::thread::sleep(Duration::from_millis(20));
    send_signal(&serving, "TERM");
    assert!(serving.ended());
}

#[cfg(unix)]
#[test]
fn a_stream_that_can_finish_before_the_deadline_does() {
    let serving = serve();
    let mut stream = begin_chat(&serving);
    send_signal(&serving, "TERM");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("data: three") && rest.contains("data: [DONE]"), "{rest}");
    assert!(serving.ended());
}

#[cfg(unix)]
#[test]
fn a_second_signal_ends_streams_with_a_last_word() {
    let serving = serve();
    let mut stream = begin_chat(&serving);
    send_signal(&serving, "TERM");
    std::thread::sleep(Duration::from_millis(20));
    send_signal(&serving, "TERM");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("event: error\n") && !rest.contains("[DONE]"), "{rest}");
    assert!(rest.ends_with("\r\n0\r\n\r\n"), "{rest}");
    assert!(serving.ended());
}

#[cfg(unix)]
#[test]
fn a_hangup_without_a_terminal_changes_nothing() {
    let serving = serve();
    for _ in 0..3 {
        send_signal(&serving, "HUP");
        let mut socket = serving.connect();
        socket.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        send_signal(&serving, "HUP");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("slow"), "{answer}");
    }
    send_signal(&serving, "TERM");
    assert!(serving.ended());
}

#[cfg(unix)]
#[test]
fn a_program_serves_on_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("ember-it-{}.sock", std::process::id()));
    let place = format!("unix:{}", path.display());
    let serving = Program::start_at(&place, program(SOUND).env("EMBER_WORKERS", "2"));
    assert_eq!(serving.address(), place);
    let mut socket = std::os::unix::net::UnixStream::connect(&path).unwrap();
    socket.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("Hello"), "{answer}");
    let output = program(SOUND).env("EMBER_HOST", &place).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && errors.contains("another process listens on"), "{errors}");
    send_signal(&serving, "TERM");
    assert!(serving.ended());
    assert!(!path.exists(), "the file is removed");
}

#[test]
fn a_certificate_that_cannot_be_used_keeps_a_program_from_starting() {
    for arguments in [&["check"][..], &[]] {
        let mut command = program(SOUND);
        command.env("EMBER_TLS_CERT", "/nowhere/cert.pem").env("EMBER_TLS_KEY", "/nowhere/key.pem");
        let output = command.args(arguments).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        let told = if cfg!(feature = "tls") { "/nowhere/cert.pem cannot be read" } else { "`tls`" };
        assert!(errors.contains(told), "{errors}");
    }
}

#[test]
fn the_page_of_variables_has_every_variable() {
    let page = include_str!("../../ember/src/docs/variables.md");
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../ember/src")];
    let mut found = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let quoted = text.split('"').filter(|text| {
                let is_word = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
                let starts = text.starts_with("EMBER_") || text.starts_with("OTEL_");
                starts && text.bytes().all(is_word)
            });
            for name in quoted {
                found += 1;
                assert!(page.contains(&format!("`{name}`")), "{name} of {}", path.display());
            }
        }
    }
    assert!(found > 20, "{found}");
}

/// What `check` says of a store.
fn check_with(store: &str) -> (bool, String) {
    let output = program(SOUND).arg("check").env("EMBER_STORE", store).output().unwrap();
    let texts = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.success(), texts.concat())
}

#[test]
fn a_wrong_store_is_a_problem_of_the_start() {
    let (ok, text) = check_with("memory");
    assert!(ok && text.contains("store: memory of this process"), "{text}");
    let (ok, text) = check_with("reddis://ann:s3cret@localhost");
    assert!(!ok && text.contains("EMBER_STORE cannot be used"), "{text}");
    assert!(text.contains("did you mean `redis`?") && !text.contains("s3cret"), "{text}");
}

#[cfg(all(feature = "sqlite", feature = "redis", feature = "memcached"))]
#[test]
fn a_check_connects_to_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let (ok, text) = check_with(&format!("sqlite://{}", path.display()));
    assert!(ok && text.contains("store: SQLite 3."), "{text}");
    let (ok, text) = check_with("sqlite:///nowhere/state.db");
    assert!(!ok && text.contains("cannot be opened"), "{text}");
    // Nobody listens on a port that is bound and not listened on.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    drop(taken);
    let (ok, text) = check_with(&format!("redis://:s3cret@127.0.0.1:{port}"));
    assert!(
        !ok && text.contains(&format!("the store redis://127.0.0.1:{port} cannot be used")),
        "{text}"
    );
    assert!(text.contains("Connection refused") && !text.contains("s3cret"), "{text}");
    assert!(text.contains("the application itself has no problem: 3 routes"), "{text}");
    let (ok, text) = check_with("redis://ann:s3cret@localhost:port");
    assert!(!ok && text.contains("one is like `redis://user:password@host"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    // Conversations need what Memcached cannot do.
    let (ok, text) = check_with("memcached://127.0.0.1");
    assert!(!ok && text.contains("conversations cannot be kept in memcached://"), "{text}");
    assert!(text.contains("`Scan`") && text.contains("`Lock`"), "{text}");
    assert!(text.contains("tests/apps/sound.rs"), "{text}");
}

#[cfg(feature = "redis")]
#[test]
fn a_check_says_what_it_found_of_each_cache() {
    let check = |url: &str| {
        let mut command = program(env!("CARGO_BIN_EXE_cached"));
        let output = command.arg("check").env("CACHE_URL", url).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    drop(taken);
    // An application can do without its caches.
    let (ok, text) = check(&format!("redis://:s3cret@127.0.0.1:{port}"));
    let expected = format!("cache: redis://127.0.0.1:{port} cannot be reached");
    assert!(ok && text.matches("cache: ").count() == 1 && text.contains(&expected), "{text}");
    assert!(text.contains("`rates` (tests/apps/cached.rs") && text.contains("`fees`"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    let (ok, text) = check("localhost");
    assert!(!ok && text.contains("a `RedisCache` cannot be used"), "{text}");
    assert!(text.contains("`rates` (tests/apps/cached.rs") && text.contains("`fees`"), "{text}");
}
