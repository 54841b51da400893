use ember::prelude::*;

struct Tasks;

impl Tasks {
    #[get("/tasks")]
    async fn all(&self) -> &'static str {
        "all"
    }

    #[tool]
    async fn count(&self) -> u8 {
        1
    }
}

fn main() {}
