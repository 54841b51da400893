use ember::prelude::*;

#[plugin]
struct WithoutAnything;

#[plugin(kind = "store")]
struct WithoutName;

#[plugin(kind = "", name = 3)]
struct Unnamed;

#[plugin(kind = "store", name = "a", name = "b")]
struct NamedTwice;

#[plugin("store", kind = "store", name = "a")]
struct WithText;

#[plugin(kind = "store", name = "generic")]
struct Generic<T>(T);

#[plugin(kind = "store", name = "f")]
fn function() {}

fn main() {}
