//! Counts of instructions, by callgrind: nothing else that the machine does is in them.

mod difference;
mod pieces;

pub(crate) use difference::{difference, print};
pub(crate) use pieces::{child, measure};
