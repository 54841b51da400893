//! The command line of every application.

use super::ember::Ember;
use super::launch::LaunchError;
use super::ready::Ready;
use crate::base::{Error, Finding, Result};
use crate::llm::tool::Tool;
use crate::store::BoxStore;
use std::io::Write as _;
use std::str::FromStr;

const HELP: &str = "\
Usage: [COMMAND]

Commands:
  (none)                            serve until interrupted
  routes                            print the route table
  tools [--format FORMAT]           print the tools with the JSON Schema of their arguments, as openai
                                    (default), openai-responses, anthropic or gemini wants them
  openapi                           print the OpenAPI 3.1 document of the routes
  check                             print every problem that keeps the application from starting, and
                                    connect to the store and to the caches of routes

Options:
  -h, --help                        print this

Variables: EMBER_HOST (127.0.0.1, or unix:/path), EMBER_PORT (8000), EMBER_TLS_CERT and EMBER_TLS_KEY
(PEM files; with the feature `tls`), EMBER_WORKERS (one for each processor), EMBER_STORE (memory;
sqlite:///path, redis://…, rediss://…, redis+cluster://…, rediss+cluster://…, memcached://… with the
features of their names), EMBER_LOG (info; off, error, warn, info, debug, trace), LLM_PROVIDER (openai) and
its provider's own, EMBER_MODELS and EMBER_ROUTING (several models), EMBER_API_KEYS (name:secret, …),
EMBER_TEMPERATURE (0.7), EMBER_MAX_TOKENS, EMBER_MAX_TOOL_ITERATIONS (10), EMBER_RETRY_MAX_RETRIES (2).
The documentation of `ember::Env` has all of them.";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Serve,
    Routes,
    Tools(Format),
    OpenApi,
    Check,
    Help,
}

/// Whose way of describing tools is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    OpenAi,
    OpenAiResponses,
    Anthropic,
    Gemini,
}

impl Ember {
    /// Does what the command line asks for: serves, until SIGINT or SIGTERM, or prints.
    ///
    /// `cargo run -- --help` lists the commands.
    ///
    /// # Errors
    /// When the application cannot start, the address is taken, or the command is unknown.
    pub fn run(self) -> Result {
        run(self, std::env::args().skip(1))
    }
}

fn run(app: Ember, arguments: impl Iterator<Item = String>) -> Result {
    match Command::parse(arguments)? {
        Command::Serve => app.build()?.run(),
        Command::Help => {
            say(HELP)?;
            Ok(())
        }
        Command::Routes => print(app, |ready| ready.route_table()),
        Command::Tools(format) => print(app, |ready| {
            let spec = match format {
                Format::OpenAi => Tool::to_openai_spec,
                Format::OpenAiResponses => Tool::to_openai_responses_spec,
                Format::Anthropic => Tool::to_anthropic_spec,
                Format::Gemini => Tool::to_gemini_spec,
            };
            let specs: Vec<_> = ready.tools().iter().map(spec).collect();
            format!("{:#}\n", serde_json::Value::Array(specs))
        }),
        Command::OpenApi => print(app, |ready| format!("{:#}\n", ready.openapi())),
        Command::Check => {
            let ready = app.build()?;
            let (routes, tools) = (ready.site().state().routes.len(), ready.tools().iter().len());
            let has = format!("{}, {}", counted(routes, "route"), counted(tools, "tool"));
            let store = check_store(&ready);
            match &store {
                Ok(_) => say(&format!("no problem was found: {has}"))?,
                Err(_) => say(&format!("the application itself has no problem: {has}"))?,
            }
            if let Some(provider) = ready.provider() {
                say(&format!("provider: {provider}"))?;
            }
            check_caches(&ready)?;
            for note in ready.notes() {
                say(&format!("note: {note}"))?;
            }
            if let Some(answered) = store? {
                say(&format!("store: {answered}"))?;
            }
            Ok(())
        }
    }
}

/// Connects the caches of routes, and prints what answered. One that nobody answers for keeps no application
/// from starting.
fn check_caches(ready: &Ready) -> Result {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let caches = ready.site().caches();
    runtime.block_on(async {
        let answered = caches.start().await;
        caches.stop().await;
        answered.iter().try_for_each(|answered| say(&format!("cache: {answered}")))
    })
}

/// Connects to the store, and returns what answered; `None` if there is no store.
fn check_store(ready: &Ready) -> Result<Option<String>> {
    let Some(store) = ready.components().get::<BoxStore>() else { return Ok(None) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(store.check()).map(Some).map_err(|error| {
        // Whoever checks is the operator, and wants the reason more than the sentence for clients.
        let reasons: Vec<_> = error.chain().map(ToString::to_string).collect();
        let reasons = match reasons.is_empty() {
            true => error.message().to_owned(),
            false => reasons.join(": "),
        };
        let message = format!("the store {} cannot be used: {reasons}", store.name());
        Error::new(error.kind(), message)
    })
}

/// Prints a line, or several. Who has read enough, as `head` has, misses nothing.
fn say(text: &str) -> Result {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// Prints what can be printed even of an application that cannot start, and then why it cannot.
fn print(app: Ember, text: impl FnOnce(&Ready) -> String) -> Result {
    let (ready, findings): (Ready, Vec<Finding>) = app.check();
    say(text(&ready).trim_end_matches('\n'))?;
    Ok(LaunchError::unless_empty(findings)?)
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

impl Command {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let arguments: Vec<_> = arguments.collect();
        let words: Vec<_> = arguments.iter().map(String::as_str).collect();
        Ok(match words[..] {
            [] => Self::Serve,
            ["-h" | "--help" | "help"] | [_, "-h" | "--help"] => Self::Help,
            ["routes"] => Self::Routes,
            ["check"] => Self::Check,
            ["openapi"] => Self::OpenApi,
            ["tools"] => Self::Tools(Format::OpenAi),
            ["tools", "--format", format] => Self::Tools(format.parse()?),
            ["tools", option] if option.starts_with("--format=") => {
                Self::Tools(option["--format=".len()..].parse()?)
            }
            _ => {
                return Err(Error::bad_request(format!(
                    "`{}` is no command.\n\n{HELP}",
                    words.join(" ")
                )));
            }
        })
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "openai" => Ok(Self::OpenAi),
            "openai-responses" => Ok(Self::OpenAiResponses),
            "anthropic" => Ok(Self::Anthropic),
            "gemini" => Ok(Self::Gemini),
            _ => Err(Error::bad_request(format!(
                "`{text}` is no format of tools; `openai`, `openai-responses`, `anthropic` and `gemini` are"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command> {
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn commands_are_understood() {
        assert_eq!(parse("").unwrap(), Command::Serve);
        assert_eq!(parse("--help").unwrap(), Command::Help);
        assert_eq!(parse("routes").unwrap(), Command::Routes);
        assert_eq!(parse("openapi").unwrap(), Command::OpenApi);
        assert_eq!(parse("tools").unwrap(), Command::Tools(Format::OpenAi));
        assert_eq!(parse("tools --format anthropic").unwrap(), Command::Tools(Format::Anthropic));
        assert_eq!(parse("tools --format=openai").unwrap(), Command::Tools(Format::OpenAi));
        assert_eq!(parse("tools --format=gemini").unwrap(), Command::Tools(Format::Gemini));
        let responses = Command::Tools(Format::OpenAiResponses);
        assert_eq!(parse("tools --format openai-responses").unwrap(), responses);
        assert!(parse("tools --format cobol").unwrap_err().message().contains("`cobol`"));
        assert!(parse("rotues").unwrap_err().message().contains("`rotues` is no command"));
    }
}
