//! A program that cannot start, in several ways at once.

use ember::prelude::*;

struct Db;

#[get("/tasks/{id}")]
async fn task(id: u64, _: Component<Db>) -> String {
    id.to_string()
}

#[get("/tasks/{name}")]
async fn task_by_name(name: String) -> String {
    name
}

fn main() -> ember::Result {
    ember::app!().run()
}
