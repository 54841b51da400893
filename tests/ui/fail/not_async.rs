use ember::prelude::*;

#[get("/a")]
fn blocking() -> &'static str {
    "a"
}

fn main() {}
