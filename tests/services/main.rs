//! Tests that need programs which not every machine has: a browser, a validator, Node.js.
//!
//! Where a program is missing its tests are reported as ignored, each by its name. With
//! `EMBER_TEST_SERVICES=required`, as in continuous integration, they fail instead. The built-in
//! harness cannot tell at run time that a test is ignored, so this binary has its own.

mod ai_sdk;
mod browser;
mod chat_page;
mod docs_page;
mod serving;
mod validator;

use libtest_mimic::{Arguments, Failed, Trial};
use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let tests = vec![
        needing(&["chromedriver", "chromium"], "docs_page_in_a_browser", docs_page::test),
        needing(&["chromedriver", "chromium"], "chat_page_in_a_browser", chat_page::test),
        needing(&["node", "npm"], "the_ai_sdk_reads_our_streams", ai_sdk::test),
        needing(&["openapi-spec-validator"], "openapi_documents_are_valid", validator::test),
    ];
    libtest_mimic::run(&arguments, tests).exit_code()
}

/// A test that needs these programs.
fn needing(programs: &'static [&str], name: &str, test: fn()) -> Trial {
    let missing = programs.iter().find(|program| find(program).is_none());
    let required = env::var("EMBER_TEST_SERVICES").is_ok_and(|value| value == "required");
    let trial = Trial::test(name, move || match missing {
        Some(program) => Err(Failed::from(format!("`{program}` is not installed"))),
        None => {
            test();
            Ok(())
        }
    });
    trial.with_ignored_flag(missing.is_some() && !required)
}

/// Where a program is: at the place that a variable names, such as `CHROMEDRIVER`, or on the path.
fn find(program: &str) -> Option<PathBuf> {
    let variable = program.to_uppercase().replace('-', "_");
    if let Some(path) = env::var_os(variable).filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}
