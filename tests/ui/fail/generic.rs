use ember::prelude::*;

#[get("/a")]
async fn typed<T: Default + Send>(_: Component<T>) {}

#[get("/b")]
async fn opaque(_: impl FromRequestParts) {}

fn main() {}
