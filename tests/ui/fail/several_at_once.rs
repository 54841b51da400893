use ember::prelude::*;

#[get("/a/{b", cahce = 1, cache = 2, cache = 3)]
fn everything(&self, _: impl Sized) {}

fn main() {}
