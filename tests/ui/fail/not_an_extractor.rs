use ember::prelude::*;

struct Db;

#[get("/first")]
async fn first(db: Db, _: HeaderMap) {
    let Db = db;
}

#[get("/last")]
async fn last(_: HeaderMap, db: Db) {
    let Db = db;
}

fn main() {}
