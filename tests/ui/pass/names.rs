//! Names of the user's meet no name of the macros'.

#![forbid(unsafe_code)]
#![deny(warnings)]

use ember::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct Input {
    pub a: u8,
}

#[derive(Serialize)]
pub struct Output {
    pub b: u8,
}

pub struct DescribeHead;
pub struct DefaultValue;

#[post("/a")]
async fn request(Json(input): Json<Input>) -> Json<Output> {
    Json(Output { b: input.a })
}

#[get("/b/{arg0}/{operation}")]
async fn operation(arg0: u8, operation: u8, headers: HeaderMap) -> String {
    format!("{arg0}{operation}{}", headers.len())
}

#[get("/c/{id}")]
async fn arg0(id: u8, uri: Uri) -> String {
    format!("{id}{uri}")
}

#[get("/d", tags = ["x"])]
async fn options() -> Result<&'static str> {
    Ok("options")
}

#[hook(before_endpoint)]
async fn parts(arg1: HeaderMap) {
    drop(arg1);
}

#[catch(404)]
async fn error(error: &Error, parts: Uri) -> String {
    format!("{error}{parts}")
}

#[hook(after_endpoint)]
async fn response(response: Response) -> Response {
    response
}

#[component]
fn components() -> DescribeHead {
    DescribeHead
}

#[component(teardown = build)]
fn needs(components: Component<DescribeHead>) -> DefaultValue {
    drop(components);
    DefaultValue
}

async fn build(_: Component<DefaultValue>) {}

fn main() {
    ember::app!().build().unwrap();
}
