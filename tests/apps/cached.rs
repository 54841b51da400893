//! A program whose routes have a cache in the Redis that a variable names.

use ember::prelude::*;
use ember::web::cache::RedisCache;
use std::sync::LazyLock;

static CACHE: LazyLock<RedisCache> =
    LazyLock::new(|| RedisCache::new(std::env::var("CACHE_URL").unwrap_or_default(), secs(60)));

#[get("/rates", cache = CACHE.clone())]
async fn rates() -> &'static str {
    "1.08"
}

#[get("/fees", cache = CACHE.clone())]
async fn fees() -> &'static str {
    "none"
}

fn main() -> ember::Result {
    ember::app!().run()
}
