use ember::prelude::*;

struct Thing;

#[get("/page")]
async fn page() {}

#[ai_route("/b", tools = [Thing])]
async fn ty(_: ConversationContext) {}

#[ai_route("/c", tools = [page])]
async fn route_as_tool(_: ConversationContext) {}

#[ai_route("/d", tools = ["plain"])]
async fn text(_: ConversationContext) {}

fn main() {}
