//! `#[ai_route]`: a route whose options the AI wing understands.

use crate::route::{self, Kind};
use proc_macro2::TokenStream;

/// Reads, checks and expands the attribute; everything but its options is like any route's.
pub(crate) fn attribute(attribute: TokenStream, item: TokenStream) -> TokenStream {
    route::attribute(Kind::Ai, attribute, item)
}
