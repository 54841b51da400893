use ember::prelude::*;

async fn plain() {}

#[ai_route("/a", tools = [plain])]
async fn function(_: ConversationContext) {}

fn main() {}
