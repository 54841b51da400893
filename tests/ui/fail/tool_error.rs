use ember::prelude::*;

/// Finds a place.
#[tool]
async fn find(name: String) -> Result<String, String> {
    Err(name)
}

fn main() {}
