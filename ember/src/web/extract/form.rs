use super::query::{misfit, parse};
use super::{FromRequest, wrong_media_type};
use crate::base::Error;
use crate::web::operation::Operation;
use crate::web::request::Request;
use http::Method;
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

/// The fields of a form, read into a struct: from the body, or from the query of a GET.
///
/// The body must have the media type `application/x-www-form-urlencoded`, else the answer is
/// 415; fields that do not fit are answered with 422. A field that occurs several times fills
/// a `Vec`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Form<T>(pub T);

const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

impl<T: DeserializeOwned> FromRequest for Form<T> {
    async fn from_request(request: Request) -> Result<Self, Error> {
        if request.method() == Method::GET || request.method() == Method::HEAD {
            return parse(request.query().unwrap_or_default().as_bytes())
                .map(Form)
                .map_err(|error| misfit("form", &error));
        }
        let media_type =
            request.header(CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default();
        if !media_type.trim().eq_ignore_ascii_case(MEDIA_TYPE) {
            return Err(wrong_media_type(&request, MEDIA_TYPE));
        }
        let body = request.into_body().collect().await?;
        parse(&body).map(Form).map_err(|error| misfit("form", &error))
    }

    fn describe(operation: &mut Operation) {
        operation.form::<T>().problems();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Search {
        q: String,
        #[serde(default)]
        tag: Vec<u8>,
    }

    async fn read(builder: http::request::Builder, body: &'static str) -> Result<Search, Error> {
        Form::from_request(builder.body(body).unwrap().into()).await.map(|Form(search)| search)
    }

    #[tokio::test]
    async fn reads_the_body_or_the_query() {
        let expected = Search { q: "a b".into(), tag: vec![1, 2] };
        let post = http::Request::post("/").header(CONTENT_TYPE, MEDIA_TYPE);
        assert_eq!(read(post, "q=a+b&tag=1&tag=2").await.unwrap(), expected);
        assert_eq!(read(http::Request::get("/?q=a%20b&tag=1&tag=2"), "").await.unwrap(), expected);
    }

    #[tokio::test]
    async fn refuses_what_does_not_fit() {
        let post = || http::Request::post("/").header(CONTENT_TYPE, MEDIA_TYPE);
        assert_eq!(read(post(), "q=a&tag=x").await.unwrap_err().status(), 422);
        assert_eq!(read(http::Request::post("/"), "q=a").await.unwrap_err().status(), 415);
    }
}
