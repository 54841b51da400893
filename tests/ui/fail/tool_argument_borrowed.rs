use ember::prelude::*;

/// Finds a place.
#[tool]
async fn find(name: &str, near: &[u8]) -> String {
    format!("{name} {near:?}")
}

fn main() {}
