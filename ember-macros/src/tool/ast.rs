use crate::args::Args;
use crate::diag::Sink;
use crate::keys;
use proc_macro2::TokenStream;

/// A tool attribute as it was written.
pub(super) struct Ast {
    pub(super) args: Args,
}

impl Ast {
    pub(super) fn parse(attribute: TokenStream, sink: &Sink) -> Self {
        let known = &[keys::NAME, keys::DESCRIPTION, keys::TIMEOUT, keys::MAX_CALLS, keys::STRICT];
        Self { args: Args::parse("tool", known, attribute, sink) }
    }
}
