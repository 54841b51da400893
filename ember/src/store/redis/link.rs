use crate::base::Error;
use crate::store::failure::{away, not_done, refused};
use crate::store::home::Home;
use redis::aio::MultiplexedConnection;
use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult,
    ServerErrorKind,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long nobody tries to connect after a failure to do so: at first, and at last.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// After what time without a command a connection is tried before it is used. One that was closed in
/// the meantime, by the server or by what stands before it, would tell so only by failing.
const IDLE: Duration = Duration::from_secs(1);

/// The connection to a server or a cluster, which is made when it is needed, and again when it broke.
///
/// One connection carries the commands of all, in a pipeline. While the server is away one of those
/// who need it tries to connect now and then; everybody else is told at once. A server that lets itself
/// be connected to and then does not answer is away as well.
#[derive(Debug)]
pub(super) struct Link {
    target: Target,
    timeout: Duration,
    state: Mutex<State>,
    /// Whether the present connection has answered something.
    answers: AtomicBool,
    home: Home,
}

#[derive(Debug, Clone)]
pub(super) enum Target {
    Server(Arc<Client>),
    Cluster(Arc<ClusterClient>),
}

#[derive(Clone)]
enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    /// Counts connections, so that a late failure of an old one does not end a new one.
    number: u64,
    /// When somebody last took the connection.
    used: Option<Instant>,
    back_off: Option<(Instant, Duration)>,
    reason: String,
}

impl State {
    /// Lets nobody connect for a while: longer each time, until something has been answered.
    fn pause(&mut self, reason: String) {
        let pause = self.back_off.map_or(BACK_OFF.0, |(_, last)| (last * 2).min(BACK_OFF.1));
        self.back_off = Some((Instant::now() + pause, pause));
        self.reason = reason;
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(target: Target, timeout: Duration) -> Self {
        let (state, answers, home) = (Mutex::default(), AtomicBool::new(false), Home::default());
        Self { target, timeout, state, answers, home }
    }

    /// Sends a command, and waits for its answer.
    pub(super) async fn send<T: FromRedisValue>(&self, command: Cmd) -> Result<T, Error> {
        self.send_by(command, None).await
    }

    /// Sends a command to one node of a cluster.
    pub(super) async fn send_to<T: FromRedisValue>(
        &self,
        command: Cmd,
        node: (String, u16),
    ) -> Result<T, Error> {
        self.send_by(command, Some(node)).await
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.target, Target::Cluster(_))
    }

