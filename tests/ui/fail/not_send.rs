use ember::prelude::*;
use std::rc::Rc;

#[get("/a")]
async fn shared() -> String {
    let shared = Rc::new(1);
    std::future::ready(()).await;
    shared.to_string()
}

fn main() {}
