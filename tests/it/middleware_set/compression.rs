use ember::http::{self, HeaderValue};
use ember::prelude::*;
use ember::store::GlobalTokenBucket;
use ember::testing::{TestClient, TestResponse};
use ember::web::Route;
use ember::web::middleware::{Compression, Decompression};
use ember::web::server::ServerLimits;
use ember::{RateLimit, RouteLimits};
use flate2::Compression as Level;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use futures_util::{StreamExt as _, stream};
use std::io::{Read as _, Write as _};
use tower::util::MapRequestLayer;

const LINE: &str = "a line that comes again and again\n";

#[get("/text")]
async fn text() -> ([(&'static str, &'static str); 2], String) {
    ([("etag", "\"v1\""), ("accept-ranges", "bytes")], LINE.repeat(100))
}

#[get("/small")]
async fn small() -> &'static str {
    "small"
}

#[get("/encoded")]
async fn encoded() -> Response {
    (
        [("content-type", "text/plain"), ("content-encoding", "br"), ("etag", "\"v1\"")],
        LINE.repeat(100).into_bytes(),
    )
        .into_response()
}

#[get("/part")]
async fn part() -> Response {
    let body = LINE.repeat(100);
    (StatusCode::PARTIAL_CONTENT, [("content-range", "bytes 0-3399/9999")], body).into_response()
}

#[get("/image")]
async fn image() -> ([(&'static str, &'static str); 1], Vec<u8>) {
    ([("content-type", "image/png")], vec![0; 5000])
}

#[get("/kept")]
async fn no_transform() -> ([(&'static str, &'static str); 1], String) {
    ([("cache-control", "public, no-transform")], LINE.repeat(100))
}

#[get("/events")]
async fn events() -> Sse {
    // The first event must arrive although nothing ever follows it.
    let first = stream::iter([Event::data(LINE.trim().repeat(100))]);
    Sse::new(first.chain(stream::pending()))
}

#[get("/lines")]
async fn lines() -> Response {
    let lines = stream::iter([Ok::<_, std::io::Error>(LINE)]).chain(stream::pending());
    ([("content-type", "text/plain")], Body::stream(lines)).into_response()
}

#[post("/length")]
async fn length(headers: HeaderMap, body: Bytes) -> String {
    format!("{} {}", body.len(), headers.contains_key("content-encoding"))
}

#[post("/unread")]
async fn unread() -> &'static str {
    "unread"
}

fn client() -> TestClient {
    let app = ember::app!().middleware(Compression::new()).middleware(Decompression::new());
    TestClient::new(app.build().unwrap())
}

async fn get(target: &str, accepted: &str) -> TestResponse {
    client().get(target).header("accept-encoding", accepted).send().await
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn responses_are_compressed_as_the_client_wants() {
    for (accepted, coding) in
        [("gzip", "gzip"), ("br;q=0.5, gzip;q=0.1", "br"), ("zstd", "zstd"), ("deflate", "deflate")]
    {
        let response = get("/text", accepted).await;
        assert_eq!(response.header("content-encoding"), Some(coding));
        assert_eq!(response.header("vary"), Some("accept-encoding"));
        assert_eq!(response.header("etag"), Some("W/\"v1\""));
        assert_eq!(
            (response.header("content-length"), response.header("accept-ranges")),
            (None, None)
        );
        assert!(response.bytes().await.len() < 500);
    }
    let mut text = String::new();
    let packed = get("/text", "gzip").await.bytes().await;
    GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, LINE.repeat(100));
    for accepted in ["identity", "gzip;q=0", "nonsense"] {
        let plain = get("/text", accepted).await;
        assert_eq!(
            (plain.header("content-encoding"), plain.header("etag")),
            (None, Some("\"v1\""))
        );
        assert_eq!(plain.header("vary"), Some("accept-encoding"), "a cache must know");
    }
}

#[tokio::test]
async fn what_does_not_gain_by_it_is_left_alone() {
    for target in ["/small", "/part", "/image", "/kept", "/nothing"] {
        assert_eq!(get(target, "gzip, br").await.header("content-encoding"), None, "{target}");
    }
    let encoded = get("/encoded", "gzip").await;
    assert_eq!(
        (encoded.header("content-encoding"), encoded.header("etag")),
        (Some("br"), Some("\"v1\""))
    );
    assert_eq!(encoded.bytes().await, LINE.repeat(100));
}

