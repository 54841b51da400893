use ember::prelude::*;

struct Opaque;

#[get("/tasks/{id}")]
async fn task(id: Opaque) {
    let Opaque = id;
}

fn main() {}
