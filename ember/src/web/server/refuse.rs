//! Requests that hyper has parsed and that nobody should answer.

use crate::base::{Error, Result};
use http::header::{HOST, HeaderMap, HeaderValue};
use http::request::Parts;
use http::uri::Authority;
use http::{Method, Version};
use hyper::ext::Protocol;

/// Refuses a request whose target or host is missing, ambiguous or not for an origin server.
///
/// - A method that is `CONNECT` (RFC 9110 §9.3.6), unless HTTP/2 extends it (RFC 8441).
/// - A target in authority form, or `*` with another method than `OPTIONS` (RFC 9112 §3.2.3, §3.2.4).
/// - A target whose scheme is not that of the web (RFC 9110 §7.4).
/// - In HTTP/1.1 no `Host`, in any version several of them, and here or in the target one that is no host or has a
///   user in front (RFC 9112 §3.2, RFC 9110 §4.2.4).
/// - In HTTP/2 a `Host` that contradicts `:authority` (RFC 9113 §8.3.1).
///
/// The host of a target in absolute form replaces that of the header (RFC 9112 §3.2.2).
///
/// # Errors
/// Status 400.
pub(super) fn check(request: &mut Parts) -> Result<()> {
    if request.method == Method::CONNECT {
        if request.extensions.get::<Protocol>().is_some() {
            return Ok(());
        }
        return Err(Error::bad_request("This server is no proxy: it does not answer to CONNECT."));
    }
    let path = request.uri.path();
    let whole_server = path == "*" && request.method == Method::OPTIONS;
    if !path.starts_with('/') && !whole_server {
        return Err(Error::bad_request("The target of the request is not a path."));
    }
    if request.uri.scheme_str().is_some_and(|scheme| !matches!(scheme, "http" | "https")) {
        return Err(Error::bad_request(
            "The target of the request has a scheme that is not served.",
        ));
    }
    let host = host(&request.headers)?;
    let authority = request.uri.authority();
    if authority.is_some_and(|authority| !valid(authority.as_str().as_bytes())) {
        return Err(Error::bad_request("The target of the request does not hold a host."));
    }
    if request.version >= Version::HTTP_2 {
        return match (host, authority) {
            (Some(host), Some(authority)) if !same(&host, authority) => {
                Err(Error::bad_request("The header `host` contradicts the target of the request."))
            }
            _ => Ok(()),
        };
    }
    if host.is_none() && request.version == Version::HTTP_11 {
        return Err(Error::bad_request("The header `host` is missing."));
    }
    if let Some(authority) = authority {
        let host = HeaderValue::try_from(authority.as_str())
            .map_err(|_| Error::bad_request("The host in the target is not valid."))?;
        request.headers.insert(HOST, host);
    }
    Ok(())
}

/// The only `Host`; an empty one is one.
fn host(headers: &HeaderMap) -> Result<Option<Host<'_>>> {
    let mut values = headers.get_all(&HOST).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Error::bad_request("The header `host` is there more than once."));
    }
    match valid(value.as_bytes()) {
        true => Ok(Some(Host(value.as_bytes()))),
        false => Err(Error::bad_request("The header `host` does not hold a host.")),
    }
}

struct Host<'a>(&'a [u8]);

/// The bytes of a name as hosts mostly have one.
const IN_A_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let text = byte as u8;
        table[byte] = text.is_ascii_alphanumeric() || matches!(text, b'.' | b'-');
        byte += 1;
    }
    table
};

/// A host with perhaps a port, and no user in front.
///
/// The common ones are told without parsing.
fn valid(text: &[u8]) -> bool {
    let special = |byte: &u8| !IN_A_NAME[usize::from(*byte)];
    let name = text.iter().position(special).unwrap_or(text.len());
    match &text[name..] {
        [] => true,
        [b':', port @ ..] if port.iter().all(u8::is_ascii_digit) => name > 0 || port.is_empty(),
        _ => {
            let text = str::from_utf8(text).ok().filter(|text| !text.contains('@'));
            text.is_some_and(|text| text.parse::<Authority>().is_ok())
        }
    }
}

fn same(host: &Host<'_>, authority: &Authority) -> bool {
    host.0.eq_ignore_ascii_case(authority.as_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, target: &str, version: Version, hosts: &[&str]) -> Parts {
        let mut request = http::Request::builder().method(method).uri(target).version(version);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn targets_and_hosts() {
        const OK: u16 = 200;
        let (v10, v11, v2) = (Version::HTTP_10, Version::HTTP_11, Version::HTTP_2);
        for (method, target, version, hosts, status) in [
            ("GET", "/", v11, &["x"][..], OK),
            ("GET", "/", v11, &["x:80"], OK),
            ("GET", "/", v11, &["[::1]:80"], OK),
            ("GET", "/", v11, &["my_host"], OK),
            ("GET", "/", v11, &[""], OK),
            ("GET", "/", v10, &[], OK),
            ("GET", "/", v11, &[], 400),
            ("GET", "/", v11, &["x", "x"], 400),
            ("GET", "/", v10, &["x", "y"], 400),
            ("GET", "/", v11, &["a@x"], 400),
            ("GET", "/", v11, &["x/y"], 400),
            ("GET", "/", v11, &["x, y"], 400),
            ("GET", "/", v11, &[":80"], 400),
            ("GET", "x:80", v11, &["x"], 400),
            ("GET", "ftp://x/", v11, &["x"], 400),
            ("GET", "*", v11, &["x"], 400),
            ("OPTIONS", "*", v11, &["x"], OK),
            ("CONNECT", "x:80", v11, &["x"], 400),
            ("GET", "http://x/", v2, &[], OK),
            ("GET", "http://x/", v2, &["X"], OK),
            ("GET", "http://x/", v2, &["y"], 400),
            ("GET", "http://a@x/", v2, &[], 400),
            ("GET", "http://a@x/", v11, &["x"], 400),
            ("GET", "http://x:80/", v11, &["x"], OK),
        ] {
            let mut request = request(method, target, version, hosts);
            let seen = check(&mut request).map_or_else(|error| error.status().as_u16(), |()| OK);
            assert_eq!(seen, status, "{method} {target} {version:?} {hosts:?}");
        }
    }

    #[test]
    fn the_host_of_the_target_wins() {
        let mut request = request("GET", "http://x:8/a", Version::HTTP_11, &["y"]);
        check(&mut request).unwrap();
        assert_eq!(request.headers[HOST], "x:8");
    }
}
