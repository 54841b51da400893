//! Encrypted connections.

use super::activity::Activity;
use super::wire::Wire;
use crate::base::{Error, Result};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What a server proves its name with: a chain of certificates, and the private key of the first.
///
/// TLS 1.2 and 1.3 are spoken, by rustls with ring; clients are offered HTTP/2 and HTTP/1.1 (ALPN,
/// RFC 7301). Certificates that came from files are read again by [`reload`](Self::reload), which
/// a running application does on SIGHUP; connections that are open keep what they have.
///
/// ```no_run
/// use ember::prelude::*;
/// use ember::web::server::Tls;
///
/// fn main() -> ember::Result {
///     ember::app!().tls(Tls::from_pem_files("cert.pem", "key.pem")?).port(8443).run()
/// }
/// ```
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
    files: Option<(PathBuf, PathBuf)>,
}

/// The certificate of new connections.
struct Current(RwLock<Arc<CertifiedKey>>);

impl Tls {
    /// Reads a chain of certificates and a private key (PKCS #8, PKCS #1 or SEC 1) from PEM files.
    ///
    /// # Errors
    /// When a file cannot be read or holds nothing of the kind, or the key is not that of the
    /// first certificate; the error names the file.
    pub fn from_pem_files(certificates: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self> {
        let files = (certificates.as_ref().to_owned(), key.as_ref().to_owned());
        let certified = read(&files.0, &files.1)?;
        Self::new(certified, Some(files))
    }

    /// Takes a chain of certificates and a private key in PEM.
    ///
    /// # Errors
    /// As [`Tls::from_pem_files`].
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self> {
        Self::new(certify(certificates, key, "the certificates", "the key")?, None)
    }

    fn new(certified: CertifiedKey, files: Option<(PathBuf, PathBuf)>) -> Result<Self> {
        let current = Arc::new(Current(RwLock::new(Arc::new(certified))));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::internal("TLS cannot be set up").with_source(error))?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), current, files })
    }

    /// Reads the files again; new connections are served with what they hold now.
    ///
    /// Returns whether there was something to read.
    ///
    /// # Errors
    /// As [`Tls::from_pem_files`]; what was in use stays in use.
    pub fn reload(&self) -> Result<bool> {
        let Some((certificates, key)) = &self.files else { return Ok(false) };
        let certified = Arc::new(read(certificates, key)?);
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
        Ok(true)
    }

    /// Shakes hands within the limit. Clients that fail are everyday, and only a debugger is told.
    pub(super) async fn accept(
        &self,
        socket: TcpStream,
        activity: &Arc<Activity>,
        limit: Duration,
    ) -> Option<TlsStream<Wire<TcpStream>>> {
        let socket = Wire::new(socket, activity.clone());
        match timeout(limit, self.acceptor.accept(socket)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!("a TLS handshake took too long");
                None
            }
        }
    }
}

impl fmt::Debug for Tls {
    /// Prints where the key lies, and never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn read(certificates: &Path, key: &Path) -> Result<CertifiedKey> {
    let read = |path: &Path| {
        fs::read(path).map_err(|error| {
            Error::bad_request(format!("{} cannot be read: {error}", path.display()))
        })
    };
    certify(
        &read(certificates)?,
        &read(key)?,
        &certificates.display().to_string(),
        &key.display().to_string(),
    )
}

/// Checks that certificates and key belong together. The names are for messages.
fn certify(
    certificates: &[u8],
    key: &[u8],
    certificates_name: &str,
    key_name: &str,
) -> Result<CertifiedKey> {
    let chain = CertificateDer::pem_slice_iter(certificates)
        .collect::<Result<Vec<_>, pem::Error>>()
        .map_err(|error| Error::bad_request(format!("{certificates_name}: {error}")))?;
    if chain.is_empty() {
        return Err(Error::bad_request(format!("{certificates_name}: there is no certificate")));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
        Error::bad_request(match error {
            pem::Error::NoItemsFound => format!("{key_name}: there is no private key"),
            error => format!("{key_name}: {error}"),
        })
    })?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
        Error::bad_request(match error {
            rustls::Error::InconsistentKeys(_) => {
                format!("{key_name}: it is not the key of the certificate in {certificates_name}")
            }
            rustls::Error::InvalidCertificate(error) => format!("{certificates_name}: {error}"),
            error => format!("{key_name}: {error}"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(certificates: &str, key: &str) -> String {
        Tls::from_pem(certificates.as_bytes(), key.as_bytes()).unwrap_err().message().to_owned()
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(refusal("", ""), "the certificates: there is no certificate");
        let block = |name: &str| format!("-----BEGIN {name}-----\nAAAA\n-----END {name}-----\n");
        let certificate = block("CERTIFICATE");
        assert_eq!(refusal(&certificate, &certificate), "the key: there is no private key");
        assert!(refusal(&certificate, &block("PRIVATE KEY")).starts_with("the key: "));
        let error = Tls::from_pem_files("/nowhere/cert.pem", "/nowhere/key.pem").unwrap_err();
        assert!(error.message().starts_with("/nowhere/cert.pem cannot be read: "), "{error}");
    }
}
