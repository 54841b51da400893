use ember::prelude::*;

struct Task;

#[get("/a")]
async fn task() -> Task {
    Task
}

fn main() {}
