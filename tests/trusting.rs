use ember::prelude::*;

/// Middleware that believes whoever says who they are, in `x-user`.
#[derive(Debug, Clone, Copy)]
pub struct Trusting;

impl Middleware for Trusting {
    async fn handle(&self, mut request: Request, next: Next) -> Response {
        if let Some(name) = request.header("x-user").map(str::to_owned) {
            request.extensions_mut().insert(Principal::new(name));
        }
        next.run(request).await
    }
}
