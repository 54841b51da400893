//! The routes: the tree of modules is the tree of addresses.

mod tasks;
mod users;
