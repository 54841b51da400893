use crate::web::principal::Principal;
use crate::web::request::RequestParts;
use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Which proxies are believed when they say whom they speak for.
///
/// The client's address is that of the peer, unless the peer is one of these networks. Then it is
/// the right-most address of `X-Forwarded-For` that is none of theirs: whatever stands to the left of
/// it may have been made up by the client. An entry that is no address ends the search, and the
/// proxy that wrote it counts as the client.
///
/// ```
/// use ember::web::middleware::TrustedProxies;
///
/// let proxies = TrustedProxies::new(["10.0.0.0/8", "fd00::/8"]);
/// // For proxies that write the header of RFC 7239, and only that one:
/// let proxies = proxies.by_forwarded();
/// # let _ = proxies;
/// ```
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    malformed: Vec<String>,
    by_forwarded: bool,
    unix_sockets: bool,
}

impl TrustedProxies {
    /// Trusts the proxies in these networks, each an address or in CIDR notation.
    ///
    /// One that is neither keeps the application from starting.
    pub fn new<S: AsRef<str>>(networks: impl IntoIterator<Item = S>) -> Self {
        let mut proxies = Self::default();
        for text in networks {
            let text = text.as_ref();
            let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            match network {
                Ok(network) => proxies.networks.push(network),
                Err(_) => proxies.malformed.push(text.to_owned()),
            }
        }
        proxies
    }

    /// Reads `Forwarded` (RFC 7239) in place of `X-Forwarded-For`.
    ///
    /// A proxy writes one of the two and hands on the other as the client sent it, so never both are read.
    #[must_use]
    pub fn by_forwarded(mut self) -> Self {
        self.by_forwarded = true;
        self
    }

    /// Trusts whoever has no address, which is a proxy that connects over a Unix socket.
    #[must_use]
    pub fn and_unix_sockets(mut self) -> Self {
        self.unix_sockets = true;
        self
    }

    /// Finds the address of the client; `None` where nobody who is trusted tells it, and the peer
    /// itself has none, as over a Unix socket.
    pub fn client(&self, request: &RequestParts) -> Option<IpAddr> {
        let peer = request.remote_addr().map(|address| address.ip().to_canonical());
        let mut client = peer;
        if peer.map_or(self.unix_sockets, |peer| self.trusts(peer)) {
            for hop in self.hops(request.headers()).into_iter().rev() {
                let Some(address) = hop else { break };
                client = Some(address);
                if !self.trusts(address) {
                    break;
                }
            }
        }
        client
    }

    /// The name under which a client is counted: that of its [`Principal`], or else of its address.
    ///
    /// That is an IPv4 address, or the /64 network of an IPv6 address, because a client has all of
    /// that. Those without one, as over a Unix socket whose proxy is not trusted, share a name.
    pub fn caller(&self, request: &RequestParts) -> String {
        let principal = request.extensions().get().map(|Principal { id, .. }| id.clone());
        self.named(principal, request)
    }

    /// The name under which a client is counted that has a name of its own, or else only an address.
    pub(super) fn named(&self, own: Option<String>, request: &RequestParts) -> String {
        // A key of one kind must not pass for one of the other.
        match (own, self.client(request)) {
            (Some(own), _) => format!("key {own}"),
            (None, Some(address)) => format!("address {}", network(address)),
            (None, None) => "no address".to_owned(),
        }
    }

    /// The texts that are no networks.
    pub(super) fn malformed(&self) -> &[String] {
        &self.malformed
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// What proxies have noted, the last proxy's note last; `None` for what is no address.
    fn hops(&self, headers: &HeaderMap) -> Vec<Option<IpAddr>> {
        let x_forwarded_for = HeaderName::from_static("x-forwarded-for");
        let name = if self.by_forwarded { FORWARDED } else { x_forwarded_for };
        let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
        let entries = values.flat_map(|value| value.split(','));
        entries
            .map(|entry| if self.by_forwarded { forwarded_for(entry) } else { address(entry) })
            .collect()
    }
}

impl<S: AsRef<str>, const N: usize> From<[S; N]> for TrustedProxies {
    fn from(networks: [S; N]) -> Self {
        Self::new(networks)
    }
}

/// What one client has: an IPv4 address, or the first half of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// The `for` of one element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut nodes = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    let (_, node) = nodes.next()?;
    address(node.trim().trim_matches('"'))
}

