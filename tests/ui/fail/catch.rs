//! A catcher takes the error first, and names a status that errors have.

use ember::prelude::*;

#[catch(200)]
async fn no_error(_error: &Error) -> &'static str {
    "fine"
}

#[catch(404)]
async fn without_error() -> &'static str {
    "nothing"
}

#[catch(ErrorKind::NotThere)]
async fn no_kind(_error: &Error) -> &'static str {
    "nothing"
}

#[catch]
async fn no_response(_error: &Error) -> std::time::Duration {
    std::time::Duration::ZERO
}

fn main() {}
