use super::limits::MultipartLimits;
use super::metered::{Budget, Metered};
use crate::base::Error;
use crate::web::buffered::{Buffer, BufferedBody};
use crate::web::extract::FromRequest;
use crate::web::limits::RouteLimits;
use crate::web::request::Request;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use std::fmt;
use std::path::Path;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

/// A form with files, read part by part as it arrives.
///
/// The body must have the media type `multipart/form-data`, else the answer is 415; a form that
/// is malformed or cut is answered with 400, what exceeds a limit with 413. The problem names
/// the `field` where there is one.
///
/// ```
/// use ember::prelude::*;
/// use ember::Multipart;
/// use ember::web::multipart::MultipartLimits;
///
/// #[post("/upload")]
/// async fn upload(form: Multipart) -> ember::Result<String> {
///     let mut form = form.limits(MultipartLimits::new().parts(2).part_size(10 << 20));
///     let mut answer = String::new();
///     while let Some(mut field) = form.next_field().await? {
///         let name = field.name().to_owned();
///         let mut size = 0;
///         while let Some(chunk) = field.chunk().await? {
///             size += chunk.len();
///         }
///         answer += &format!("{name}: {size} bytes\n");
///     }
///     Ok(answer)
/// }
/// ```
pub struct Multipart {
    parser: multer::Multipart<'static>,
    /// The part that was handed out last.
    current: Option<multer::Field<'static>>,
    limits: MultipartLimits,
    /// How many bytes of a part that is kept stay in memory.
    threshold: u64,
    budget: Budget,
    seen: usize,
}

impl Multipart {
    /// Sets the limits, before the first part is read.
    #[must_use]
    pub fn limits(mut self, limits: MultipartLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Reads up to the next part, and past what is left of the present one; `None` at the end.
    ///
    /// # Errors
    /// Status 400 for a form that is malformed or cut, 413 beyond a limit; otherwise whatever
    /// broke the transfer.
    pub async fn next_field(&mut self) -> Result<Option<Field<'_>>, Error> {
        if let Some(current) = self.current.take() {
            let mut rest = Field::new(self, current)?;
            while rest.chunk().await?.is_some() {}
            self.current = None;
        }
        self.budget.set(self.limits.header_size);
        let next = self.parser.next_field().await;
        self.budget.set(u64::MAX);
        let Some(field) = next.map_err(|error| refuse(error, None))? else {
            return Ok(None);
        };
        self.seen += 1;
        if self.seen > self.limits.parts {
            let message = format!("The form has more than {} parts.", self.limits.parts);
            return Err(Error::payload_too_large(message));
        }
        let sizes = field.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
        if sizes.sum::<usize>() as u64 > self.limits.header_size {
            let message = "A part of the form has headers that are too large.";
            return Err(Error::payload_too_large(message));
        }
        Field::new(self, field).map(Some)
    }
}

// The compiler's list of extractors is the same with and without features.
#[diagnostic::do_not_recommend]
impl FromRequest for Multipart {
    async fn from_request(request: Request) -> Result<Self, Error> {
        let media_type = request.header(CONTENT_TYPE).unwrap_or_default();
        let boundary = multer::parse_boundary(media_type).map_err(|error| refuse(error, None))?;
        let configured = request.route().and_then(|route| route.extensions.get().copied());
        let threshold = RouteLimits::of(&request).in_memory_threshold;
        let budget = Budget::unlimited();
        let body = Metered::new(request.into_body(), budget.clone());
        Ok(Self {
            parser: multer::Multipart::new(body, boundary),
            current: None,
            limits: configured.unwrap_or_default(),
            threshold: threshold.unwrap_or(RouteLimits::DEFAULT_THRESHOLD),
            budget,
            seen: 0,
        })
    }
}

impl fmt::Debug for Multipart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multipart")
            .field("limits", &self.limits)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

/// One part of a form, whose content is still to be read.
#[derive(Debug)]
pub struct Field<'a> {
    form: &'a mut Multipart,
    name: String,
    file_name: Option<String>,
    headers: HeaderMap,
    read: u64,
}

impl<'a> Field<'a> {
    fn new(form: &'a mut Multipart, part: multer::Field<'static>) -> Result<Self, Error> {
        let name = part.name().map(str::to_owned).ok_or_else(|| {
            // RFC 7578 §4.2 wants one.
            Error::bad_request("A part of the form has no name.")
        })?;
        let (file_name, headers) = (part.file_name().map(str::to_owned), part.headers().clone());
        form.current = Some(part);
        Ok(Self { form, name, file_name, headers, read: 0 })
    }

    /// The name of the field.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name that the file has where it comes from.
    ///
    /// It is any text that the client has chosen: nothing to make a path of.
    pub fn file_name(&self) -> Option<&str> {
        self.file_name.as_deref()
    }

    /// The media type that the client says the content has.
    pub fn content_type(&self) -> Option<&str> {
        self.headers.get(CONTENT_TYPE)?.to_str().ok()
    }

