use super::connection::Peer;
use super::socket::AnySocket;
#[cfg(unix)]
use super::unix::{SocketFile, UnixPeer, UnixSocket};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
#[cfg(unix)]
use std::{os::unix::net::UnixListener, sync::Arc};

/// How many connections the kernel keeps for a listener that is busy.
const BACKLOG: i32 = 4096;

/// An address that is bound, once for each worker.
#[derive(Debug)]
pub struct Bind<A = SocketAddr> {
    listeners: Vec<Listener>,
    address: A,
}

/// What a worker accepts connections from.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, Option<Arc<SocketFile>>),
}

impl Bind {
    /// Binds one listener for each worker; the kernel spreads connections among them (SO_REUSEPORT).
    ///
    /// # Errors
    /// When the address is taken or not allowed.
    pub fn shared(address: SocketAddr, workers: usize) -> io::Result<Self> {
        // Two programs that both share would share with each other: the first bind excludes that.
        let exclusive = socket(address, false)?;
        let address = exclusive.local_addr()?.as_socket().unwrap_or(address);
        drop(exclusive);
        let listeners = (0..workers).map(|_| Ok(Listener::Tcp(socket(address, true)?.into())));
        Ok(Self { listeners: listeners.collect::<io::Result<_>>()?, address })
    }

    /// Shares one listener among the workers.
    ///
    /// # Errors
    /// When the listener cannot be shared.
    pub fn given(listener: TcpListener, workers: usize) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listeners: Listener::Tcp(listener).shared(workers)?, address })
    }
}

#[cfg(unix)]
impl Bind<std::os::unix::net::SocketAddr> {
    /// Binds a socket in the file system. Its file is removed when nobody listens on it any more.
    ///
    /// # Errors
    /// When another process listens there, something else than a socket is there, or the path is
    /// not allowed. A socket that nobody listens on is replaced.
    pub fn unix(socket: &UnixSocket, workers: usize) -> io::Result<Self> {
        let (listener, address, file) = socket.bind()?;
        listener.set_nonblocking(true)?;
        let listener = Listener::Unix(listener, Some(Arc::new(file)));
        Ok(Self { listeners: listener.shared(workers)?, address })
    }

    /// Shares one listener among the workers. Its file is not removed.
    ///
    /// # Errors
    /// When the listener cannot be shared.
    pub fn given_unix(listener: UnixListener, workers: usize) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listeners: Listener::Unix(listener, None).shared(workers)?, address })
    }
}

impl<A> Bind<A> {
    /// The address, with the port that the kernel chose where none was asked for.
    pub fn address(&self) -> A
    where
        A: Clone,
    {
        self.address.clone()
    }

    pub(super) fn into_parts(self) -> (A, Vec<Listener>) {
        (self.address, self.listeners)
    }
}

impl Listener {
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(listener) => Self::Tcp(listener.try_clone()?),
            #[cfg(unix)]
            Self::Unix(listener, file) => Self::Unix(listener.try_clone()?, file.clone()),
        })
    }

    fn shared(self, workers: usize) -> io::Result<Vec<Self>> {
        let more = (1..workers).map(|_| self.try_clone()).collect::<io::Result<Vec<_>>>()?;
        Ok(std::iter::once(self).chain(more).collect())
    }

    /// Begins to accept on the runtime of a worker.
    pub(super) fn acceptor(self) -> io::Result<Acceptor> {
        Ok(match self {
            Self::Tcp(listener) => Acceptor::Tcp(tokio::net::TcpListener::from_std(listener)?),
            #[cfg(unix)]
            Self::Unix(listener, file) => {
                Acceptor::Unix(tokio::net::UnixListener::from_std(listener)?, file)
            }
        })
    }
}

/// A [`Listener`] on a runtime.
#[derive(Debug)]
pub(super) enum Acceptor {
    Tcp(tokio::net::TcpListener),
    #[cfg(unix)]
    Unix(
        tokio::net::UnixListener,
        #[expect(dead_code, reason = "the file is removed when this is dropped")]
        Option<Arc<SocketFile>>,
    ),
}

/// A connection that was accepted.
#[derive(Debug)]
pub(super) enum Accepted {
    Tcp(tokio::net::TcpStream, SocketAddr),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

impl Acceptor {
    /// # Cancel safety
    /// No connection is lost when the future is dropped.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (socket, remote) = listener.accept().await?;
                // Answers are written whole; waiting for more to send would only delay them.
                let _ = socket.set_nodelay(true);
                Ok(Accepted::Tcp(socket, remote))
            }
            #[cfg(unix)]
            Self::Unix(listener, _) => Ok(Accepted::Unix(listener.accept().await?.0)),
        }
    }
}

impl Accepted {
    /// Says who is at the other end.
    pub(super) fn introduce(&self, peer: &mut Peer) {
        match self {
            Self::Tcp(_, remote) => peer.remote = Some(*remote),
            #[cfg(unix)]
            Self::Unix(socket) => peer.local = UnixPeer::of(socket),
        }
    }

    pub(super) fn into_socket(self) -> AnySocket {
        match self {
            Self::Tcp(socket, _) => AnySocket::Tcp(socket),
            #[cfg(unix)]
            Self::Unix(socket) => AnySocket::Unix(socket),
        }
    }
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier run that linger in the kernel do not hold the address.
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(shared)?;
    #[cfg(not(unix))]
    let _ = shared;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shared_by_workers_and_with_nobody_else() {
        let bind = Bind::shared(([127, 0, 0, 1], 0).into(), 3).unwrap();
        assert_ne!(bind.address().port(), 0);
        assert_eq!(Bind::shared(bind.address(), 1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(bind.into_parts().1.len(), 3);
    }
}
