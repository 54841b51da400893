use ember::prelude::*;

#[post("/a")]
async fn text_first(_: String, _: HeaderMap) {}

fn main() {}
