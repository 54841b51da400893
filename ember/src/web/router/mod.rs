//! From a path to its route.
//!
//! [`RoutePath`] is the syntax, [`RouteDescriptor`] what a macro leaves behind, [`Route`] the
//! same put together by hand, [`Blueprint`] what routes share, [`Mounted`] a route in its
//! place, [`Tree`] the table that finds a route by segments. The syntax is
//! our own, so that no router crate's change breaks an address.

mod path;
mod options;
mod descriptor;
mod mounted;
mod route;
mod blueprint;
mod tree;
mod host;

pub(crate) use blueprint::Groups;
pub use blueprint::{Blueprint, BlueprintDescriptor};
pub use descriptor::{RouteDescriptor, RouteItem};
pub(crate) use host::Hosts;
pub(crate) use mounted::Mounted;
pub use options::RouteOptions;
pub use path::{RoutePath, RoutePathError};
pub use route::Route;
pub use tree::TrailingSlash;
pub(crate) use tree::{Leaf, Tree};
