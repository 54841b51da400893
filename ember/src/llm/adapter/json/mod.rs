//! JSON of answers, read where it lies.
//!
//! The events of a stream are short and many, and most of what stands in them says nothing new.
//! [`Fill`] reads an event into structures that stand already, as serde would make them by their
//! `Deserialize`, with a small part of its work: it knows that the text is UTF-8, borrows texts, passes over what
//! nobody asks for eight bytes at a time, moves nothing, and makes no error message. Whatever it
//! does not take is read again by serde_json, which has the last word on what is JSON and on what is wrong
//! with it. So it may refuse what it likes, but what it takes must be what serde_json takes,
//! with the same values; tests compare the two.

mod reader;
mod fill;
mod raw;
mod text;

pub(super) use fill::{Fill, wire};
pub(super) use raw::{Later, Raw};
pub(super) use reader::{Reader, Refused, Result as Filled};
pub(super) use text::{AnyText, WireText, some};

use serde::Deserialize;

/// Reads a document into its place, which nothing has been read into before.
///
/// # Errors
/// Those of serde_json.
pub(super) fn read_into<'a, T: Fill<'a> + Deserialize<'a>>(
    place: &mut T,
    text: &'a str,
) -> Result<(), serde_json::Error> {
    if fill_all(place, text).is_err() {
        *place = serde_json::from_str(text)?;
    }
    Ok(())
}

/// Reads a document, unless anything about it is wrong or out of the ordinary.
fn fill_all<'a>(place: &mut impl Fill<'a>, text: &'a str) -> Filled<()> {
    let mut reader = Reader::new(text);
    place.fill(&mut reader)?;
    if reader.is_at_end() { Ok(()) } else { Err(Refused) }
}

#[cfg(test)]
pub(super) mod tests;
