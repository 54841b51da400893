use ember::prelude::*;

struct Opaque;

#[tool]
async fn value() -> Opaque {
    Opaque
}

#[tool]
async fn result() -> Result<Opaque, ToolError> {
    Ok(Opaque)
}

fn main() {}
