//! Files of a folder, as a service that is mounted.
//!
//! [`StaticFiles`] decides what may be served, by [`resolve`], and whether it must be, by
//! [`conditional`]; tower-http opens the files, cuts ranges out of them, and guesses their types.

mod resolve;
mod conditional;
mod service;

pub use service::StaticFiles;
