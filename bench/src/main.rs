//! Measures Ember beside its peers, in one run.
//!
//! `cargo run --release -- help` lists what can be measured, and how.
//!
//! What is measured runs in a process of its own, pinned to one core; whatever drives it runs in
//! this one, pinned to another. The peers take turns, round after round, and what is printed is
//! the median of the rounds. CPU time is what the kernel charged the measured process for, user and
//! system; it is the figure that other programs on the machine disturb least.

mod options;
mod process;
mod machine;
mod folder;
mod table;
mod instructions;
mod load;
mod stub;
mod servers;
mod web;
mod stream;
mod ticks;
mod memory;
mod client;
mod gateway;
mod store;
mod growth;
mod soak;
mod build;

use options::Options;
use std::process::ExitCode;

/// What goes wrong here ends the run.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T = ()> = std::result::Result<T, Error>;

/// Says in the measurement of whom and of what it went wrong.
fn whose(peer: &str, what: &str, round: usize) -> impl FnOnce(Error) -> Error {
    move |error| format!("{peer}, {what}, round {round}: {error}").into()
}

/// Something that can be measured.
struct Command {
    name: &'static str,
    about: &'static str,
    /// The options that it knows.
    options: &'static [&'static str],
    run: fn(&Options) -> Result,
}

const ROUNDS: &[&str] = &["--rounds", "--scale"];
const COUNTED: &[&str] = &["--rounds", "--scale", "--instructions"];

const COMMANDS: &[Command] = &[
    Command {
        name: "web",
        about: "short answers of servers: CPU time, throughput, latencies",
        options: COUNTED,
        run: |options| block_on(web::measure(options)),
    },
    Command {
        name: "stream",
        about: "event streams of servers: 1,000 events at once, and one by one",
        options: COUNTED,
        run: |options| block_on(stream::measure(options)),
    },
    Command {
        name: "ticks",
        about: "10,000 open event streams, and a frame each second to all of them: how late it is",
        options: ROUNDS,
        run: |options| block_on(ticks::measure(options)),
    },
    Command {
        name: "memory",
        about: "what connections, open streams and open chats keep of memory",
        options: &["--rounds"],
        run: |options| block_on(memory::measure(options)),
    },
    Command {
        name: "client",
        about: "clients of models: a streamed answer, and a unary call",
        options: COUNTED,
        run: |options| block_on(client::measure(options)),
    },
    Command {
        name: "gateway",
        about: "the OpenAI-compatible API before an upstream: what it adds, and what it can do",
        options: COUNTED,
        run: |options| block_on(gateway::measure(options)),
    },
    Command {
        name: "store",
        about: "stores: how long one get and one set take",
        options: ROUNDS,
        run: |options| block_on(store::measure(options)),
    },
    Command {
        name: "growth",
        about: "one request with more and more routes, sessions, tools, and messages before it",
        options: COUNTED,
        run: |options| block_on(growth::measure(options)),
    },
    Command {
        name: "soak",
        about: "an hour of mixed load on one server: whether its memory grows",
        options: &["--minutes", "--out"],
        run: |options| block_on(soak::measure(options)),
    },
    Command {
        name: "build",
        about: "build times, sizes, number of crates, and the time from start to the first answer",
        options: &["--rounds"],
        run: build::measure,
    },
    Command {
        name: "instructions",
        about: "instructions of each micro-benchmark, compared with instructions.toml",
        options: &["--bless"],
        run: instructions::measure,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["child", kind, ref rest @ ..] => child(kind, rest),
        ["help" | "--help" | "-h"] => {
            println!("{}", help());
            Ok(())
        }
        [what, ref rest @ ..] => measure(what, rest),
        [] => Err(format!("what is to be measured?\n\n{}", help()).into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn help() -> String {
    let mut text = "cargo run --release -- NAME OPTIONS\n".to_owned();
    for Command { name, about, options, .. } in COMMANDS {
        text += &format!("\n  {name:13} {about}\n  {:13} {}", "", options.join(" "));
    }
    text + "\n\n" + options::HELP
}

fn measure(name: &str, arguments: &[&str]) -> Result {
    let command = COMMANDS.iter().find(|command| command.name == name);
    let command = command.ok_or_else(|| format!("`{name}` cannot be measured\n\n{}", help()))?;
    let options = Options::parse(arguments, command.options)?;
    process::prepare()?;
    machine::print()?;
    let outcome = (command.run)(&options);
    machine::print_load("after")?;
    outcome
}

/// Runs what drives, on one thread.
fn block_on(work: impl Future<Output = Result>) -> Result {
    process::pin(process::Core::Driver)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn child(kind: &str, arguments: &[&str]) -> Result {
    process::prepare()?;
    process::pin(process::Core::Measured)?;
    match (kind, arguments) {
        ("client", [peer, task, address]) => client::child(peer, task, address),
        ("server", [peer]) => process::serve(|listener| servers::serve(peer, listener)),
        ("gateway", [peer, upstream]) => {
            process::serve(|listener| gateway::serve(peer, upstream, listener))
        }
        ("growth", [area, case, size, times]) => {
            growth::child(area, case, size.parse()?, times.parse()?)
        }
        ("soak", [upstream]) => process::serve(|listener| soak::serve(upstream, listener)),
        ("micro", []) => instructions::child(),
        _ => Err("this is no way to call a child".into()),
    }
}
