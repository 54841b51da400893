//! Tests that need programs which not every machine has: a browser, a validator, Node.js, curl,
//! Redis and Memcached.
//!
//! Where a program is missing its tests are reported as ignored, each by its name. With
//! `EMBER_TEST_SERVICES=required`, as in continuous integration, they fail instead. The built-in
//! harness cannot tell at run time that a test is ignored, so this binary has its own.

mod ai_sdk;
mod browser;
mod chat_page;
mod cluster;
mod docs_page;
mod openai;
mod serving;
#[cfg(all(feature = "memcached", feature = "redis"))]
mod stores;
mod validator;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    #[allow(unused_mut, reason = "some are behind features")]
    let mut tests = vec![
        needing(&["chromedriver", "chromium"], "docs_page_in_a_browser", docs_page::test),
        needing(&["chromedriver", "chromium"], "chat_page_in_a_browser", chat_page::test),
        trying(&["node", "npm"], "the_ai_sdk_reads_our_streams", ai_sdk::test),
        needing(&["bash", "curl", "redis-server"], "the_example_of_a_cluster", cluster::test),
        needing(&["openapi-spec-validator"], "openapi_documents_are_valid", validator::test),
        trying(&["python3"], "openai_client_of_pypi", openai::python),
        trying(&["node", "npm"], "openai_client_of_npm", openai::node),
        Trial::test("openai_answers_fit_the_published_schemas", || {
            openai::schemas();
            Ok(())
        })
        // They lie beside the project, and no program brings them, so that nobody can require them.
        .with_ignored_flag(!openai::schemas_are_there()),
    ];
    #[cfg(all(feature = "memcached", feature = "redis"))]
    tests.extend(stores::tests());
    libtest_mimic::run(&arguments, tests).exit_code()
}

/// A test that needs these programs.
fn needing(programs: &'static [&str], name: &str, test: fn()) -> Trial {
    trying(programs, name, move || {
        test();
        Ok(Completion::Completed)
    })
}

/// A test that needs a program which nobody can be required to have: it is ignored wherever it is missing.
#[cfg(all(feature = "memcached", feature = "redis"))]
fn offered(program: &'static str, name: &str, test: fn()) -> Trial {
    let is_missing = find(program).is_none();
    needing(&[], name, test).with_ignored_flag(is_missing)
}

/// A test that needs these programs, and may find out while it runs that it cannot be done.
fn trying(
    programs: &'static [&str],
    name: &str,
    test: impl FnOnce() -> Result<Completion, Failed> + Send + 'static,
) -> Trial {
    let missing = programs.iter().find(|program| find(program).is_none());
    let trial = Trial::ignorable_test(name, move || match missing {
        Some(program) => Err(Failed::from(format!("`{program}` is not installed"))),
        None => test(),
    });
    trial.with_ignored_flag(missing.is_some() && !is_required())
}

/// The registry of a package does not answer: as with a program that is missing.
fn unavailable(package: &str, why: String) -> Result<Completion, Failed> {
    match is_required() {
        true => Err(why.into()),
        false => {
            Ok(Completion::ignored_with(format!("the package `{package}` cannot be installed")))
        }
    }
}

/// Tells whether a test must run that needs more than every machine has.
fn is_required() -> bool {
    env::var("EMBER_TEST_SERVICES").is_ok_and(|value| value == "required")
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
