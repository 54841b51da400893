//! From a path to its route.
//!
//! [`RoutePath`] is the syntax, [`RouteDescriptor`] what a macro leaves behind, [`Route`] the
//! same put together by hand, [`Tree`] the table that finds a route by segments. The syntax is
//! our own, so that no router crate's change breaks an address.

mod path;
mod options;
mod descriptor;
mod route;
mod tree;

pub use descriptor::{RouteDescriptor, RouteItem};
pub use options::RouteOptions;
pub(crate) use path::Segment;
pub use path::{RoutePath, RoutePathError};
pub use route::Route;
pub use tree::TrailingSlash;
pub(crate) use tree::{Leaf, Tree};
