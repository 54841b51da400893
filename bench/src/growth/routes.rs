//! Routes beside the one that is asked, with a constant path or with a parameter.

use super::silent::Asked;
use super::{Area, Case, Work};
use crate::Result;
use ember::http::{Request, StatusCode};
use ember::web::Route;
use ember::{Body, Ember, Path};

pub(super) const AREA: Area = Area {
    name: "routes",
    title: "One request with so many routes",
    cases: &[
        Case::new("static, first"),
        Case::new("static, middle"),
        Case::new("static, last"),
        Case::new("with parameters, first"),
        Case::new("with parameters, middle"),
        Case::new("with parameters, last"),
        Case::new("none of them (404)"),
    ],
    sizes: &[10, 100, 1_000, 10_000],
    times: |_| (5_000, 50_000),
    ready,
};

/// Half of the routes have parameters.
fn ready(case: &str, size: usize, _: usize) -> Result<Work> {
    let half = size / 2;
    let mut app = Ember::new();
    for number in 0..half {
        let fixed = Route::get(format!("/fixed/section_{number}/page"), async || "Hello, World!");
        let open = Route::get(format!("/open/section_{number}/{{user}}/posts/{{post}}"), post_of);
        app = app.route(fixed.name(format!("fixed_{number}")));
        app = app.route(open.name(format!("open_{number}")));
    }
    let asked = Asked::new(app)?;
    let (kind, place) = case.split_once(", ").unwrap_or((case, ""));
    let number = match place {
        "first" => 0,
        "middle" => half / 2,
        _ => half - 1,
    };
    let (target, status, answer) = match kind {
        "static" => (format!("/fixed/section_{number}/page"), StatusCode::OK, "Hello, World!"),
        "with parameters" => (
            format!("/open/section_{number}/17/posts/4711"),
            StatusCode::OK,
            "post 4711 of user 17",
        ),
        _ => (format!("/fixed/section_{size}/page"), StatusCode::NOT_FOUND, ""),
    };
    Ok(Box::new(move || {
        let request = Request::get(&target).header("host", "localhost").body(Body::empty())?;
        asked.expect(request, status, answer).map(drop)
    }))
}

async fn post_of(Path((user, post)): Path<(u64, u64)>) -> String {
    format!("post {post} of user {user}")
}
