//! What a validator of OpenAPI says to the documents of whole programs.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// The programs of the tests, and every example that is an application. `openapi-spec-validator` is from PyPI.
pub fn test() {
    for program in [env!("CARGO_BIN_EXE_described"), env!("CARGO_BIN_EXE_sound")] {
        validate(program, Command::new(program).arg("openapi").output().unwrap());
    }
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let manifest = fs::read_to_string(examples.join("Cargo.toml")).unwrap();
    let sections = manifest.split("[[example]]").skip(1);
    let mut found = 0;
    for section in sections {
        let mut texts = section.split('"').skip(1).step_by(2);
        let (name, path) = (texts.next().unwrap(), texts.next().unwrap());
        // A lesson without a server has no routes to describe.
        if !fs::read_to_string(examples.join(path)).unwrap().contains("ember::app!()") {
            continue;
        }
        let mut run = Command::new(env!("CARGO"));
        run.current_dir(&examples).args(["run", "-q", "--all-features", "--example", name]);
        run.args(["--", "openapi"]);
        validate(name, run.output().unwrap());
        found += 1;
    }
    assert!(found > 0, "no example was found");
}

fn validate(program: &str, described: Output) {
    let errors = String::from_utf8_lossy(&described.stderr);
    assert!(described.status.success(), "{program} does not describe itself: {errors}");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openapi.json");
    fs::write(&file, &described.stdout).unwrap();
    let verdict = Command::new(super::find("openapi-spec-validator").unwrap())
        .args(["--schema", "3.1", "--validation-errors", "all"])
        .arg(&file)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&verdict.stdout);
    assert!(verdict.status.success(), "{program}: {text}");
}
