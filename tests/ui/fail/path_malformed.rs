use ember::prelude::*;

#[get("tasks")]
async fn without_slash() {}

#[get("/tasks/{id")]
async fn without_brace(id: u64) -> String {
    id.to_string()
}

#[get("/tasks/x{id}")]
async fn part_of_a_segment() {}

#[get("/tasks//all")]
async fn empty_segment() {}

#[get("/{*rest}/all")]
async fn rest_in_the_middle(rest: String) -> String {
    rest
}

#[get("/files/{file:path}")]
async fn typed(file: String) -> String {
    file
}

#[get("/files/*rest")]
async fn bare_star(rest: String) -> String {
    rest
}

fn main() {}
