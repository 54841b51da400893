//! A hook says when it runs, takes what is there then, and returns what can be used then.

use ember::prelude::*;

#[hook]
async fn when() {}

#[hook(before_start)]
async fn misspelt() {}

#[hook(before_server_start, scope = app)]
async fn scoped() {}

#[hook(after_endpoint)]
async fn without_response() {}

#[hook(before_endpoint, scope = module)]
async fn scope_of_nothing() {}

#[hook(before_endpoint)]
fn not_async() {}

fn main() {}
