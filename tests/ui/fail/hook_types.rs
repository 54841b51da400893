//! What a hook takes and returns is looked at by the compiler.

use ember::prelude::*;

#[hook(before_endpoint)]
async fn reads_the_body(_body: Json<u8>) {}

#[hook(before_endpoint)]
async fn returns_a_number() -> u8 {
    0
}

#[hook(before_server_start)]
async fn takes_a_header(_headers: Box<dyn Send + Sync>) {}

#[hook(after_server_start)]
async fn answers() -> &'static str {
    "nobody asked"
}

fn main() {}
