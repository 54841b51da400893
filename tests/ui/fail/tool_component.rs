use ember::prelude::*;

struct Db;

/// Finds a place.
#[tool]
async fn find(#[default(Component(std::sync::Arc::new(Db)))] _db: Component<Db>) -> u8 {
    1
}

/// A type that only has the name.
struct ToolContext;

#[tool]
async fn other(_context: ToolContext) -> u8 {
    1
}

fn main() {}
