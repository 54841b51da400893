use ember::prelude::*;

/// Adds.
#[tool]
async fn add((a, b): (u8, u8)) -> u8 {
    a + b
}

fn main() {}
