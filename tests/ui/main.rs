//! What the compiler says to somebody who uses the macros wrongly, and what it lets pass.
//!
//! Each file under `fail` is named after the rule that it breaks; beside it stands what the
//! compiler prints. `TRYBUILD=overwrite cargo test --all-features --test ui` writes that anew.

#[test]
fn macros() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.compile_fail("ui/fail/*.rs");
}
