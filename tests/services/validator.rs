//! What a validator of OpenAPI says to the documents of whole programs.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// The programs of the tests, and every example. `openapi-spec-validator` is from PyPI.
pub fn test() {
    for program in [env!("CARGO_BIN_EXE_described"), env!("CARGO_BIN_EXE_sound")] {
        validate(program, Command::new(program).arg("openapi").output().unwrap());
    }
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let manifest = fs::read_to_string(examples.join("Cargo.toml")).unwrap();
    let sections = manifest.split("[[example]]").skip(1);
    let names = sections.map(|section| section.split('"').nth(1).unwrap());
    let mut found = 0;
    for name in names {
        let mut run = Command::new(env!("CARGO"));
        run.current_dir(&examples).args(["run", "-q", "--example", name, "--", "openapi"]);
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
