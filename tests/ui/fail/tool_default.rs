use ember::prelude::*;

#[tool]
async fn wrong_type(#[default("ten")] limit: u8) -> u8 {
    limit
}

#[tool]
async fn malformed(#[default] limit: u8) -> u8 {
    limit
}

fn main() {}