/// An address, perhaps with a port, perhaps in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    Some(address.ok()?.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// The client of a request from `peer` with these header lines.
    fn client(proxies: &TrustedProxies, peer: &str, headers: &[(&str, &str)]) -> String {
        found(proxies, Some(peer), headers).unwrap()
    }

    fn found(
        proxies: &TrustedProxies,
        peer: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Option<String> {
        let mut request = http::Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let peer = peer.map(|peer| SocketAddr::new(peer.parse().unwrap(), 1));
        let parts = RequestParts::new(head, Arc::default(), Default::default(), peer);
        proxies.client(&parts).map(|address| address.to_string())
    }

    #[test]
    fn a_client_with_ipv6_has_a_whole_network() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let proxies = TrustedProxies::new(["10.0.0.0/8", "192.0.2.1"]);
        let check = |peer: &str, forwarded: &str, expected: &str| {
            assert_eq!(client(&proxies, peer, &[("x-forwarded-for", forwarded)]), expected);
        };
        check("203.0.113.9", "1.1.1.1", "203.0.113.9");
        check("10.0.0.1", "1.1.1.1", "1.1.1.1");
        check("10.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1");
        check("10.0.0.1", "6.6.6.6, 1.1.1.1, 192.0.2.1, 10.9.9.9", "1.1.1.1");
        check("10.0.0.1", "1.1.1.1:4711", "1.1.1.1");
        check("10.0.0.1", "[2001:db8::1]:80", "2001:db8::1");
        check("10.0.0.1", "::ffff:1.1.1.1", "1.1.1.1");
        check("10.0.0.1", "1.1.1.1, unknown, 10.0.0.2", "10.0.0.2");
        check("10.0.0.1", "nonsense", "10.0.0.1");
        check("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3");
        check("::ffff:10.0.0.1", "1.1.1.1", "1.1.1.1");
    }

    #[test]
    fn several_header_lines_are_one_list() {
        let proxies = TrustedProxies::new(["10.0.0.0/8"]);
        let lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.1.1.1, 10.0.0.2")];
        assert_eq!(client(&proxies, "10.0.0.1", &lines), "1.1.1.1");
    }

    #[test]
    fn the_header_of_rfc_7239_is_read_only_when_it_is_chosen() {
        let headers = [
            ("forwarded", r#"for=6.6.6.6, For="[2001:db8::7]:80";proto=https;by=10.0.0.2"#),
            ("x-forwarded-for", "1.1.1.1"),
        ];
        let proxies = TrustedProxies::new(["10.0.0.0/8"]);
        assert_eq!(client(&proxies, "10.0.0.1", &headers), "1.1.1.1");
        let proxies = proxies.by_forwarded();
        assert_eq!(client(&proxies, "10.0.0.1", &headers), "2001:db8::7");
        assert_eq!(client(&proxies, "10.0.0.1", &[("forwarded", "for=_hidden")]), "10.0.0.1");
    }

    #[test]
    fn a_proxy_over_a_unix_socket_is_trusted_only_by_name() {
        let headers = [("x-forwarded-for", "6.6.6.6, 1.1.1.1")];
        let proxies = TrustedProxies::new(["10.0.0.0/8"]);
        assert_eq!(found(&proxies, None, &headers), None);
        let proxies = proxies.and_unix_sockets();
        assert_eq!(found(&proxies, None, &headers).as_deref(), Some("1.1.1.1"));
        assert_eq!(found(&proxies, None, &[]), None);
    }

    #[test]
    fn what_is_no_network_is_kept_for_the_start_up_check() {
        let proxies = TrustedProxies::new(["10.0.0.0/8", "10.0.0.0/40", "proxy"]);
        assert_eq!(proxies.malformed(), ["10.0.0.0/40", "proxy"]);
    }
}
