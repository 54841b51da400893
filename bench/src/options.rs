//! How to measure.

use crate::Result;
use std::path::PathBuf;
use std::str::FromStr;

pub(crate) const HELP: &str = "  --rounds N      measures so often; 3
  --scale N       makes each round so many times as long; 1
  --instructions  counts instructions with valgrind instead of measuring time
  --minutes N     loads for so long; 60
  --out FILE      writes the samples to a file, as CSV
  --bless         keeps what was counted, instead of comparing with it";

pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) scale: usize,
    pub(crate) instructions: bool,
    pub(crate) minutes: f64,
    pub(crate) out: Option<PathBuf>,
    pub(crate) bless: bool,
}

impl Options {
    /// Reads options, of which only some have a meaning for what is measured.
    pub(crate) fn parse(arguments: &[&str], known: &[&str]) -> Result<Self> {
        let mut options = Self {
            rounds: 3,
            scale: 1,
            instructions: false,
            minutes: 60.0,
            out: None,
            bless: false,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            if !known.contains(argument) {
                let known = known.join(" ");
                return Err(format!("`{argument}` is none of the options here: {known}").into());
            }
            let value = &mut || arguments.next().copied();
            match *argument {
                "--rounds" => options.rounds = number(argument, value())?,
                "--scale" => options.scale = number(argument, value())?,
                "--minutes" => options.minutes = number(argument, value())?,
                "--out" => options.out = Some(value().ok_or("`--out` needs a file")?.into()),
                "--instructions" => options.instructions = true,
                "--bless" => options.bless = true,
                other => return Err(format!("`{other}` is known, and read by nobody").into()),
            }
        }
        Ok(options)
    }
}

fn number<T: FromStr + PartialOrd + Default>(name: &str, value: Option<&str>) -> Result<T> {
    let number = value.and_then(|value| value.parse().ok());
    let number = number.filter(|number| *number > T::default());
    number.ok_or_else(|| format!("`{name}` needs a number above 0").into())
}
