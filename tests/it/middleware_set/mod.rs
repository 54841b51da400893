//! The middleware that comes along, and what others bring: layers and services of tower.

mod auth;
mod bridge;
mod compression;
mod cors;
mod limits;
mod log;
mod mount;
mod panics;
