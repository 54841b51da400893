use crate::base::Error;
use crate::store::failure::away;
use crate::store::home::Home;
use redis::aio::MultiplexedConnection;
use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult,
};
use std::sync::Arc;
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
/// who need it tries to connect now and then; everybody else is told at once.
#[derive(Debug)]
pub(super) struct Link {
    target: Target,
    timeout: Duration,
    state: Mutex<State>,
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

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(target: Target, timeout: Duration) -> Self {
        Self { target, timeout, state: Mutex::default(), home: Home::default() }
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
                self.drop_connection(number).await;
                return Err(away(format!("Redis did not answer within {:?}", self.timeout)));
            }
        };
        match outcome {
            Ok(value) => Ok(value),
            Err(error) => {
                if is_broken(&error) {
                    self.drop_connection(number).await;
                }
                Err(away(error))
            }
        }
    }

    async fn drop_connection(&self, number: u64) {
        let mut state = self.state.lock().await;
        if state.number == number {
            state.connection = None;
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
            return Err(away(state.reason.clone()));
        }
        let reason = match self.connect(self.timeout.saturating_sub(begun.elapsed())).await {
            Ok(connection) => {
                state.number += 1;
                state.back_off = None;
                state.connection = Some(connection.clone());
                return Ok((connection, state.number));
            }
            Err(reason) => reason,
        };
        let pause = state.back_off.map_or(BACK_OFF.0, |(_, last)| (last * 2).min(BACK_OFF.1));
        state.back_off = Some((Instant::now() + pause, pause));
        state.reason.clone_from(&reason);
        Err(away(reason))
    }

    async fn connect(&self, timeout: Duration) -> Result<Connection, String> {
        let target = self.target.clone();
        let connecting = async move {
            let connected = async {
                Ok::<_, RedisError>(match target {
                    Target::Server(client) => {
                        let config = AsyncConnectionConfig::new()
                            .set_connection_timeout(Some(timeout))
                            .set_response_timeout(Some(timeout));
                        let connected =
                            client.get_multiplexed_async_connection_with_config(&config);
                        Connection::Server(connected.await?)
                    }
                    Target::Cluster(client) => {
                        // A node that hangs must not keep the others from being found in time.
                        let config = ClusterConfig::new()
                            .set_connection_timeout(timeout / 4)
                            .set_response_timeout(timeout);
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

/// Tells whether a connection is of no use any more after an error.
fn is_broken(error: &RedisError) -> bool {
    // A replica that was the primary refuses to be written to; the new one is found by connecting.
    !matches!(
        error.kind(),
        ErrorKind::Server(_) | ErrorKind::UnexpectedReturnType | ErrorKind::Extension
    ) || error.code() == Some("READONLY")
}
