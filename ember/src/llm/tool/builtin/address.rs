//! Which addresses are public, and names that lead to no others.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// Tells whether an address is one of the public internet, by IANA's registries of special-purpose
/// addresses (RFC 6890): nothing private, local, shared, mapped, reserved or for groups.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        // This network, private, shared by carriers, loopback, link-local, private.
        [0 | 10 | 127, ..] | [100, 64..=127, ..] | [169, 254, ..] | [172, 16..=31, ..]
        // Protocol assignments, documentation, relays of 6to4, private.
        | [192, 0, 0 | 2, _] | [192, 88, 99, _] | [192, 168, ..]
        // Benchmarks, documentation, groups and what is reserved.
        | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] | [224..=255, ..]
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // Protocol assignments with Teredo, documentation, 6to4, documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Only this much is global unicast (RFC 4291 §2.4); mapped addresses are not of it.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// An address that is not to be reached.
#[derive(Debug)]
pub(super) struct NotPublic {
    pub(super) host: String,
}

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not on the public internet", self.host)
    }
}

impl StdError for NotPublic {}

/// Finds the addresses of names, and hands out only such as may be reached.
///
/// The connection is made to what was checked, so a name that leads elsewhere when it is asked for
/// again gains nothing.
#[derive(Clone)]
pub(super) struct Guard {
    /// Addresses that may be reached although they are not public.
    pub(super) allowed: Arc<[IpAddr]>,
}

impl Guard {
    pub(super) fn permits(&self, address: IpAddr) -> bool {
        is_public(address) || self.allowed.contains(&address)
    }

    /// Passes addresses on if each of them may be reached: a name that leads to others as well is
    /// not to be trusted.
    fn check(&self, host: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, NotPublic> {
        match found.iter().all(|address| self.permits(address.ip())) {
            true => Ok(found),
            false => Err(NotPublic { host: host.to_owned() }),
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            // The port is that of the address that was asked for; here it says nothing.
            let found: Vec<_> = tokio::net::lookup_host((host, 0)).await?.collect();
            if found.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            let found = guard.check(host, found)?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        let public = ["1.1.1.1", "93.184.216.34", "100.128.0.1", "172.32.0.1", "2606:4700::1111"];
        for address in public {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        let others = [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:1.1.1.1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
        ];
        for address in others {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_name_with_one_address_inside_is_refused() {
        let guard = Guard { allowed: Arc::new(["127.0.0.1".parse().unwrap()]) };
        let found = |addresses: &[&str]| {
            addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect()
        };
        assert!(guard.check("a.test", found(&["1.1.1.1", "127.0.0.1"])).is_ok());
        let error = guard.check("a.test", found(&["1.1.1.1", "10.0.0.1"])).unwrap_err();
        assert!(error.to_string().contains("`a.test`"));
    }
}
