use ember::prelude::*;

#[route("/a")]
async fn none() {}

#[route("/b", methods = [GTE])]
async fn unknown() {}

#[route("/c", methods = [GET, GET])]
async fn twice() {}

#[ai_route("/d", methods = POST)]
async fn no_list() {}

fn main() {}
