//! What requests carry: lists and defaults, streams in both directions, bodies of any size,
//! forms with files, rules on values.

use ember::prelude::*;
use ember::testing::TestClient;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

#[derive(Debug, Deserialize)]
struct Search {
    #[serde(default)]
    tag: Vec<String>,
    #[serde(default = "twenty")]
    limit: u32,
    sort: Option<Sort>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sort {
    Newest,
}

fn twenty() -> u32 {
    20
}

#[get("/search")]
async fn search(Query(search): Query<Search>) -> String {
    format!("{:?} {} {:?}", search.tag, search.limit, search.sort)
}

#[post("/search")]
async fn search_form(Form(search): Form<Search>) -> String {
    format!("{:?} {} {:?}", search.tag, search.limit, search.sort)
}

/// Answers piece by piece what arrives piece by piece.
#[post("/shout")]
async fn shout(body: Body) -> Body {
    Body::stream(body.into_stream().map_ok(|piece| piece.to_ascii_uppercase()))
}

#[get("/numbers/{count}")]
async fn numbers(count: u32, request: Request) -> Response {
    match request.stream_requested() {
        true => {
            Sse::new(stream::iter((0..count).map(|n| Event::data(n.to_string())))).into_response()
        }
        false => {
            let lines = stream::iter(0..count).map(|n| Ok::<_, io::Error>(format!("{n}\n")));
            Body::stream(lines).into_response()
        }
    }
}

#[post("/ends")]
async fn ends(mut body: BufferedBody) -> ember::Result<String> {
    let in_memory = body.is_in_memory();
    let mut reader = body.reader().await?;
    let first = reader.read_u8().await?;
    reader.seek(io::SeekFrom::End(-1)).await?;
    let last = reader.read_u8().await?;
    Ok(format!("{} {in_memory} {first} {last}", body.len()))
}

fn client() -> TestClient {
    TestClient::new(ember::app!().build().unwrap())
}

#[tokio::test]
async fn queries_and_forms_have_lists_and_defaults() {
    for (fields, expected) in [
        ("", "[] 20 None"),
        ("tag=a", r#"["a"] 20 None"#),
        ("tag=a&limit=5&tag=b%26c&sort=newest", r#"["a", "b&c"] 5 Some(Newest)"#),
    ] {
        let response = client().get(&format!("/search?{fields}")).send().await;
        assert_eq!(response.text().await, expected);
        let form =
            client().post("/search").header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(form.body(fields).send().await.text().await, expected);
    }
    assert_eq!(client().get("/search?limit=x").send().await.status(), 400);
    assert_eq!(client().get("/search?sort=oldest").send().await.status(), 400);
}

#[tokio::test]
async fn bodies_stream_through() {
    let pieces = ["one ", "two ", "three"];
    let body = Body::stream(stream::iter(pieces.map(Ok::<_, io::Error>)));
    let mut response = client().post("/shout").body(body).send().await;
    for piece in ["ONE ", "TWO ", "THREE"] {
        assert_eq!(response.chunk().await.unwrap(), piece);
    }
    assert_eq!(response.chunk().await, None);
    assert_eq!(client().post("/shout").send().await.text().await, "");
}

#[tokio::test]
async fn a_get_streams_as_it_is_asked_to() {
    let response = client().get("/numbers/3").send().await;
    assert_eq!(response.text().await, "0\n1\n2\n");
    let response = client().get("/numbers/3").header("accept", "text/event-stream").send().await;
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    assert_eq!(response.events().await.len(), 3);
}

#[tokio::test]
async fn large_bodies_are_spilled_and_small_ones_are_not() {
    for (size, in_memory) in
        [(1000, true), (256 << 10, true), ((256 << 10) + 1, false), (2 << 20, false)]
    {
        let mut bytes = vec![7; size];
        bytes[size - 1] = 9;
        let response = client().post("/ends").body(bytes).send().await;
        assert_eq!(response.text().await, format!("{size} {in_memory} 7 9"));
    }
    let response = client().post("/ends").body(vec![0; (2 << 20) + 1]).send().await;
    assert_eq!(response.status(), 413);
}

#[cfg(feature = "multipart")]
mod multipart {
    use super::client;
    use ember::prelude::*;
    use serde_json::Value;

    #[post("/upload")]
    async fn upload(token: HeaderMap, mut form: Multipart) -> ember::Result<String> {
        let mut answer = token["x-token"].to_str().unwrap_or_default().to_owned();
        while let Some(field) = form.next_field().await? {
            let name = field.name().to_owned();
            let file = field.file_name().unwrap_or("-").to_owned();
            let kept = field.buffer().await?;
            answer += &format!(" {name}:{file}:{}:{}", kept.len(), kept.is_in_memory());
        }
        Ok(answer)
    }

    async fn send(media_type: &str, body: Vec<u8>) -> (u16, String) {
        let request =
            client().post("/upload").header("x-token", "t").header("content-type", media_type);
        let response = request.body(body).send().await;
        (response.status().as_u16(), response.text().await)
    }

    #[tokio::test]
    async fn a_form_with_files_is_read() {
        let mut form = b"--b\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\nhi\r\n--b\r\n\
            content-disposition: form-data; name=\"photo\"; filename=\"cat.png\"\r\n\
            content-type: image/png\r\n\r\n"
            .to_vec();
        form.extend(vec![0xff; 300 << 10]);
        let cut = form.clone();
        form.extend(b"\r\n--b--\r\n");
        let media_type = "multipart/form-data; boundary=b";
        let (status, text) = send(media_type, form).await;
        assert_eq!((status, text.as_str()), (200, "t note:-:2:true photo:cat.png:307200:false"));
        let (status, text) = send(media_type, cut).await;
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &problem["field"]), (400, &"photo".into()), "{text}");
        assert_eq!(send("text/plain", Vec::new()).await.0, 415);
    }
}

#[cfg(feature = "garde")]
mod rules {
    use super::client;
    use ember::prelude::*;
    use garde::Validate;
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    #[derive(Serialize, Deserialize, Validate)]
    struct Task {
        #[garde(length(min = 1, max = 10))]
        title: String,
        #[serde(default)]
        #[garde(inner(length(max = 5)))]
        tags: Vec<String>,
    }

