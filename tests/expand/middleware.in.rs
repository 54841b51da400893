#[middleware]
async fn by_name(headers: HeaderMap, request: Request, next: Next) -> Response {
    next.run(request).await
}

#[middleware(scope = blueprint)]
async fn by_itself(request: Request, next: Next) -> Response {
    next.run(request).await
}
