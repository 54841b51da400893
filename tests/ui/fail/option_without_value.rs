use ember::prelude::*;

#[get("/a", hidden, name = "a")]
async fn switch() {}

#[get("/b", name)]
async fn text() {}

#[get("/c", tags("a"))]
async fn list() {}

#[get("/d", hiden)]
async fn unknown() {}

fn main() {}
