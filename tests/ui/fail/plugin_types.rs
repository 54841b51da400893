use ember::prelude::*;

#[plugin(kind = "store", name = "a")]
struct WithoutDefault;

#[plugin(kind = "store", name = "b", limit = std::time::Duration::ZERO)]
#[derive(Default)]
struct NoJson;

#[plugin(kind = "store", name = "c", make = WithArgument::new)]
struct WithArgument;

impl WithArgument {
    fn new(_: u8) -> Self {
        Self
    }
}

fn main() {}
