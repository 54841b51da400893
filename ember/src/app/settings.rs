use crate::base::{Env, Error, Finding, Result};
use crate::web::server::ServerLimits;
#[cfg(feature = "tls")]
use crate::web::server::Tls;
#[cfg(unix)]
use crate::web::server::UnixSocket;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::num::NonZero;
use std::str::FromStr;

/// Where and how an application listens.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    #[cfg(unix)]
    pub(super) unix: Option<UnixSocket>,
    pub(super) workers: Option<usize>,
    pub(super) limits: ServerLimits,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
}

/// What is listened on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Tcp(SocketAddr),
    #[cfg(unix)]
    Unix(UnixSocket),
}

impl Settings {
    /// Fills in from the environment what the program has left open.
    pub(super) fn or_env(mut self, env: &Env, findings: &mut Vec<Finding>) -> Self {
        self.host = self.host.or_else(|| env.var("EMBER_HOST"));
        self.port = self.port.or_else(|| read(env, "EMBER_PORT", "a port", findings));
        self.workers = self.workers.or_else(|| {
            let workers = read(env, "EMBER_WORKERS", "a number of workers", findings);
            workers.map(NonZero::get)
        });
        self.tls_or_env(env, findings);
        if let Err(error) = self.place() {
            findings.push(Finding::new(error.message().to_owned()));
        }
        self
    }

    #[cfg(feature = "tls")]
    fn tls_or_env(&mut self, env: &Env, findings: &mut Vec<Finding>) {
        let tls = match (env.var("EMBER_TLS_CERT"), env.var("EMBER_TLS_KEY")) {
            _ if self.tls.is_some() => return,
            (None, None) => return,
            (Some(certificates), Some(key)) => Tls::from_pem_files(certificates, key),
            (Some(_), None) => {
                Err(Error::bad_request("EMBER_TLS_CERT is set, and EMBER_TLS_KEY is not"))
            }
            (None, Some(_)) => {
                Err(Error::bad_request("EMBER_TLS_KEY is set, and EMBER_TLS_CERT is not"))
            }
        };
        match tls {
            Ok(tls) => self.tls = Some(tls),
            Err(error) => {
                findings.push(Finding::new(format!("TLS cannot be used: {}", error.message())))
            }
        }
    }

    #[cfg(not(feature = "tls"))]
    fn tls_or_env(&mut self, env: &Env, findings: &mut Vec<Finding>) {
        // To serve in the clear what is meant to be encrypted would be worse than not to serve.
        if env.var("EMBER_TLS_CERT").or_else(|| env.var("EMBER_TLS_KEY")).is_some() {
            findings.push(Finding::new(
                "EMBER_TLS_CERT or EMBER_TLS_KEY is set, and the program was built without the feature `tls` of ember",
            ));
        }
    }

    /// Tells whether nobody but this machine reaches what is listened on, as far as settings tell. Behind
    /// a Unix socket there is a proxy more often than not.
    pub(super) fn is_local(&self) -> bool {
        match self.place() {
            Ok(Place::Tcp(address)) => address.ip().is_loopback(),
            #[cfg(unix)]
            Ok(Place::Unix(_)) => false,
            // What is wrong with the address is told already.
            Err(_) => true,
        }
    }

    /// What is to be listened on: a Unix socket if one is named, or an address.
    pub(super) fn place(&self) -> Result<Place> {
        #[cfg(unix)]
        {
            if let Some(socket) = &self.unix {
                return Ok(Place::Unix(socket.clone()));
            }
            if let Some(path) = self.host.as_deref().and_then(|host| host.strip_prefix("unix:")) {
                return Ok(Place::Unix(UnixSocket::new(path)));
            }
        }
        let host = self.host.as_deref().unwrap_or("127.0.0.1");
        let port = self.port.unwrap_or(8000);
        let addresses = (host, port).to_socket_addrs();
        let first = addresses.map(|mut addresses| addresses.next());
        first.ok().flatten().map(Place::Tcp).ok_or_else(|| {
            Error::bad_request(format!("`{host}` is no address to listen on; see EMBER_HOST"))
        })
    }
}

/// Reads a variable. To listen elsewhere than somebody has asked for would be worse than not to start.
fn read<T: FromStr>(env: &Env, name: &str, what: &str, findings: &mut Vec<Finding>) -> Option<T> {
    let text = env.var(name)?;
    let value = text.trim().parse().ok();
    if value.is_none() {
        findings.push(Finding::new(format!("{name} is `{text}`, which is not {what}")));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings<const N: usize>(variables: [(&str, &str); N]) -> (Settings, Vec<Finding>) {
        let mut findings = Vec::new();
        let settings = Settings::default().or_env(&Env::of(variables), &mut findings);
        (settings, findings)
    }

    #[test]
    fn a_place_is_an_address_or_a_socket() {
        let place = |settings: (Settings, Vec<Finding>)| settings.0.place();
        assert_eq!(place(settings([])).unwrap(), Place::Tcp(([127, 0, 0, 1], 8000).into()));
        let address = settings([("EMBER_HOST", "0.0.0.0"), ("EMBER_PORT", "80")]);
        assert_eq!(place(address).unwrap(), Place::Tcp(([0, 0, 0, 0], 80).into()));
        #[cfg(unix)]
        assert_eq!(
            place(settings([("EMBER_HOST", "unix:/run/app.sock")])).unwrap(),
            Place::Unix(UnixSocket::new("/run/app.sock"))
        );
        let error = place(settings([("EMBER_HOST", "no host")])).unwrap_err();
        assert!(error.message().contains("`no host` is no address"), "{error}");
    }

    #[test]
    fn what_cannot_be_listened_on_is_told() {
        let wrong = [("EMBER_PORT", "80a0"), ("EMBER_WORKERS", "0"), ("EMBER_HOST", "no host")];
        let findings = settings(wrong).1;
        let text: Vec<_> = findings.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(text.len(), 3, "{text:?}");
        assert!(text[0].contains("EMBER_PORT is `80a0`, which is not a port"), "{text:?}");
    }

    #[test]
    fn half_a_setting_of_tls_is_told() {
        assert!(settings([]).1.is_empty());
        let (_, findings) = settings([("EMBER_TLS_CERT", "cert.pem")]);
        assert_eq!(findings.len(), 1, "{findings:?}");
    }

    #[cfg(feature = "tls")]
    #[test]
    fn a_certificate_that_cannot_be_used_is_told_with_its_file() {
        let (_, findings) = settings([
            ("EMBER_TLS_CERT", "/nowhere/cert.pem"),
            ("EMBER_TLS_KEY", "/nowhere/key.pem"),
        ]);
        assert!(findings[0].message.contains("/nowhere/cert.pem cannot be read"), "{findings:?}");
    }
}
