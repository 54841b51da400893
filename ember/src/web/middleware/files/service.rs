use super::conditional::{Conditions, Outcome, drop_unserved_range, same_version, take_if_range};
use super::resolve::{Found, Rules, Stamps};
use crate::base::{Error, ErrorKind, Finding};
use crate::web::body::Body;
use crate::web::request::OriginalUri;
use crate::web::response::{IntoResponse, Redirect, Response};
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, LAST_MODIFIED, RANGE, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, StatusCode, Uri};
use std::convert::Infallible;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_http::services::ServeDir;
use tower_service::Service;

/// The files of a folder.
///
/// ```
/// use ember::prelude::*;
/// use ember::web::middleware::StaticFiles;
///
/// # let folder = env!("CARGO_MANIFEST_DIR");
/// # std::env::set_current_dir(folder).unwrap();
/// let app = Ember::new()
///     .files("/static", "src")
///     .files("/app", StaticFiles::new("src").precompressed().cache_control("max-age=3600"));
/// # app.build().unwrap();
/// ```
///
/// GET and HEAD are answered, with the type that the name's end tells, `Last-Modified`, a strong
/// `ETag` of time and length, conditional requests (RFC 9110 §13) and one range of bytes (§14;
/// where several are asked for, the whole file is sent). A folder is answered by its `index.html`;
/// its contents are never listed.
///
/// Nothing outside of the folder is served: no `..` in any spelling, and no symbolic link that
/// leads out of it, unless [`StaticFiles::links_anywhere`] allows that. (A link that is changed
/// between the look at it and the opening could still lead out: whoever may write into the folder
/// is trusted.) Names that begin with a dot are not served, unless
/// [`StaticFiles::hidden_files`] allows it. All of these are answered with 404, as what does not
/// exist.
#[doc(alias = "StaticFilesMiddleware")]
#[derive(Debug, Clone)]
pub struct StaticFiles {
    settings: Arc<Settings>,
}

#[derive(Debug, Clone)]
struct Settings {
    rules: Rules,
    fallback: Option<String>,
    cache_control: Option<HeaderValue>,
    malformed: Option<String>,
}

impl StaticFiles {
    /// The files of this folder and of those below.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let rules = Rules {
            root: folder.into(),
            hidden: false,
            links_anywhere: false,
            index: true,
            precompressed: false,
        };
        let settings = Settings { rules, fallback: None, cache_control: None, malformed: None };
        Self { settings: Arc::new(settings) }
    }

    /// Sends `name.br`, `name.gz` or `name.zst` for `name`, where there is one and the client understands it.
    #[must_use]
    pub fn precompressed(mut self) -> Self {
        self.change().rules.precompressed = true;
        self
    }

    /// Serves names that begin with a dot as well.
    #[must_use]
    pub fn hidden_files(mut self) -> Self {
        self.change().rules.hidden = true;
        self
    }

    /// Follows symbolic links that lead out of the folder.
    #[must_use]
    pub fn links_anywhere(mut self) -> Self {
        self.change().rules.links_anywhere = true;
        self
    }

    /// Answers 404 for folders, instead of their `index.html`.
    #[must_use]
    pub fn without_index(mut self) -> Self {
        self.change().rules.index = false;
        self
    }

    /// Sends this file of the folder where nothing is found, with status 200: for applications in the browser that have addresses of their own.
    #[must_use]
    pub fn fallback(mut self, file: impl Into<String>) -> Self {
        self.change().fallback = Some(file.into());
        self
    }

    /// Sets the `Cache-Control` of what is found; without it none is sent.
    #[must_use]
    pub fn cache_control(mut self, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => self.change().cache_control = Some(value),
            Err(_) => self.change().malformed = Some(value.to_owned()),
        }
        self
    }

    fn change(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    /// Says what is wrong with the settings, for the start-up check.
    pub(crate) fn check(&self) -> Vec<Finding> {
        let Settings { rules, fallback, malformed, .. } = &*self.settings;
        let root = rules.root.display();
        let mut findings = Vec::new();
        if !rules.root.is_dir() {
            findings.push(Finding::new(format!("there is no folder `{root}` to serve files from")));
        } else if let Some(fallback) = fallback
            && !matches!(rules.look(fallback), Found::File(_))
        {
            findings.push(Finding::new(format!(
                "there is no file `{fallback}` in `{root}` to fall back to"
            )));
        }
        if let Some(text) = malformed {
            findings.push(Finding::new(format!("{text:?} is no value of `Cache-Control`")));
        }
        findings
    }
}

impl From<&str> for StaticFiles {
    fn from(folder: &str) -> Self {
        Self::new(folder)
    }
}

impl From<String> for StaticFiles {
    fn from(folder: String) -> Self {
        Self::new(folder)
    }
}

impl From<&Path> for StaticFiles {
    fn from(folder: &Path) -> Self {
        Self::new(folder)
    }
}

impl From<PathBuf> for StaticFiles {
    fn from(folder: PathBuf) -> Self {
        Self::new(folder)
    }
}

impl Service<http::Request<Body>> for StaticFiles {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let settings = self.settings.clone();
        let (head, _) = request.into_parts();
        Box::pin(
            async move { Ok(settings.answer(head).await.unwrap_or_else(Error::into_response)) },
        )
    }
}

