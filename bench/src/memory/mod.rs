//! Servers: the memory that a connection keeps, idle or with an open event stream, that of a process
//! with 200 busy connections, and that of a chat whose model is silent.

mod connections;
mod busy;
mod chats;

use crate::load::{Connection, Exchange};
use crate::{Options, Result};
use std::time::Duration;

pub(crate) async fn measure(options: &Options) -> Result {
    connections::measure(options).await?;
    busy::measure(options).await?;
    chats::measure(options).await
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks once over a connection that stays.
async fn ask(connection: &mut Connection, exchange: &Exchange) -> Result {
    let late = |_| format!("no answer after {} s", PATIENCE.as_secs());
    let answer = tokio::time::timeout(PATIENCE, connection.exchange(exchange)).await;
    answer.map_err(late)?.map(drop)
}
