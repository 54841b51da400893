//! The AI SDK reads our UI message stream, by its own chat, transport and reader.
//!
//! The test installs its package itself; where that cannot be had, it is ignored, or fails if it is required.

use super::serving::Serving;
use super::unavailable;
use libtest_mimic::{Completion, Failed};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The package in the versions that read the stream, the last of each.
const PACKAGES: [&str; 3] = ["ai@5.0.277", "ai@6.0.326", "ai@7.0.173"];

pub fn test() -> Result<Completion, Failed> {
    for package in PACKAGES {
        // Each begins conversations of the same ids.
        let serving = Serving::start(Command::new(env!("CARGO_BIN_EXE_streams")));
        let told = match read_by(package, &serving.address) {
            Ok(told) => told,
            Err(why) => return unavailable(package, why),
        };
        for path in ["/api/chat", "/api/stateless"] {
            check(path, &told);
        }
        // The conversation remembers question and answer; the page shows the turns in between as well.
        assert_eq!(told["/api/chat next"], "3 messages, And?");
        assert_eq!(told["/api/stateless next"], "5 messages, And?");
    }
    Ok(Completion::Completed)
}

/// What a version of the package makes of the answers; or why it is not to be had.
fn read_by(package: &str, address: &str) -> Result<Value, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(package.replace('@', "-"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("package.json"), r#"{"type": "module", "private": true}"#).unwrap();
    let npm = super::find("npm").unwrap();
    let install = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", package];
    let installed = Command::new(npm).args(install).current_dir(&folder).output().unwrap();
    if !installed.status.success() {
        let why = String::from_utf8_lossy(&installed.stderr);
        return Err(format!("`{package}` cannot be installed: {why}"));
    }
    let script = folder.join("ai_sdk.mjs");
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("services/ai_sdk.mjs"), &script).unwrap();
    let node = super::find("node").unwrap();
    let run = Command::new(node).arg(script).arg(address).output().unwrap();
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{package}: {errors}");
    Ok(serde_json::from_slice(&run.stdout).unwrap())
}

fn check(path: &str, told: &Value) {
    let of = |what: &str| &told[&format!("{path} {what}")];
    let everything = of("everything");
    assert_eq!(everything["status"], "ready", "{everything:#}");
    assert_eq!(everything["finishReason"], "stop");
    let answer = &everything["messages"][1];
    let expected = json!([
        {"type": "step-start"},
        {"type": "reasoning", "text": "Hm hm.", "state": "done"},
        {"type": "text", "text": "Let me see.", "state": "done"},
        {"type": "tool-add", "toolCallId": "call_1", "state": "output-available", "input": {"a": 1, "b": 2}, "output": 3},
        {"type": "tool-fail", "toolCallId": "call_2", "state": "output-error", "input": {}, "errorText": "The tool failed."},
        {"type": "step-start"},
        {"type": "text", "text": "It is 3.", "state": "done"},
    ]);
    assert!(is_within(&expected, &answer["parts"]), "{path}: {:#}", answer["parts"]);
    let metadata = json!({"model": "fake", "usage": {"inputTokens": 30, "outputTokens": 8, "totalTokens": 38}});
    assert_eq!(answer["metadata"], metadata);
    assert_eq!(of("again"), of("next"), "another answer is asked for with what was said before");
    assert_eq!(*of("edited"), "1 messages, Else?");
    let broken = of("broken");
    assert_eq!((&broken["status"], &broken["isError"]), (&json!("error"), &json!(true)));
    let error = broken["error"].as_str().unwrap();
    assert!(error.len() > 10 && !error.contains("secret"), "{error}");
    // What was told cannot be taken back.
    let anew = of("anew");
    assert_eq!((&anew["status"], &anew["isError"]), (&json!("error"), &json!(true)), "{anew:#}");
    let stopped = of("stopped");
    assert_eq!((&stopped["status"], &stopped["isAbort"]), (&json!("ready"), &json!(true)));
}

/// Tells whether a value has everything that is expected of it; objects may have more.
fn is_within(expected: &Value, value: &Value) -> bool {
    match (expected, value) {
        (Value::Array(expected), Value::Array(values)) => {
            expected.len() == values.len()
                && expected.iter().zip(values).all(|(expected, value)| is_within(expected, value))
        }
        (Value::Object(expected), Value::Object(values)) => {
            expected.iter().all(|(name, expected)| {
                values.get(name).is_some_and(|value| is_within(expected, value))
            })
        }
        (expected, value) => expected == value,
    }
}
