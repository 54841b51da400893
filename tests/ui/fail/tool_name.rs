use ember::prelude::*;

#[tool(name = "math.add")]
async fn dotted() -> u8 {
    1
}

#[tool(name = "")]
async fn empty() -> u8 {
    1
}

#[tool]
async fn größe() -> u8 {
    1
}

#[tool]
async fn a_name_that_goes_on_and_on_and_on_until_no_provider_will_accept_it_any_more() -> u8 {
    1
}

fn main() {}
