use super::FromRequestParts;
use crate::base::Error;
use crate::web::request::RequestParts;
use http::{Extensions, HeaderMap, Method, Uri, Version};
use std::net::SocketAddr;

macro_rules! parts {
    ($($part:ty: $parts:ident => $take:expr;)*) => {$(
        impl FromRequestParts for $part {
            async fn from_request_parts($parts: &mut RequestParts) -> Result<Self, Error> {
                Ok($take)
            }
        }
    )*};
}

parts! {
    Method: parts => parts.method().clone();
    Uri: parts => parts.uri().clone();
    Version: parts => parts.version();
    HeaderMap: parts => parts.headers().clone();
    Extensions: parts => parts.extensions().clone();
    RequestParts: parts => parts.clone();
    Option<SocketAddr>: parts => parts.remote_addr();
}
