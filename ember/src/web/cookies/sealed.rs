use super::cookie::Cookie;
use super::jar::Cookies;
use super::key::CookieKey;
use crate::base::Error;
use crate::web::components::Component;
use crate::web::extract::FromRequestParts;
use crate::web::operation::Operation;
use crate::web::request::RequestParts;

macro_rules! sealed {
    ($(#[$doc:meta])* $name:ident: $get:ident, |$key:ident, $of:ident, $value:ident| $put:expr;) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name {
            cookies: Cookies,
            key: Component<CookieKey>,
        }

        impl $name {
            /// Returns the value of a cookie that was written under the key; `None` for any other.
            pub fn get(&self, name: &str) -> Option<String> {
                self.key.$get(name, &self.cookies.get(name)?)
            }

            /// Has the client keep a cookie.
            ///
            /// # Errors
            /// As [`Cookies::set`].
            pub fn set(&self, cookie: Cookie) -> Result<(), Error> {
                let ($key, $of, $value) = (&self.key, cookie.name(), cookie.value());
                let value = $put?;
                self.cookies.set(cookie.with_value(value))
            }

            /// Has the client forget a cookie, as [`Cookies::remove`].
            ///
            /// # Errors
            /// As [`Cookies::set`].
            pub fn remove(&self, cookie: impl Into<Cookie>) -> Result<(), Error> {
                self.cookies.remove(cookie)
            }
        }

        impl FromRequestParts for $name {
            async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
                let key = Component::from_request_parts(parts).await?;
                Ok(Self { cookies: Cookies::shared(parts), key })
            }

            fn describe(operation: &mut Operation) {
                operation.needs::<CookieKey>().touches_response();
            }
        }
    };
}

sealed! {
    /// Cookies that a client can read and not change: each value is signed under the [`CookieKey`].
    ///
    /// ```
    /// use ember::prelude::*;
    /// use ember::web::cookies::{Cookie, CookieKey, SignedCookies};
    ///
    /// #[post("/language/{name}")]
    /// async fn language(name: String, cookies: SignedCookies) -> ember::Result<()> {
    ///     cookies.set(Cookie::new("language", name))
    /// }
    ///
    /// # fn main() -> ember::Result {
    /// let app = ember::app!().component(CookieKey::random()?);
    /// # app.build().unwrap();
    /// # Ok(()) }
    /// ```
    SignedCookies: verify, |key, name, value| Ok::<_, Error>(key.sign(name, value));
}

sealed! {
    /// Cookies that a client can neither read nor change: each value is encrypted under the
    /// [`CookieKey`].
    ///
    /// ```
    /// use ember::prelude::*;
    /// use ember::web::cookies::PrivateCookies;
    ///
    /// #[get("/me")]
    /// async fn me(cookies: PrivateCookies) -> ember::Result<String> {
    ///     cookies.get("user").ok_or_else(|| Error::unauthorized("Nobody is logged in."))
    /// }
    /// ```
    PrivateCookies: open, |key, name, value| key.seal(name, value);
}
