//! Processes that are measured, and the line protocol by which they are asked.
//!
//! A child answers each line on its standard input with one on its standard output, and ends with
//! its input.

mod cores;
mod used;
mod measured;
mod foreign;
mod role;

pub(crate) use cores::{Core, allowed, pin, prepare};
pub(crate) use foreign::{Foreign, free_address};
pub(crate) use measured::Measured;
pub(crate) use role::{obey, serve};
pub(crate) use used::{STORED, Used};
