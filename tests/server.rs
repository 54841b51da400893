use ember::Ember;
use ember::app::Running;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// A server that ends with the test.
#[derive(Debug)]
pub struct Server(Option<Running>);

impl Server {
    /// Serves an application on a free port of this machine.
    pub fn start(app: Ember) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self(Some(app.serve(listener).unwrap()))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.running().address()
    }

    /// Begins to stop, and cuts off what is not done after this time.
    pub fn stop(&self, grace: Duration) {
        self.running().stop().within(grace);
    }

    /// The server itself, which does not end with the test any more.
    pub fn take(&mut self) -> Running {
        self.0.take().unwrap()
    }

    fn running(&self) -> &Running {
        self.0.as_ref().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            running.stop().within(Duration::ZERO);
            running.join();
        }
    }
}