    #[derive(Deserialize, Validate)]
    struct Page {
        #[garde(range(min = 1, max = 100))]
        limit: u32,
    }

    #[post("/ruled")]
    async fn create(
        Valid(Query(page)): Valid<Query<Page>>,
        Valid(Json(task)): Valid<Json<Task>>,
    ) -> String {
        format!("{} {}", page.limit, task.title)
    }

    #[post("/ruled/form")]
    async fn by_form(Valid(Form(task)): Valid<Form<Task>>) -> String {
        task.title
    }

    #[get("/ruled/{limit}")]
    async fn by_path(Valid(Path(page)): Valid<Path<Page>>) -> String {
        page.limit.to_string()
    }

    #[tokio::test]
    async fn every_extractor_keeps_the_rules() {
        let good = json!({"title": "tea", "tags": ["hot"]});
        let response = client().post("/ruled?limit=5").json(&good).send().await;
        assert_eq!(response.text().await, "5 tea");
        let bad = json!({"title": "", "tags": ["ok", "too long", "longer still"]});
        let response = client().post("/ruled?limit=5").json(&bad).send().await;
        assert_eq!(response.status(), 422);
        let problem: Value = response.json().await;
        let mut pointers: Vec<_> = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["pointer"].clone())
            .collect();
        pointers.sort_by_key(Value::to_string);
        assert_eq!(pointers, ["/tags/1", "/tags/2", "/title"]);
        let form = Task { title: "x".repeat(11), tags: Vec::new() };
        let outcomes = [
            (client().post("/ruled?limit=0").json(&good), "The query breaks 1 rule.", "/limit"),
            (client().post("/ruled/form").form(&form), "The form breaks 1 rule.", "/title"),
            (client().get("/ruled/101"), "The path breaks 1 rule.", "/limit"),
        ];
        for (request, detail, pointer) in outcomes {
            let response = request.send().await;
            assert_eq!(response.status(), 422);
            let problem: Value = response.json().await;
            assert_eq!(
                (&problem["detail"], &problem["errors"][0]["pointer"]),
                (&detail.into(), &pointer.into())
            );
        }
        assert_eq!(client().get("/ruled/x").send().await.status(), 400, "no number at all");
    }
}
