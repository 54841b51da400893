use ember::prelude::*;

#[get("/users/{id}/tasks/{id}")]
async fn task(id: u64) -> String {
    id.to_string()
}

fn main() {}