    /// The headers of the part.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Reads the next piece of the content; `None` at its end.
    ///
    /// # Errors
    /// As [`Multipart::next_field`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(part) = &mut self.form.current else {
            return Ok(None);
        };
        let chunk = part.chunk().await.map_err(|error| refuse(error, Some(&self.name)))?;
        let limit = self.form.limits.part_size;
        self.read += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if self.read > limit {
            let message = format!("The field `{}` has more than {limit} bytes.", self.name);
            return Err(Error::payload_too_large(message).with_member("field", &*self.name));
        }
        Ok(chunk)
    }

    /// Reads the whole content into memory.
    ///
    /// # Errors
    /// As [`Multipart::next_field`].
    pub async fn bytes(mut self) -> Result<Bytes, Error> {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    /// Reads the whole content as text, which must be UTF-8.
    ///
    /// # Errors
    /// As [`Multipart::next_field`], and status 400 for what is not UTF-8.
    pub async fn text(self) -> Result<String, Error> {
        let name = self.name.clone();
        String::from_utf8(self.bytes().await?.into()).map_err(|_| {
            Error::bad_request(format!("The field `{name}` is not UTF-8."))
                .with_member("field", name)
        })
    }

    /// Reads the whole content; a large one goes to a temporary file, beyond
    /// [`RouteLimits::in_memory_threshold`].
    ///
    /// # Errors
    /// As [`Multipart::next_field`]; a file that cannot be written is a 500.
    pub async fn buffer(mut self) -> Result<BufferedBody, Error> {
        let mut buffer = Buffer::new(self.form.threshold);
        while let Some(chunk) = self.chunk().await? {
            buffer.push(chunk).await?;
        }
        buffer.finish().await
    }

    /// Writes the content to a new file as it arrives, and returns its size. A file that is
    /// there already is not touched; one that is incomplete at an error is left for the caller
    /// to remove.
    ///
    /// # Errors
    /// As [`Multipart::next_field`]; when the file exists already or cannot be written, a 500.
    pub async fn save_to(mut self, path: impl AsRef<Path>) -> Result<u64, Error> {
        let mut file = File::create_new(path).await?;
        while let Some(chunk) = self.chunk().await? {
            file.write_all(&chunk).await?;
        }
        file.flush().await?;
        Ok(self.read)
    }
}

