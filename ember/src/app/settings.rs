use crate::base::{Env, Error, Result};
use crate::web::server::ServerLimits;
use std::net::{SocketAddr, ToSocketAddrs as _};

/// Where and how an application listens.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) workers: Option<usize>,
    pub(super) limits: ServerLimits,
}

impl Settings {
    /// Fills in from the environment what the program has left open.
    pub(super) fn or_env(mut self, env: &Env) -> Self {
        self.host = self.host.or_else(|| env.var("EMBER_HOST"));
        self.port = self.port.or_else(|| env.parse_if("EMBER_PORT", |_| true));
        self.workers =
            self.workers.or_else(|| env.parse_if("EMBER_WORKERS", |workers| *workers > 0));
        self
    }

    pub(super) fn address(&self) -> Result<SocketAddr> {
        let host = self.host.as_deref().unwrap_or("127.0.0.1");
        let port = self.port.unwrap_or(8000);
        let addresses = (host, port).to_socket_addrs();
        let first = addresses.map(|mut addresses| addresses.next());
        first.ok().flatten().ok_or_else(|| {
            Error::bad_request(format!("`{host}` is no address to listen on; see EMBER_HOST"))
        })
    }
}