#[tokio::test]
async fn an_event_stream_is_never_compressed() {
    let mut response = get("/events", "gzip, br, zstd").await;
    assert_eq!(response.header("content-encoding"), None);
    assert!(response.next_event().await.unwrap().data.starts_with("a line"));
}

#[tokio::test]
async fn another_stream_is_compressed_piece_by_piece() {
    let mut response = get("/lines", "gzip").await;
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    let mut packed = Vec::new();
    let mut text = vec![0; LINE.len()];
    // The line can be read before the stream ends, which it never does.
    while GzDecoder::new(&packed[..]).read_exact(&mut text).is_err() {
        packed.extend(response.chunk().await.unwrap());
    }
    assert_eq!(text, LINE.as_bytes());
}

#[tokio::test]
async fn bodies_of_requests_are_decompressed() {
    let packed = gzip(&LINE.repeat(10).into_bytes());
    for name in ["gzip", "x-gzip", "GZIP"] {
        let request = client().post("/length").header("content-encoding", name);
        let response = request.body(packed.clone()).send().await;
        assert_eq!(response.text().await, "340 false", "{name}");
    }
    let request = client().post("/length").header("content-encoding", "identity");
    assert_eq!(request.body("abc").send().await.text().await, "3 false");
    assert_eq!(client().post("/length").body("abc").send().await.text().await, "3 false");
}

#[tokio::test]
async fn a_bomb_does_not_go_off() {
    // 64 MiB of zeros in about 64 KiB, and the same packed once more.
    let mut bomb = GzEncoder::new(Vec::new(), Level::best());
    for _ in 0..64 {
        bomb.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 1 << 17);
    let request = client().post("/length").header("content-encoding", "gzip");
    assert_eq!(request.body(bomb.clone()).send().await.status(), 413);
    let request = client().post("/unread").header("content-encoding", "gzip");
    assert_eq!(request.body(bomb).send().await.text().await, "unread");
}

#[tokio::test]
async fn what_cannot_be_decompressed_is_the_clients_fault() {
    let packed = gzip(&LINE.repeat(10).into_bytes());
    let cut = packed[..packed.len() / 2].to_vec();
    for body in [b"this is no gzip at all".to_vec(), cut] {
        let request = client().post("/length").header("content-encoding", "gzip");
        let response = request.body(body).send().await;
        assert_eq!(response.status(), 400);
        assert!(response.text().await.contains("no valid gzip"));
    }
    for coding in ["compress", "gzip, br"] {
        let request = client().post("/length").header("content-encoding", coding);
        let response = request.body(packed.clone()).send().await;
        assert_eq!(response.status(), 415, "{coding}");
        assert_eq!(
            response.headers().get("accept-encoding"),
            Some(&HeaderValue::from_static("gzip, deflate, br, zstd"))
        );
    }
}

#[tokio::test]
async fn the_limit_of_the_packed_body_holds_as_well() {
    // Random enough not to shrink below the limit.
    let noise: Vec<u8> =
        (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut packed = GzEncoder::new(Vec::new(), Level::none());
    packed.write_all(&noise).unwrap();
    let request = client().post("/length").header("content-encoding", "gzip");
    assert_eq!(request.body(packed.finish().unwrap()).send().await.status(), 413);
}

#[tokio::test]
async fn a_body_that_was_made_anew_keeps_its_limit() {
    let large = RouteLimits::new().max_body_size(4 << 20);
    let app = || {
        Ember::new()
            .limits(ServerLimits::default().max_body_size(1000))
            .route(Route::post("/length", length))
            .route(Route::post("/large", length).with(move |options| {
                options.limits(large);
            }))
    };
    let bucket = GlobalTokenBucket::per_minute("everybody", 100_000_000);
    let wrapped = MapRequestLayer::new(|request: http::Request<Body>| {
        request.map(|body| Body::stream(body.into_stream()))
    });
    for app in
        [app().middleware(RateLimit::tokens(bucket).estimate_from_body()), app().layer(wrapped)]
    {
        let client = TestClient::new(app.middleware(Decompression::new()).build().unwrap());
        for (path, bytes, status) in [
            ("/length", 900, 200),
            ("/length", 2000, 413),
            ("/large", 3 << 20, 200),
            ("/large", 5 << 20, 413),
        ] {
            let request = client.post(path).header("content-encoding", "gzip");
            let response = request.body(gzip(&vec![0; bytes])).send().await;
            assert_eq!(response.status(), status, "{bytes} bytes to {path}");
        }
    }
}
