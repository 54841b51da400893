//! What is logged to the terminal: `EMBER_LOG`.

use crate::base::Env;
use tracing_subscriber::filter::LevelFilter;

const VARIABLE: &str = "EMBER_LOG";

/// Prints the log to the terminal, unless the program has set up logging itself.
pub(super) fn log_to_terminal(env: &Env) {
    let level = match unusable(env) {
        // The notes of the start tell of it.
        Some(_) => LevelFilter::INFO,
        None => env.parse(VARIABLE, LevelFilter::INFO),
    };
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_target(false);
    let _ = log.try_init();
}

/// What is wrong with the variable, told at the start.
pub(super) fn log_fault(env: &Env) -> Option<String> {
    let text = unusable(env)?;
    let levels = "off, error, warn, info, debug and trace";
    Some(format!("{VARIABLE} is `{text}`, which is none of {levels}; it is as if it were not set"))
}

fn unusable(env: &Env) -> Option<String> {
    env.unusable(VARIABLE, |_: &LevelFilter| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_there_is_not_is_told() {
        let fault = |level| log_fault(&Env::of([(VARIABLE, level)]));
        assert_eq!([fault("warn"), fault("OFF"), fault("")], [None, None, None]);
        let told = fault("loud").unwrap();
        assert!(told.starts_with("EMBER_LOG is `loud`, which is none of off,"), "{told}");
    }
}
