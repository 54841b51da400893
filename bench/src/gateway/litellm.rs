//! LiteLLM's proxy, where it is installed beside the artefacts of this program.

use super::{KEY, MODEL};
use crate::load::{Connection, Exchange};
use crate::process::{Foreign, free_address};
use crate::{Error, Result};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long it may take to start.
const START: Duration = Duration::from_secs(120);

/// How long it may take to say that it lives.
const PATIENCE: Duration = Duration::from_secs(5);

/// The program, if `python3 -m venv target/litellm` and `pip install 'litellm[proxy]'` were done.
pub(super) fn installed() -> Result<Option<PathBuf>> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(2).ok_or("this program stands in no target folder")?;
    let program = target.join("litellm/bin/litellm");
    Ok(program.exists().then_some(program))
}

/// Starts it with one worker, and waits until it answers.
pub(super) async fn start(program: PathBuf, upstream: &str) -> Result<(Foreign, SocketAddr)> {
    let config = program.with_file_name("ember-bench.yaml");
    std::fs::write(&config, self::config(upstream))?;
    let address = free_address()?;
    let mut command = Command::new(program);
    command.arg("--config").arg(config).args(["--host", "127.0.0.1", "--num_workers", "1"]);
    command.args(["--port", &address.port().to_string(), "--telemetry", "False"]);
    // It would ask the network for the prices of models.
    command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    command.env("LITELLM_MASTER_KEY", KEY);
    let mut server = Foreign::start(command)?;
    let alive = Exchange::get("/health/liveliness", |_| true);
    let deadline = Instant::now() + START;
    loop {
        let asked = async { Connection::open(address).await?.exchange(&alive).await };
        let late = |_| Error::from(format!("no answer after {} s", PATIENCE.as_secs()));
        match timeout(PATIENCE, asked).await.map_err(late).flatten() {
            Ok(_) => return Ok((server, address)),
            Err(error) if server.has_ended()? || Instant::now() > deadline => {
                return Err(Error::from(format!("LiteLLM does not start: {error}")));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

fn config(upstream: &str) -> String {
    format!(
        "model_list:\n\
         - model_name: {MODEL}\n\
         \x20 litellm_params:\n\
         \x20   model: openai/{MODEL}\n\
         \x20   api_base: http://{upstream}/v1\n\
         \x20   api_key: key\n"
    )
}
