//! From a path to its route.
//!
//! [`RoutePath`] is the syntax, [`RouteDescriptor`] what a macro leaves behind, [`Route`] the
//! same put together by hand, [`Blueprint`] what routes share, [`Settled`] a route in its
//! place, [`Tree`] the table that finds a route by segments. The syntax is
//! our own, so that no router crate's change breaks an address.

mod path;
mod options;
mod descriptor;
mod settled;
mod route;
mod blueprint;
mod mount;
mod tree;
mod host;

pub(crate) use blueprint::Groups;
pub use blueprint::{Blueprint, BlueprintDescriptor};
pub use descriptor::{RouteDescriptor, RouteItem};
pub(crate) use host::Hosts;
pub use options::RouteOptions;
pub(crate) use path::Segment;
pub use path::{RoutePath, RoutePathError};
pub use route::Route;
pub(crate) use settled::Settled;
pub use tree::TrailingSlash;
pub(crate) use tree::{Leaf, Parameters, Tree};
