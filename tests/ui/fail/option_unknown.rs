use ember::prelude::*;

#[get("/a", cahce = TtlCache::new(secs(1)))]
async fn near() {}

#[get("/b", colour = "red")]
async fn far() {}

#[tool(timeot = secs(1))]
async fn tool() -> u8 {
    1
}

fn main() {}