impl Settings {
    async fn answer(self: Arc<Self>, head: http::request::Parts) -> Result<Response, Error> {
        let allow = HeaderValue::from_static("GET, HEAD, OPTIONS");
        match head.method {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS => {
                return Ok((StatusCode::NO_CONTENT, [(ALLOW, allow)], ()).into_response());
            }
            _ => {
                return Ok(([(ALLOW, allow)], refusal(ErrorKind::MethodNotAllowed)).into_response());
            }
        }
        let asked = self.rules.decode(head.uri.path()).map(|path| path.into_owned());
        let found = match asked {
            None => Found::Nothing,
            Some(path) => self.clone().look(path).await?,
        };
        match found {
            Found::File(stamps) => {
                self.send(head.method, head.uri.path(), head.headers, stamps).await
            }
            Found::Folder => Ok(Redirect::permanent(with_slash(&head)).into_response()),
            Found::Nothing => match self.fallback.clone() {
                None => Err(refusal(ErrorKind::NotFound)),
                Some(file) => match self.clone().look(file.clone()).await? {
                    Found::File(stamps) => {
                        let path =
                            format!("/{}", percent_encoding::utf8_percent_encode(&file, PATH));
                        self.send(head.method, &path, head.headers, stamps).await
                    }
                    _ => Err(refusal(ErrorKind::NotFound)),
                },
            },
        }
    }

    async fn look(self: Arc<Self>, path: String) -> Result<Found, Error> {
        Ok(tokio::task::spawn_blocking(move || self.rules.look(&path)).await?)
    }

    /// Sends a file that was found.
    async fn send(
        &self,
        method: Method,
        path: &str,
        mut headers: HeaderMap,
        stamps: Stamps,
    ) -> Result<Response, Error> {
        let conditions = Conditions::take(&mut headers);
        drop_unserved_range(&mut headers);
        if method == Method::HEAD {
            // Ranges are defined for GET only.
            headers.remove(RANGE);
        }
        if stamps.has_stray_variant {
            headers.remove(ACCEPT_ENCODING);
        }
        let uri: Uri = path.parse()?;
        if let Some(if_range) = take_if_range(&mut headers) {
            // Which of the variants it would be is known only when it is asked for.
            let mut whole = headers.clone();
            whole.remove(RANGE);
            let whole = self.open(Method::HEAD, &uri, whole).await?;
            if !same_version(&if_range, tag(&whole, &stamps).as_deref(), whole.headers()) {
                headers.remove(RANGE);
            }
        }
        let mut response = self.open(method, &uri, headers).await?;
        let tag = tag(&response, &stamps);
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => {}
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let length = response.headers().get(CONTENT_RANGE).cloned();
                let sentence = "The range lies beyond the end of the file.";
                let mut refused =
                    Error::new(ErrorKind::RangeNotSatisfiable, sentence).into_response();
                refused.headers_mut().extend(length.map(|length| (CONTENT_RANGE, length)));
                return Ok(refused);
            }
            // It has gone since it was looked for, or may not be read.
            StatusCode::NOT_FOUND => return Err(refusal(ErrorKind::NotFound)),
            status => return Err(Error::internal(format!("a file is answered with {status}"))),
        }
        let modified = response.headers().get(LAST_MODIFIED).and_then(|value| value.to_str().ok());
        let modified = modified.and_then(|text| httpdate::parse_http_date(text).ok());
        self.describe(response.headers_mut(), tag.as_deref());
        match conditions.evaluate(tag.as_deref(), modified) {
            Outcome::Send => Ok(response),
            Outcome::Failed => {
                Err(Error::new(ErrorKind::PreconditionFailed, "The file has changed."))
            }
            Outcome::NotModified => {
                let (mut head, _) = response.into_parts();
                head.status = StatusCode::NOT_MODIFIED;
                for name in
                    [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING, CONTENT_RANGE, ACCEPT_RANGES]
                {
                    head.headers.remove(name);
                }
                Ok(Response::from_parts(head, Body::empty()))
            }
        }
    }

    /// Adds what every answer with a file tells.
    fn describe(&self, headers: &mut HeaderMap, tag: Option<&str>) {
        if let Some(tag) = tag.and_then(|tag| HeaderValue::from_str(tag).ok()) {
            headers.insert(ETAG, tag);
        }
        if let Some(value) = &self.cache_control {
            headers.insert(CACHE_CONTROL, value.clone());
        }
        if self.rules.precompressed {
            headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        }
        // What the type says is what it is.
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }

    /// Lets tower-http open the file.
    async fn open(&self, method: Method, uri: &Uri, headers: HeaderMap) -> Result<Response, Error> {
        let mut folder = ServeDir::new(&self.rules.root);
        if self.rules.precompressed {
            folder = folder.precompressed_br().precompressed_gzip().precompressed_zstd();
        }
        let mut request = http::Request::new(Body::empty());
        *request.method_mut() = method;
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers;
        Ok(folder.try_call(request).await?.map(Body::new))
    }
}

/// What has to be encoded in a path.
const PATH: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

fn refusal(kind: ErrorKind) -> Error {
    Error::new(kind, kind.sentence())
}

/// The target as the client sent it, with a slash at the end of its path.
fn with_slash(head: &http::request::Parts) -> String {
    let original = head.extensions.get::<OriginalUri>();
    let uri = original.map_or(&head.uri, |OriginalUri(uri)| uri);
    match uri.query() {
        Some(query) => format!("{}/?{query}", uri.path()),
        None => format!("{}/", uri.path()),
    }
}

/// The tag of what a response sends, in whole or in part.
fn tag(response: &Response, stamps: &Stamps) -> Option<String> {
    let headers = response.headers();
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let stamp = stamps.of_encoding(text(CONTENT_ENCODING))?;
    let length = match text(CONTENT_RANGE) {
        Some(range) => range.rsplit_once('/')?.1,
        None => text(CONTENT_LENGTH)?,
    };
    // Another length is another version, which came between the look and the opening.
    (length.parse() == Ok(stamp.length)).then(|| stamp.tag())?
}
