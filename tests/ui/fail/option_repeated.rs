use ember::prelude::*;

#[get("/a", cache = TtlCache::new(secs(1)), cache = TtlCache::new(secs(2)))]
async fn twice() {}

fn main() {}
