use ember::prelude::*;

#[get]
async fn nowhere() {}

#[post(cache = TtlCache::new(secs(1)))]
async fn nowhere_either() {}

fn main() {}
