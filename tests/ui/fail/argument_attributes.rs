use ember::prelude::*;

#[get("/default")]
async fn default(#[default(10)] limit: Option<Query<u8>>) -> String {
    format!("{}", limit.is_some())
}

#[get("/cfg")]
async fn sometimes(#[cfg(unix)] uri: Uri) -> String {
    uri.to_string()
}

#[hook(before_endpoint)]
async fn hook(#[cfg_attr(unix, allow(unused))] uri: Uri) {}

#[tool]
#[doc = concat!("Adds ", "two numbers.")]
async fn add(a: u8, b: u8) -> u8 {
    a + b
}

fn main() {}
