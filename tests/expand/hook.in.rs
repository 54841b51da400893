#[hook(before_server_start)]
async fn migrate(pool: Component<Pool>, config: Config) -> Result {
    pool.migrate(config).await
}

#[hook(before_endpoint)]
async fn gate(headers: HeaderMap) -> Option<Response> {
    None
}

#[hook(after_endpoint, scope = app)]
async fn stamp(response: Response, uri: Uri) -> Response {
    response
}
