//! Whether the peers answer alike, so that none has less to write.

use super::PEERS;
use crate::load::{Connection, Exchange};
use crate::process::Measured;
use crate::{Result, whose};

/// Asks each peer once for each of these, and compares media type and framing with those of the floor.
pub(crate) async fn compare(asked: &[(&str, &Exchange)]) -> Result {
    let mut floor = Vec::new();
    for peer in PEERS {
        let mut server = Measured::start(&["server", peer])?;
        let address = server.address().map_err(whose(peer, "its start", 1))?;
        for (at, (title, exchange)) in asked.iter().enumerate() {
            let connection = Connection::open(address).await.map_err(whose(peer, title, 1))?;
            let form = connection.form(exchange).await.map_err(whose(peer, title, 1))?;
            match floor.get(at) {
                None => floor.push(form),
                Some(expected) if *expected == form => {}
                Some(expected) => {
                    let (first, form) = (PEERS[0], form.to_string());
                    let error = format!("it answers {form}, and {first} {expected}");
                    return Err(whose(peer, title, 1)(error.into()));
                }
            }
        }
    }
    Ok(())
}
