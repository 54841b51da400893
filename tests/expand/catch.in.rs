#[catch(404)]
async fn nothing_here(error: &Error, uri: Uri) -> Html<String> {
    Html(uri.to_string())
}

#[catch(ErrorKind::Conflict, scope = app)]
async fn conflict(error: &Error) -> &'static str {
    "later"
}
