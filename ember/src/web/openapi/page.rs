//! The page that shows the document, and lets every route be tried.
//!
//! Three hand-written files are served as they are, with a `Content-Security-Policy` that allows
//! nothing from elsewhere: the page works where there is no network. The alternative, one of the
//! well-known viewers, is a megabyte of script that somebody else builds, and cannot show an event
//! stream as it arrives.

use super::{ApiInfo, document};
use crate::web::body::Body;
use crate::web::request::Request;
use crate::web::response::{IntoResponse, Response};
use crate::web::router::Route;
use crate::web::state::AppState;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use std::sync::{Arc, OnceLock};

const HTML: &str = include_str!("page/page.html");
const CSS: &str = include_str!("page/page.css");
const JS: &str = include_str!("page/page.js");

/// Nothing but the page's own files, and requests to the server that it comes from.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The routes of the page at a path: the page, its files, and `openapi.json`.
///
/// The document does not list them.
pub fn routes(path: &str, info: &ApiInfo) -> Vec<Route> {
    let path = path.trim_end_matches('/');
    let folder: Arc<str> = path.rsplit('/').next().unwrap_or_default().into();
    let info = Arc::new(info.clone());
    let written: Arc<OnceLock<Bytes>> = Arc::default();
    let page = Route::get(if path.is_empty() { "/" } else { path }, move |request: Request| {
        let html = html(&folder, request.uri().path());
        async move { file(html, "text/html; charset=utf-8") }
    });
    let css =
        Route::get(format!("{path}/page.css"), || async { file(CSS, "text/css; charset=utf-8") });
    let js = Route::get(format!("{path}/page.js"), || async {
        file(JS, "text/javascript; charset=utf-8")
    });
    let json = Route::get(format!("{path}/openapi.json"), move |request: Request| {
        // All routes are known by the time of the first request, and none is added later.
        let json = written.get_or_init(|| write(request.state(), &info)).clone();
        async move { file(json, "application/json") }
    });
    let named = [(page, "docs"), (css, "docs_css"), (js, "docs_js"), (json, "docs_openapi")];
    let hidden = named.into_iter().map(|(route, name)| {
        route.name(name).with(|options| {
            options.hidden(true);
        })
    });
    hidden.collect()
}

fn write(state: &AppState, info: &ApiInfo) -> Bytes {
    document(&state.routes, info).to_string().into()
}

/// The page, whose files are named relative to it, so that a proxy may put it under another path.
fn html(folder: &str, path: &str) -> String {
    let base = match folder {
        _ if path.ends_with('/') => "./".to_owned(),
        "" => "./".to_owned(),
        folder => format!("{folder}/"),
    };
    HTML.replace("{base}", &base)
}

fn file(body: impl Into<Body>, media_type: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, media_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, body.into()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_relative_to_the_page() {
        assert!(html("docs", "/docs").contains("href=\"docs/page.css\""));
        assert!(html("docs", "/docs/").contains("href=\"./page.css\""));
        assert!(html("", "/").contains("href=\"./page.css\""));
    }

    #[test]
    fn nothing_is_asked_of_another_server() {
        for text in [HTML, CSS, JS] {
            assert!(!text.contains("://"));
            assert!(!text.contains(".innerHTML") && !text.contains("eval("));
        }
    }
}