    async fn send_by<T: FromRedisValue>(
        &self,
        command: Cmd,
        node: Option<(String, u16)>,
    ) -> Result<T, Error> {
        let (mut connection, number) = self.connection().await?;
        let answer = async {
            match (&mut connection, node) {
                (Connection::Server(server), _) => command.query_async(server).await,
                (Connection::Cluster(cluster), None) => command.query_async(cluster).await,
                (Connection::Cluster(cluster), Some((host, port))) => {
                    let node = SingleNodeRoutingInfo::ByAddress { host, port };
                    let value =
                        cluster.route_command(command, RoutingInfo::SingleNode(node)).await?;
                    Ok(redis::from_redis_value(value)?)
                }
            }
        };
        let outcome: RedisResult<T> = match tokio::time::timeout(self.timeout, answer).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let reason = format!("Redis did not answer within {:?}", self.timeout);
                self.drop_connection(number, &reason).await;
                return Err(away(reason));
            }
        };
        match outcome {
            Ok(value) => {
                self.answered().await;
                Ok(value)
            }
            Err(error) => {
                if is_broken(&error) {
                    self.drop_connection(number, &error.to_string()).await;
                }
                Err(told(error))
            }
        }
    }

    async fn answered(&self) {
        if !self.answers.load(Ordering::Relaxed) {
            self.state.lock().await.back_off = None;
            self.answers.store(true, Ordering::Relaxed);
        }
    }

    /// Forgets the connection, which ends when the last answer on it has come.
    pub(super) async fn close(&self) {
        self.state.lock().await.connection = None;
    }

    /// Does not use the connection any more.
    async fn drop_connection(&self, number: u64, reason: &str) {
        let mut state = self.state.lock().await;
        if state.number == number && state.connection.is_some() {
            state.connection = None;
            // One that has answered may just have ended; one that never did is no better the next time.
            if !self.answers.load(Ordering::Relaxed) {
                state.pause(reason.to_owned());
            }
        }
    }

    /// The present connection, or a new one. Whoever comes while another connects waits for that.
    async fn connection(&self) -> Result<(Connection, u64), Error> {
        let mut state = self.state.lock().await;
        let begun = Instant::now();
        let last_use = state.used.replace(begun);
        if let Some(connection) = &state.connection {
            let is_idle = last_use.is_some_and(|last| begun.duration_since(last) > IDLE);
            if !is_idle || is_alive(connection.clone(), self.timeout / 2).await {
                return Ok((connection.clone(), state.number));
            }
            state.connection = None;
        }
        if state.back_off.is_some_and(|(until, _)| Instant::now() < until) {
            return Err(not_done(state.reason.clone()));
        }
        let reason = match self.connect(begun.elapsed()).await {
            Ok(connection) => {
                state.number += 1;
                self.answers.store(false, Ordering::Relaxed);
                state.connection = Some(connection.clone());
                return Ok((connection, state.number));
            }
            Err(reason) => reason,
        };
        state.pause(reason.clone());
        Err(not_done(reason))
    }

    /// Connects in what is left of the time limit. Whatever is asked then has the whole of it.
    async fn connect(&self, gone: Duration) -> Result<Connection, String> {
        let (target, answer) = (self.target.clone(), self.timeout);
        let timeout = answer.saturating_sub(gone);
        let connecting = async move {
            let connected = async {
                Ok::<_, RedisError>(match target {
                    Target::Server(client) => {
                        let config = AsyncConnectionConfig::new()
                            .set_connection_timeout(Some(timeout))
                            .set_response_timeout(Some(answer));
                        let connected =
                            client.get_multiplexed_async_connection_with_config(&config);
                        Connection::Server(connected.await?)
                    }
                    Target::Cluster(client) => {
                        // A node that hangs must not keep the others from being found in time.
                        let config = ClusterConfig::new()
                            .set_connection_timeout(timeout / 4)
                            .set_response_timeout(answer);
                        let connected = client.get_async_connection_with_config(config);
                        Connection::Cluster(connected.await?)
                    }
                })
            };
            // A server that takes connections and says nothing is away as well.
            tokio::time::timeout(timeout, connected).await
        };
        match self.home.run(connecting).await {
            Ok(Ok(Ok(connection))) => Ok(connection),
            Ok(Ok(Err(error))) => Err(format!("no connection to Redis: {error}")),
            Ok(Err(_)) => Err(format!("no connection to Redis within {timeout:?}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Tells whether somebody answers. A cluster's connection looks after those to its nodes itself.
async fn is_alive(connection: Connection, limit: Duration) -> bool {
    let Connection::Server(mut server) = connection else { return true };
    let answer = async { redis::cmd("PING").query_async::<()>(&mut server).await };
    tokio::time::timeout(limit, answer).await.is_ok_and(|answer| answer.is_ok())
}

/// What an error tells. A server that answers has done nothing, and either is not ready or does not do this.
fn told(error: RedisError) -> Error {
    match error.kind() {
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::TryAgain,
        ) => not_done(error),
        ErrorKind::Server(_) | ErrorKind::Extension => refused(error),
        _ => away(error),
    }
}

/// Tells whether a connection is of no use any more after an error.
fn is_broken(error: &RedisError) -> bool {
    // A replica that was the primary refuses to be written to; the new one is found by connecting.
    !matches!(
        error.kind(),
        ErrorKind::Server(_) | ErrorKind::UnexpectedReturnType | ErrorKind::Extension
    ) || error.code() == Some("READONLY")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::failure::{is_not_done, is_refused};

    /// What an error of the server, or of the connection, tells.
    fn of(error: impl Into<RedisError>) -> (bool, bool) {
        let error = told(error.into());
        (is_not_done(&error), is_refused(&error))
    }

    #[test]
    fn what_the_server_answers_has_not_happened() {
        let answer = |kind| (ErrorKind::Server(kind), "x");
        assert_eq!(of(answer(ServerErrorKind::BusyLoading)), (true, false));
        assert_eq!(of(answer(ServerErrorKind::ReadOnly)), (true, true));
        assert_eq!(of((ErrorKind::Extension, "OOM")), (true, true));
        assert_eq!(of(std::io::Error::from(std::io::ErrorKind::ConnectionReset)), (false, false));
    }
}
