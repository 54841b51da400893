use ember::prelude::*;

#[get("/tasks/{id}")]
async fn missing() {}

#[get("/tasks/{task_id}")]
async fn misspelt(tsak_id: u64) {
    let _ = tsak_id;
}

fn main() {}
