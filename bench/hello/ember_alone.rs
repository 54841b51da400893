use ember::prelude::*;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
struct Greeting {
    message: &'static str,
}

#[get("/hello")]
async fn hello() -> &'static str {
    "Hello, World!"
}

#[get("/json")]
async fn json() -> Json<Greeting> {
    Json(Greeting { message: "Hello" })
}

fn main() -> ember::Result {
    let port = std::env::var("PORT")?.parse()?;
    ember::app!().port(port).run()
}
