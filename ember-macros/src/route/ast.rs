use crate::args::Args;
use crate::diag::Sink;
use crate::keys;
use crate::settings;
use proc_macro2::TokenStream;

/// Which attribute it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// One for a single method: the attribute's name, and the method.
    Method(&'static str, &'static str),
    /// `#[route]`, which lists its methods.
    Any,
    /// `#[ai_route]`, which answers to POST unless it lists its methods.
    Ai,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Method(name, _) => name,
            Self::Any => "route",
            Self::Ai => "ai_route",
        }
    }

    /// The options that the attribute understands.
    fn keys(self) -> Vec<&'static str> {
        let mut known = vec![
            keys::NAME,
            keys::HOST,
            keys::HOSTS,
            keys::LIMITS,
            keys::MIDDLEWARE,
            keys::TAGS,
            keys::SUMMARY,
            keys::DEPRECATED,
            keys::HIDDEN,
            keys::SECURITY,
            keys::STATUS,
        ];
        known.extend(match self {
            // An answer to anything else than GET and HEAD is never kept.
            Self::Method("get" | "head", _) => &[keys::CACHE][..],
            Self::Method(..) => &[],
            Self::Any => &[keys::METHODS, keys::CACHE],
            Self::Ai => &[keys::METHODS],
        });
        if matches!(self, Self::Ai) {
            known.extend(settings::AI);
        }
        known
    }
}

/// A route attribute as it was written.
pub(super) struct Ast {
    pub(super) kind: Kind,
    pub(super) args: Args,
}

impl Ast {
    pub(super) fn parse(kind: Kind, attribute: TokenStream, sink: &Sink) -> Self {
        Self { kind, args: Args::parse(kind.name(), &kind.keys(), attribute, sink) }
    }
}
