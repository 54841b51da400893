//! Sockets in the file system, for a proxy on the same machine.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// A socket in the file system that is to be listened on.
///
/// ```
/// use ember::web::server::UnixSocket;
///
/// let socket = UnixSocket::new("/run/app.sock").mode(0o660);
/// assert_eq!(socket.path().to_str(), Some("/run/app.sock"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixSocket {
    path: PathBuf,
    mode: Option<u32>,
}

impl UnixSocket {
    /// The socket at a path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mode: None }
    }

    /// Sets the permissions of the file; otherwise the process's umask decides.
    ///
    /// Whoever may write to the file may connect.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Binds the socket. One that nobody listens on any more is replaced.
    ///
    /// The file appears under its name when it has its permissions and is listened on.
    pub(super) fn bind(&self) -> io::Result<(UnixListener, SocketAddr, SocketFile)> {
        self.check()?;
        let address = SocketAddr::from_pathname(&self.path)?;
        let (listener, temporary) = bind_beside(&self.path)?;
        let ready = self
            .mode
            .map_or(Ok(()), |mode| fs::set_permissions(&temporary, Permissions::from_mode(mode)))
            .and_then(|()| SocketFile::of(&temporary, &self.path))
            .and_then(|file| fs::rename(&temporary, &self.path).map(|()| file));
        if ready.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        Ok((listener, address, ready?))
    }

    /// Refuses a path where somebody listens, or where something else stands.
    fn check(&self) -> io::Result<()> {
        match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
            Ok(there) if !there.file_type().is_socket() => {
                let text = format!("{} is there and is no socket", self.path.display());
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
            }
            Ok(_) => {}
        }
        match UnixStream::connect(&self.path) {
            Ok(_) => {
                let text = format!("another process listens on {}", self.path.display());
                Err(io::Error::new(io::ErrorKind::AddrInUse, text))
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Binds a socket in the folder of another, under a name that nothing has.
///
/// The name is short: the system allows few bytes for a path (`sun_path`), and the other may need all of them.
fn bind_beside(path: &Path) -> io::Result<(UnixListener, PathBuf)> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for number in 0..100 {
        let temporary = path.with_file_name(format!(".{number}"));
        match UnixListener::bind(&temporary) {
            Ok(listener) => return Ok((listener, temporary)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

impl<P: Into<PathBuf>> From<P> for UnixSocket {
    fn from(path: P) -> Self {
        Self::new(path)
    }
}

/// The file of a socket, which is removed when it is no longer listened on.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Its device and number, to tell it from one that has taken its place.
    identity: (u64, u64),
}

impl SocketFile {
    fn of(file: &Path, path: &Path) -> io::Result<Self> {
        let identity = identity(file)?;
        Ok(Self { path: path.to_owned(), identity })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let there = fs::symlink_metadata(path)?;
    Ok((there.dev(), there.ino()))
}

/// Who is at the other end of a Unix socket, as the kernel tells it.
///
/// It is among the [extensions](crate::web::RequestParts::extensions) of each request that came
/// over such a socket; the request's `remote_addr` is `None` then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnixPeer {
    /// The user.
    pub uid: u32,
    /// The user's primary group.
    pub gid: u32,
    /// The process, where the system tells it.
    pub pid: Option<i32>,
}

impl UnixPeer {
    pub(super) fn of(socket: &tokio::net::UnixStream) -> Option<Self> {
        let peer = socket.peer_cred().ok()?;
        Some(Self { uid: peer.uid(), gid: peer.gid(), pid: peer.pid() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("ember-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn every_path_that_the_system_allows_is_bound() {
        let folder = folder("unix-long");
        // That of Linux has room for 107 bytes, that of macOS and of the BSDs for 103.
        let longest = if cfg!(target_os = "linux") { 107 } else { 103 };
        let name = "s".repeat(longest - folder.as_os_str().len() - 1);
        let socket = UnixSocket::new(folder.join(name));
        fs::write(folder.join(".0"), "somebody's").unwrap();
        let (_listener, _, file) = socket.bind().unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        drop(file);
        assert_eq!(fs::read_to_string(folder.join(".0")).unwrap(), "somebody's");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = folder("unix-stale");
        let socket = UnixSocket::new(folder.join("app.sock")).mode(0o600);
        let (listener, _, file) = socket.bind().unwrap();
        let mode = fs::metadata(socket.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(socket.bind().unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        let (_listener, address, second) = socket.bind().unwrap();
        assert_eq!(address.as_pathname(), Some(socket.path()));
        drop(file);
        assert!(socket.path().exists(), "the file is another's by now");
        drop(second);
        assert!(!socket.path().exists());
        fs::write(socket.path(), "a file").unwrap();
        assert_eq!(socket.bind().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(socket.path()).unwrap(), "a file");
        fs::remove_dir_all(folder).unwrap();
    }
}
