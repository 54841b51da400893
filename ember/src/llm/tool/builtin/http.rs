use super::address::{Guard, NotPublic};
use super::{cut, only, tool};
use crate::base::Env;
use crate::llm::tool::{ParameterSchema, Tool, ToolError};
use http::header::LOCATION;
use reqwest::{Client, Response, Url, redirect};
use std::error::Error as StdError;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::timeout;

/// Fetches pages of the web; made by [`http_get`].
#[derive(Debug, Clone)]
#[must_use = "it becomes a tool where one is taken"]
pub struct HttpGet {
    timeout: Option<Duration>,
    max_bytes: Option<usize>,
    allowed: Vec<IpAddr>,
    env: Env,
}

/// A tool that fetches a page of the web over `http` or `https`.
///
/// It reaches the public internet only: no private, local or otherwise special address, be it
/// written out, behind a name, or where a redirect leads to. The connection is made to the very
/// address that was checked, and proxies are not used. The model reads the status, the address
/// that answered, and the text.
///
/// ```
/// # use ember::llm::{Client, FakeProvider, tool::builtin};
/// # use ember::prelude::*;
/// let tool = builtin::http_get().timeout(secs(5)).max_bytes(50_000);
/// let client = Client::new(FakeProvider::new()).tools([tool]);
/// # let _ = client;
/// ```
pub fn http_get() -> HttpGet {
    HttpGet { timeout: None, max_bytes: None, allowed: Vec::new(), env: Env::process() }
}

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;

impl HttpGet {
    /// How long a call may take, unless `EMBER_HTTP_TIMEOUT` (in seconds) or [`HttpGet::timeout`]
    /// says otherwise: 10 s.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    /// How many bytes of a page are read, unless `EMBER_HTTP_MAX_BYTES` or [`HttpGet::max_bytes`]
    /// says otherwise.
    pub const DEFAULT_MAX_BYTES: usize = 100_000;

    /// Sets how long a call may take, redirects included, in place of `EMBER_HTTP_TIMEOUT`.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Sets how many bytes of a page are read, in place of `EMBER_HTTP_MAX_BYTES`.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Lets an address be reached although it is not public: a service of one's own.
    pub fn allow(mut self, address: impl Into<IpAddr>) -> Self {
        self.allowed.push(address.into());
        self
    }

    /// Reads settings from here, instead of the environment of this process.
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    fn time_limit(&self) -> Duration {
        let seconds = || self.env.parse_if("EMBER_HTTP_TIMEOUT", |seconds: &f64| *seconds > 0.0);
        let set = || Duration::try_from_secs_f64(seconds()?).ok();
        self.timeout.or_else(set).unwrap_or(Self::DEFAULT_TIMEOUT)
    }

    fn size_limit(&self) -> usize {
        let accept = |bytes: &usize| *bytes > 0;
        let set = self.max_bytes.or_else(|| self.env.parse_if("EMBER_HTTP_MAX_BYTES", accept));
        set.unwrap_or(Self::DEFAULT_MAX_BYTES)
    }
}

/// The tool at work.
struct Fetcher {
    settings: HttpGet,
    guard: Guard,
    /// Made with the first call.
    client: OnceLock<Client>,
}

impl Fetcher {
    async fn fetch(&self, address: &str) -> Result<String, ToolError> {
        let limit = self.settings.time_limit();
        match timeout(limit, self.follow(address)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let seconds = limit.as_secs_f64();
                Err(ToolError::new(format!("`{address}` did not answer within {seconds} seconds")))
            }
        }
    }

    async fn follow(&self, address: &str) -> Result<String, ToolError> {
        let mut url = Url::parse(address)
            .map_err(|error| ToolError::new(format!("`{address}` is no address: {error}")))?;
        for _ in 0..=MAX_REDIRECTS {
            self.check(&url)?;
            let response = self.client()?.get(url.clone()).send().await.map_err(told)?;
            let to =
                response.headers().get(LOCATION).filter(|_| response.status().is_redirection());
            let Some(to) = to else { return self.read(response).await };
            let to = to.to_str().ok().and_then(|to| url.join(to).ok());
            url =
                to.ok_or_else(|| ToolError::new(format!("`{url}` leads to no usable address")))?;
        }
        Err(ToolError::new(format!("`{address}` leads on more than {MAX_REDIRECTS} times")))
    }

    /// Checks what can be seen in an address; what a name leads to is checked by the guard.
    fn check(&self, url: &Url) -> Result<(), ToolError> {
        if !matches!(url.scheme(), "http" | "https") {
            let message = format!("only http and https addresses can be fetched, not `{url}`");
            return Err(ToolError::new(message));
        }
        let host = url.host_str().unwrap_or_default();
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match literal {
            Ok(address) if !self.guard.permits(address) => {
                Err(ToolError::new(NotPublic { host: host.to_owned() }.to_string()))
            }
            _ => Ok(()),
        }
    }

    async fn read(&self, mut response: Response) -> Result<String, ToolError> {
        let limit = self.settings.size_limit();
        let head = format!("{} {}\n\n", response.status().as_u16(), response.url());
        let mut bytes = Vec::new();
        while bytes.len() <= limit
            && let Some(chunk) = response.chunk().await.map_err(told)?
        {
            // One byte more than the limit tells that there is more.
            let room = limit.saturating_add(1).saturating_sub(bytes.len());
            bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        Ok(head + &cut(&bytes, limit))
    }

    fn client(&self) -> Result<&Client, ToolError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // An application that has chosen a provider of cryptography keeps it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .dns_resolver(Arc::new(self.guard.clone()))
            .redirect(redirect::Policy::none())
            // A proxy would find the address by itself.
            .no_proxy()
            // Calls come from several runtimes, and a connection belongs to one of them.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("ember/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(self.client.get_or_init(|| client))
    }
}

/// What the model reads of a failure: that an address is not public, or what happened and why.
fn told(error: reqwest::Error) -> ToolError {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    match causes.filter_map(|cause| cause.downcast_ref::<NotPublic>()).next() {
        Some(refused) => ToolError::new(refused.to_string()),
        None => ToolError::from(error),
    }
}

impl From<HttpGet> for Tool {
    fn from(settings: HttpGet) -> Self {
        let guard = Guard { allowed: settings.allowed.clone().into() };
        let fetcher = Arc::new(Fetcher { settings, guard, client: OnceLock::new() });
        let about = "Address of the page, for example \"https://example.com/\".";
        let url = ParameterSchema::new("url", "string", about);
        tool("http_get", "Fetches a page of the web.", url, move |arguments| {
            let fetcher = fetcher.clone();
            async move {
                let url: String = only(arguments, "url")?;
                fetcher.fetch(&url).await
            }
        })
        // It has a limit of its own.
        .timeout(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{millis, secs};

    #[test]
    fn the_time_limit_is_that_of_the_call_then_the_variable_then_the_default() {
        let limit =
            |text: &str| http_get().env(Env::of([("EMBER_HTTP_TIMEOUT", text)])).time_limit();
        for unusable in ["", "soon", "-3", "0", "NaN", "inf", "1e300"] {
            assert_eq!(limit(unusable), secs(10), "{unusable}");
        }
        assert_eq!(limit("2.5"), millis(2_500));
        let both = http_get().env(Env::of([("EMBER_HTTP_TIMEOUT", "3")])).timeout(secs(1));
        assert_eq!(both.time_limit(), secs(1));
    }
}