/// The answer to what the parser has found.
fn refuse(error: multer::Error, field: Option<&str>) -> Error {
    let refusal = match error {
        multer::Error::StreamReadFailed(error) => return Error::from_boxed(error),
        multer::Error::NoMultipart | multer::Error::DecodeContentType(_) => {
            return Error::unsupported_media_type(
                "The body must have the media type `multipart/form-data`.",
            );
        }
        multer::Error::NoBoundary => {
            return Error::bad_request("The media type of the body names no boundary.");
        }
        error => error,
    };
    let message = match (&refusal, field) {
        (_, Some(field)) => format!("The form is cut or malformed in the field `{field}`."),
        (multer::Error::IncompleteStream, None) => {
            "The form is cut, or does not have the boundary that its media type names.".to_owned()
        }
        (_, None) => "A part of the form has malformed headers.".to_owned(),
    };
    let refusal = Error::bad_request(message).with_source(refusal);
    match field {
        Some(field) => refusal.with_member("field", field),
        None => refusal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::BoxError;
    use crate::web::body::Body;
    use futures_util::stream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    const MEDIA_TYPE: &str = "multipart/form-data; boundary=XX";

    fn part(headers: &str, content: &str) -> String {
        format!("--XX\r\ncontent-disposition: form-data; {headers}\r\n\r\n{content}\r\n")
    }

    async fn form(media_type: &str, body: impl Into<Body>) -> Result<Multipart, Error> {
        let request = http::Request::post("/").header(CONTENT_TYPE, media_type);
        Multipart::from_request(request.body(body.into()).unwrap().into()).await
    }

    /// The form in pieces of a size, so that every boundary is split somewhere.
    fn pieces(text: &str, size: usize) -> Body {
        let pieces: Vec<_> = text.as_bytes().chunks(size).map(<[u8]>::to_vec).collect();
        Body::stream(stream::iter(pieces.into_iter().map(Ok::<_, BoxError>)))
    }

    async fn fail(body: impl Into<Body>, limits: MultipartLimits) -> Error {
        let mut form = form(MEDIA_TYPE, body).await.unwrap().limits(limits);
        loop {
            match form.next_field().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the form was accepted"),
                Err(error) => return error,
            }
        }
    }

    #[tokio::test]
    async fn parts_are_read_however_they_arrive() {
        let text = part("name=\"title\"", "Tea")
            + &part("name=\"skipped\"", &"x".repeat(1000))
            + &part(
                "name=\"file\"; filename=\"a b.txt\"\r\ncontent-type: text/plain",
                "line\r\n--X\r\n",
            )
            + "--XX--\r\n";
        for size in [1, 2, 3, 7, 64, 4096] {
            let mut form = form(MEDIA_TYPE, pieces(&text, size)).await.unwrap();
            let title = form.next_field().await.unwrap().unwrap();
            assert_eq!((title.name(), title.file_name()), ("title", None));
            assert_eq!(title.text().await.unwrap(), "Tea");
            let mut skipped = form.next_field().await.unwrap().unwrap();
            assert!(skipped.chunk().await.unwrap().is_some(), "and no more of it");
            let file = form.next_field().await.unwrap().unwrap();
            assert_eq!((file.name(), file.file_name()), ("file", Some("a b.txt")));
            assert_eq!(file.content_type(), Some("text/plain"));
            let mut kept = file.buffer().await.unwrap();
            assert!(kept.is_in_memory());
            assert_eq!(kept.len(), 11);
            let folder = std::env::temp_dir().join(crate::base::random_id().unwrap());
            assert_eq!(kept.save_to(&folder).await.unwrap(), 11);
            std::fs::remove_file(folder).unwrap();
            assert!(form.next_field().await.unwrap().is_none());
            assert!(form.next_field().await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn limits_hold_and_name_the_field() {
        let limits = MultipartLimits::new().parts(2).part_size(10).header_size(200);
        let end = "--XX--\r\n";
        let three = part("name=a", "1") + &part("name=b", "2") + &part("name=c", "3") + end;
        assert!(fail(three, limits).await.message().contains("more than 2 parts"));
        let error = fail(part("name=a", "12345678901") + end, limits).await;
        assert_eq!(error.status(), 413);
        assert_eq!(serde_json::to_value(error.problem()).unwrap()["field"], "a");
        let headers = format!("name=a\r\nx-long: {}", "y".repeat(300));
        assert_eq!(fail(part(&headers, "1") + end, limits).await.status(), 413);
        assert_eq!(fail(pieces(&part(&headers, "1"), 10), limits).await.status(), 413);
        let whole = Body::from(part("name=a", "123") + end).limit(20);
        assert_eq!(fail(whole, limits).await.status(), 413, "of the body");
    }

    #[tokio::test]
    async fn endless_headers_are_not_waited_for() {
        let endless = stream::repeat_with(|| Ok::<_, BoxError>(vec![b'h'; 100]));
        let limits = MultipartLimits::new().header_size(1000);
        assert_eq!(fail(Body::stream(endless), limits).await.status(), 413);
    }

    #[tokio::test]
    async fn an_upload_is_not_read_ahead() {
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = taken.clone();
        let first = stream::iter([part("name=a", "").trim_end().to_owned() + "\r\n\r\n"]);
        let rest = stream::repeat_with(move || {
            counted.fetch_add(1, Relaxed);
            "z".repeat(1000)
        });
        let body = futures_util::StreamExt::map(
            futures_util::StreamExt::chain(first, rest),
            Ok::<_, BoxError>,
        );
        let mut form = form(MEDIA_TYPE, Body::stream(body)).await.unwrap();
        let mut field = form.next_field().await.unwrap().unwrap();
        for _ in 0..10 {
            field.chunk().await.unwrap().unwrap();
        }
        assert!(taken.load(Relaxed) <= 13, "{taken:?} pieces were read for ten");
    }

    #[tokio::test]
    async fn what_is_malformed_is_refused() {
        let limits = MultipartLimits::new();
        for (media_type, status) in [
            ("application/json", 415),
            ("", 415),
            ("multipart/form-data", 400),
            ("multipart/mixed; boundary=XX", 415),
        ] {
            let error = form(media_type, "").await.unwrap_err();
            assert_eq!(error.status().as_u16(), status, "{media_type}");
        }
        for text in [
            String::new(),
            "no boundary".to_owned(),
            part("name=a", "1"),
            "--XX\r\nnonsense\r\n\r\n1\r\n--XX--\r\n".to_owned(),
            "--XX\r\nx: y\r\n\r\nno name\r\n--XX--\r\n".to_owned(),
        ] {
            assert_eq!(fail(text.clone(), limits).await.status(), 400, "{text}");
        }
        let broken = "--XX\r\ncontent-disposition: form-data; name=a\r\n\r\nhalf";
        let error = fail(broken, limits).await;
        assert_eq!(serde_json::to_value(error.problem()).unwrap()["field"], "a");
        let mut form = form(
            MEDIA_TYPE,
            Body::from(
                [
                    part("name=a", "").as_bytes().strip_suffix(b"\r\n").unwrap(),
                    b"\xff\r\n--XX--\r\n",
                ]
                .concat(),
            ),
        )
        .await
        .unwrap();
        let error = form.next_field().await.unwrap().unwrap().text().await.unwrap_err();
        assert_eq!(
            (error.status().as_u16(), error.message()),
            (400, "The field `a` is not UTF-8.")
        );
    }
}
