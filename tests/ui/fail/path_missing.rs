use ember::prelude::*;

#[get]
async fn nowhere() {}

#[post(tags = ["a"])]
async fn nowhere_either() {}

fn main() {}
