//! Drives a server over HTTP/1.1: one request at a time on each connection, every answer checked.

mod exchange;
mod schedule;
mod connection;
mod outcome;

pub(crate) use connection::Connection;
pub(crate) use exchange::{Exchange, IsRight};
pub(crate) use outcome::Outcome;

use crate::{Error, Result};
use outcome::Taken;
use schedule::Schedule;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long answers may take beyond the time that a load is to last: a slow gateway has been asked for
/// as many streams as there are connections, and takes seconds for each.
const PATIENCE: Duration = Duration::from_secs(180);

/// How long each of a number of requests may take, on average.
const EACH: Duration = Duration::from_millis(10);

/// Open connections to a server, which one load after another goes over.
pub(crate) struct Connections {
    address: SocketAddr,
    open: Vec<Connection>,
}

/// Opens so many connections.
pub(crate) async fn open(address: SocketAddr, count: usize) -> Result<Connections> {
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        open.push(Connection::open(address).await?);
    }
    Ok(Connections { address, open })
}

impl Connections {
    /// Sends so many requests, each as soon as a connection is free.
    pub(crate) async fn send(&mut self, exchange: &Exchange, requests: usize) -> Result<Outcome> {
        let left = Schedule::Left(Arc::new(AtomicUsize::new(requests)));
        let limit = PATIENCE + EACH.mul_f64(requests as f64);
        self.drive(exchange, limit, |_, _| left.clone()).await
    }

    /// Sends as many requests as are answered, for so long.
    pub(crate) async fn saturate(
        &mut self,
        exchange: &Exchange,
        duration: Duration,
    ) -> Result<Outcome> {
        let limit = PATIENCE + duration;
        self.drive(exchange, limit, |_, start| Schedule::Until(start + duration)).await
    }

    /// Sends so many requests a second, for so long.
    pub(crate) async fn pace(
        &mut self,
        exchange: &Exchange,
        rate: f64,
        duration: Duration,
    ) -> Result<Outcome> {
        let apart = Duration::from_secs_f64(1.0 / rate);
        let every = apart * self.open.len() as u32;
        let paced = |number, start| Schedule::Paced {
            due: start + apart * number as u32,
            every,
            until: start + duration,
        };
        self.drive(exchange, PATIENCE + duration, paced).await
    }

    /// The same for rates of many in a millisecond, by a driver that has its core for itself.
    ///
    /// Latencies count from when a request was due, so that the wait for a free connection is part of
    /// them.
    pub(crate) async fn pace_closely(
        &mut self,
        exchange: &Exchange,
        rate: f64,
        duration: Duration,
    ) -> Result<Outcome> {
        let requests = (rate * duration.as_secs_f64()) as usize;
        let apart = Duration::from_secs_f64(1.0 / rate);
        let handed = Schedule::hand_out(requests, apart, self.open.len());
        self.drive(exchange, PATIENCE + duration, |_, _| handed.clone()).await
    }

    /// Sends over each connection what its schedule says.
    async fn drive(
        &mut self,
        exchange: &Exchange,
        limit: Duration,
        schedule: impl Fn(usize, Instant) -> Schedule,
    ) -> Result<Outcome> {
        let (address, count) = (self.address, self.open.len());
        let mut tasks = JoinSet::new();
        let started = Instant::now();
        for (number, mut connection) in self.open.drain(..).enumerate() {
            let (mut schedule, exchange) = (schedule(number, started), exchange.clone());
            tasks.spawn(async move {
                let mut taken = Vec::new();
                while let Some(started) = schedule.next().await {
                    let answer = connection.exchange(&exchange).await?;
                    taken.push(Taken::since(started, answer.begun));
                    if answer.closes {
                        connection = Connection::open(address).await?;
                    }
                }
                Ok::<_, Error>((connection, taken))
            });
        }
        let mut taken = Vec::new();
        let all = async {
            while let Some(outcome) = tasks.join_next().await {
                let (connection, more) = outcome??;
                self.open.push(connection);
                taken.extend(more);
            }
            Ok::<_, Error>(())
        };
        match tokio::time::timeout(limit, all).await {
            Ok(outcome) => outcome?,
            Err(_) => {
                let (limit, rest) = (limit.as_secs(), count - self.open.len());
                return Err(format!("{rest} of {count} connections wait after {limit} s").into());
            }
        }
        Ok(Outcome::of(started.elapsed(), &taken))
    }
}
