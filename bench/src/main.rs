//! Measures Ember beside its peers, in one run.
//!
//! `cargo run --release -- client | web | stream | memory | gateway | store`, with `--rounds N`, `--scale N` (so many
//! times the usual number of requests) and, for `client` and `web`, `--instructions`, which counts
//! instructions with valgrind instead of measuring time.
//!
//! What is measured runs in a process of its own, pinned to one core; whatever drives it runs in
//! this one, pinned to another. The peers take turns, round after round, and what is printed is
//! the median of the rounds. CPU time is what the kernel charged the measured process for, user and
//! system; it is the figure that other programs on the machine disturb least.

mod client;
mod gateway;
mod load;
mod memory;
mod process;
mod servers;
mod store;
mod stream;
mod stub;
mod table;
mod web;

use std::process::ExitCode;

/// What goes wrong here ends the run.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T = ()> = std::result::Result<T, Error>;

/// How to measure.
struct Options {
    rounds: usize,
    scale: usize,
    instructions: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["child", kind, ref rest @ ..] => child(kind, rest),
        [what, ref rest @ ..] => options(rest).and_then(|options| measure(what, &options)),
        [] => Err("what is to be measured? client, web, stream, memory, gateway or store".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(what: &str, options: &Options) -> Result {
    process::pin(process::Core::Driver)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    table::machine()?;
    match what {
        "client" => client::measure(options),
        "web" => runtime.block_on(web::measure(options)),
        "stream" => runtime.block_on(stream::measure(options)),
        "memory" => runtime.block_on(memory::measure(options)),
        "gateway" => runtime.block_on(gateway::measure(options)),
        "store" => runtime.block_on(store::measure(options)),
        other => {
            Err(format!("`{other}` is none of client, web, stream, memory, gateway, store").into())
        }
    }
}

fn child(kind: &str, arguments: &[&str]) -> Result {
    process::pin(process::Core::Measured)?;
    match (kind, arguments) {
        ("client", [peer, task, address]) => client::child(peer, task, address),
        ("server", [peer]) => process::serve(|listener| servers::serve(peer, listener)),
        ("gateway", [peer, upstream]) => {
            process::serve(|listener| gateway::serve(peer, upstream, listener))
        }
        _ => Err("this is no way to call a child".into()),
    }
}

fn options(arguments: &[&str]) -> Result<Options> {
    let mut options = Options { rounds: 3, scale: 1, instructions: false };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut number = || -> Result<usize> {
            let number = arguments.next().and_then(|number| number.parse().ok());
            let number = number.filter(|number| *number > 0);
            number.ok_or_else(|| format!("`{argument}` needs a number above 0").into())
        };
        match *argument {
            "--rounds" => options.rounds = number()?,
            "--scale" => options.scale = number()?,
            "--instructions" => options.instructions = true,
            other => return Err(format!("`{other}` is no option").into()),
        }
    }
    Ok(options)
}
