//! Middleware ends with the request and what comes next, and returns a response.

use ember::prelude::*;

#[middleware]
async fn without_next(request: Request) -> Response {
    request.into_body();
    StatusCode::OK.into_response()
}

#[middleware(scope = everything)]
async fn scope_of_nothing(request: Request, next: Next) -> Response {
    next.run(request).await
}

#[middleware]
async fn no_response(request: Request, next: Next) -> std::time::Duration {
    next.run(request).await;
    std::time::Duration::ZERO
}

struct Plain;

#[get("/", middleware = [Plain])]
async fn by_value() {}

#[get("/b", middleware = only)]
async fn not_a_list() {}

fn main() {}
