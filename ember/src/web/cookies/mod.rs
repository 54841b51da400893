//! Cookies: what a client has sent back, and what it is to keep.
//!
//! [`Cookies`] reads and sets plain ones. With the feature `cookies` there are two more kinds,
//! both under a `CookieKey`: a client can read `SignedCookies` and not change them, and can
//! neither read nor change `PrivateCookies`. All extractors of a request share what is set, so
//! that none loses the cookies of another.
//!
//! A cookie is safe until it is told otherwise: `HttpOnly; Secure; SameSite=Lax; Path=/`.

mod cookie;
mod jar;
#[cfg(feature = "cookies")]
mod key;
#[cfg(feature = "cookies")]
mod sealed;

pub use cookie::{Cookie, SameSite};
pub use jar::Cookies;
pub(crate) use jar::set_cookie;
#[cfg(feature = "cookies")]
pub use key::CookieKey;
#[cfg(feature = "cookies")]
pub use sealed::{PrivateCookies, SignedCookies};
