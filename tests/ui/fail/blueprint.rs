//! A blueprint has a prefix that can begin a path, and options that it knows.

use ember::prelude::*;

mod a {
    ember::blueprint! { prefix = "/tasks/" }
}

mod b {
    ember::blueprint! { prefx = "/tasks" }
}

mod c {
    ember::blueprint! { prefix = "tasks", tags = ["a"], tags = ["b"] }
}

mod d {
    ember::blueprint! { "/tasks" }
}

#[post("/", cache = TtlCache::new(secs(1)))]
async fn never_kept() {}

#[get("/b/:id")]
async fn of_another_framework(id: u8) {}

fn main() {}
