use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// How many connections the kernel keeps for a listener that is busy.
const BACKLOG: i32 = 4096;

/// An address that is bound, once for each worker.
#[derive(Debug)]
pub struct Bind {
    listeners: Vec<TcpListener>,
    address: SocketAddr,
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
        let listeners = (0..workers).map(|_| socket(address, true).map(TcpListener::from));
        Ok(Self { listeners: listeners.collect::<io::Result<_>>()?, address })
    }

    /// Shares one listener among the workers.
    ///
    /// # Errors
    /// When the listener cannot be shared.
    pub fn given(listener: TcpListener, workers: usize) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let more = (1..workers).map(|_| listener.try_clone()).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { listeners: std::iter::once(listener).chain(more).collect(), address })
    }

    /// The address, with the port that the kernel chose where none was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn into_listeners(self) -> Vec<TcpListener> {
        self.listeners
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
        assert_eq!(bind.into_listeners().len(), 3);
    }
}
