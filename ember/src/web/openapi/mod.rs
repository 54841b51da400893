//! The application as an OpenAPI 3.1 document.
//!
//! [`document`] writes what the [`RouteEntry`](super::RouteEntry)s of a site say; it knows no
//! handler and no request. Equal applications have equal documents, byte for byte.
//!
//! What OpenAPI cannot say is said as nearly as it can:
//!
//! - A parameter that takes the rest of a path, `{*rest}`, is an ordinary one, `{rest}`, marked with
//!   `x-ember-rest: true`: its value may have slashes, which OpenAPI's may not.
//! - Paths that differ only in the names of their parameters are one path to OpenAPI, under the
//!   names of the first.
//! - Methods that OpenAPI has no word for, such as CONNECT and those of one's own, are left out.
//! - HEAD and OPTIONS are told where a route answers them, not where they follow from others.

mod info;
mod ids;
mod security;
mod operation;
mod document;
pub mod page;

pub use document::document;
pub use info::ApiInfo;
