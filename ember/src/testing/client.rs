#![expect(clippy::panic, reason = "a test that cannot even be written down must fail")]

use super::TestResponse;
use crate::app::{Ember, Ready};
use crate::base::Result;
use crate::web::Body;
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use serde::Serialize;
use std::net::SocketAddr;

/// Calls an application directly, without a socket.
#[derive(Debug, Clone)]
pub struct TestClient {
    app: Ready,
    peer: Option<SocketAddr>,
}

macro_rules! methods {
    ($($name:ident $method:ident;)*) => {$(
        #[doc = concat!("Begins a ", stringify!($method), " request.")]
        pub fn $name(&self, target: &str) -> TestRequest {
            self.request(Method::$method, target)
        }
    )*};
}

impl TestClient {
    /// A client of an application.
    pub fn new(app: Ready) -> Self {
        Self { app, peer: None }
    }

    /// The same application, asked from this address as if over TCP, and by the name `localhost` unless
    /// a request says another `Host`. Without it a request has no address.
    ///
    /// ```
    /// use ember::llm::{Client, FakeProvider};
    /// use ember::testing::TestClient;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let app = ember::Ember::new().client(Client::new(FakeProvider::new())).openai_api("/v1");
    /// let client = TestClient::new(app.build().unwrap());
    /// assert_eq!(client.get("/v1/models").send().await.status(), 401);
    /// // Without keys, this API answers its own machine alone.
    /// let client = client.peer(([127, 0, 0, 1], 50_000));
    /// assert_eq!(client.get("/v1/models").send().await.status(), 200);
    /// # }
    /// ```
    #[must_use]
    pub fn peer(mut self, address: impl Into<SocketAddr>) -> Self {
        self.peer = Some(address.into());
        self
    }

    /// Checks and starts an application: its components are made, and the hooks of the start run.
    ///
    /// # Errors
    /// Whatever keeps the application from starting.
    pub async fn start(app: Ember) -> Result<Self> {
        Ok(Self::new(app.build()?.start().await?))
    }

    /// Runs the hooks of the stop, and takes the components down.
    pub async fn stop(self) {
        self.app.stop().await;
    }

    /// The application.
    pub fn app(&self) -> &Ready {
        &self.app
    }

    /// Begins a request.
    pub fn request(&self, method: Method, target: &str) -> TestRequest {
        TestRequest {
            app: self.app.clone(),
            peer: self.peer,
            method,
            target: target.to_owned(),
            headers: HeaderMap::new(),
            body: Body::empty(),
        }
    }

    methods! {
        get GET;
        post POST;
        put PUT;
        patch PATCH;
        delete DELETE;
        head HEAD;
        options OPTIONS;
    }
}

/// A request that is put together and then sent.
///
/// # Panics
/// Its methods panic, with the reason, when something cannot stand in a request.
#[derive(Debug)]
#[must_use = "a request is sent by `send`"]
pub struct TestRequest {
    app: Ready,
    peer: Option<SocketAddr>,
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Body,
}

impl TestRequest {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => self.headers.append(name, value),
            _ => panic!("`{name}: {value}` is no header"),
        };
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body to a value in JSON.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => self.content_type("application/json").body(bytes),
            Err(error) => panic!("the value cannot be written as JSON: {error}"),
        }
    }

    /// Sets the body to the fields of a form.
    pub fn form<T: Serialize + ?Sized>(self, fields: &T) -> Self {
        match serde_html_form::to_string(fields) {
            Ok(text) => self.content_type("application/x-www-form-urlencoded").body(text),
            Err(error) => panic!("the value cannot be written as a form: {error}"),
        }
    }

    fn content_type(mut self, media_type: &'static str) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        self
    }

    /// Sends the request, and waits for the head of the response.
    pub async fn send(self) -> TestResponse {
        let request =
            http::Request::builder().method(self.method).uri(&self.target).body(self.body);
        match request {
            Ok(mut request) => {
                *request.headers_mut() = self.headers;
                if self.peer.is_some() && request.uri().authority().is_none() {
                    let host = HeaderValue::from_static("localhost");
                    request.headers_mut().entry(HOST).or_insert(host);
                }
                TestResponse::new(self.app.site().answer(request, self.peer).await)
            }
            Err(error) => panic!("`{}` is no target of a request: {error}", self.target),
        }
    }
}
