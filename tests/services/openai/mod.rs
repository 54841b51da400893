//! The official clients of OpenAI against our API, and its answers against the published schemas.
//!
//! The packages are installed by the tests themselves, the newest there are, into the folder of
//! the build; where they cannot be had, the tests are ignored, or fail if they are required.

use super::unavailable;
use ember_tests::{Program, openai_schema};
use libtest_mimic::{Completion, Failed};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The gateway.
struct Gateway(Program);

impl Gateway {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
        Self(Program::start(command.env_remove("EMBER_API_KEYS")))
    }

    /// The body of an answer.
    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut socket = self.0.connect();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nhost: x\r\nauthorization: Bearer sk-test\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        socket.write_all((head + body).as_bytes()).unwrap();
        let mut response = String::new();
        socket.read_to_string(&mut response).unwrap();
        response.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

/// The client of PyPI.
pub fn python() -> Result<Completion, Failed> {
    let folder = folder("openai-python");
    let python = folder.join("bin/python");
    if !python.exists() {
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    }
    let install =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade", "openai"];
    if let Err(why) = succeed(Command::new(&python).args(install)) {
        return unavailable("openai", why);
    }
    talk(Command::new(&python).arg(script("client.py")))
}

/// The client of npm.
pub fn node() -> Result<Completion, Failed> {
    let folder = folder("openai-node");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("package.json"), r#"{"private": true, "type": "module"}"#)?;
    let install = ["install", "--silent", "--no-audit", "--no-fund", "openai@latest"];
    if let Err(why) = succeed(Command::new("npm").args(install).current_dir(&folder)) {
        return unavailable("openai", why);
    }
    // A module finds its packages beside itself.
    fs::copy(script("client.mjs"), folder.join("client.mjs"))?;
    talk(Command::new("node").arg(folder.join("client.mjs")))
}

/// Whether there are schemas to hold anything against.
pub fn schemas_are_there() -> bool {
    openai_schema("error").is_some()
}

/// Answers of the whole program, over its socket; `tests/it/openai_api` looks at each shape.
pub fn schemas() {
    let check = |root: &str, text: &str| {
        let value: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("{root}: {text}"));
        let schema = openai_schema(root).expect("../shared/openai_schema is missing");
        let errors: Vec<_> = jsonschema::validator_for(&schema)
            .unwrap()
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{root}: {errors:?}: {text}");
    };
    let gateway = Gateway::start();
    let chat = |body: Value| gateway.ask("POST", "/v1/chat/completions", &body.to_string());
    for text in ["Hi", "weather", "think", "json"] {
        let messages = json!([{"role": "user", "content": text}]);
        check("chat_response", &chat(json!({"model": "scripted", "messages": messages})));
        let options = json!({"include_usage": true});
        let stream = chat(
            json!({"model": "scripted", "messages": messages, "stream": true, "stream_options": options}),
        );
        let frames = stream.split("\n\n").filter_map(|frame| frame.strip_prefix("data: "));
        let mut frames: Vec<_> = frames.collect();
        assert_eq!(frames.pop(), Some("[DONE]"));
        frames.iter().for_each(|frame| check("chat_chunk", frame));
        assert!(frames.len() > 3, "{stream}");
    }
    check("error", &chat(json!({"messages": 7})));
    check("error", &gateway.ask("GET", "/v1/nowhere", ""));
    check("models", &gateway.ask("GET", "/v1/models", ""));
    check("model", &gateway.ask("GET", "/v1/models/scripted", ""));
    let input = json!({"model": "words", "input": ["a", "b"]}).to_string();
    check("embedding_response", &gateway.ask("POST", "/v1/embeddings", &input));
}

/// Lets a client talk to a gateway of its own.
fn talk(client: &mut Command) -> Result<Completion, Failed> {
    let gateway = Gateway::start();
    // A proxy of the machine is not for addresses of the machine.
    client.env("NO_PROXY", "127.0.0.1").arg(gateway.0.url());
    succeed(client)?;
    Ok(Completion::Completed)
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{command:?}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("services/openai").join(name)
}
