use ember::prelude::*;

#[get("/a")]
struct Page;

#[tool]
const ADD: u8 = 1;

fn main() {}
