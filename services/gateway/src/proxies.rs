//! Where a client is. A proxy in front of the gateway is the peer of every connection, so that without its word all clients would
//! share one address: one guesser of passwords would lock out everybody. What a request says of its way is believed of the
//! configured proxies alone; anybody else may write what he likes into a header.
use ::http::{HeaderMap, HeaderName, header};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A network in CIDR notation: an address and how many of its leading bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// A text is not a network.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not a network: an address and its leading bits, and zero behind them, such as 10.0.0.0/8 or 2001:db8::/32"
)]
pub struct NotANetwork(String);

/// The leading `bits` of an address as a number of its family's width, as far as a shift may go.
fn leading(address: IpAddr, bits: u8) -> u128 {
    let (value, width) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    value.checked_shr(width - u32::from(bits)).unwrap_or(0)
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && leading(self.address, self.bits) == leading(address, self.bits)
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let wrong = || NotANetwork(text.to_owned());
        let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        // "+8" and "08" are numbers to a parser, and slips to everybody else.
        let digits = !bits.starts_with('+') && (bits == "0" || !bits.starts_with('0'));
        let bits: u8 = bits.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
        let (value, width) = match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32_u8),
            // A peer is compared in its IPv4 form, so that this network would hold nobody.
            IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => return Err(wrong()),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        let behind = u32::from(width.checked_sub(bits).ok_or_else(wrong)?);
        if behind > 0 && value.trailing_zeros() < behind {
            return Err(wrong());
        }
        Ok(Self { address, bits })
    }
}

impl TryFrom<String> for Network {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Self, NotANetwork> {
        text.parse()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

/// Where the client of a request is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub IpAddr);

/// The address of the client: the right-most one on the request's way that is not a trusted proxy's. What stands to the left of
/// it was written by the client himself.
pub(crate) fn client(trusted: &[Network], peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let peer = peer.to_canonical();
    let is_proxy = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_proxy(peer) {
        return peer;
    }
    let walked = |hops: Vec<Option<IpAddr>>| {
        let mut at = peer;
        for hop in hops.into_iter().rev() {
            // A hop that is hidden or no address is vouched for by the last one that was believed.
            let Some(hop) = hop else { return at };
            at = hop;
            if !is_proxy(at) {
                return at;
            }
        }
        at
    };
    let plain = hops(headers, &X_FORWARDED_FOR, address);
    let standard = hops(headers, &header::FORWARDED, forwarded_for);
    match (plain, standard) {
        (None, None) => peer,
        (Some(hops), None) | (None, Some(hops)) => walked(hops),
        // A proxy that writes one of the two passes on what the client wrote into the other. When they agree it does not
        // matter which; when they do not, neither is believed.
        (Some(plain), Some(standard)) => {
            let (plain, standard) = (walked(plain), walked(standard));
            if plain == standard { plain } else { peer }
        }
    }
}

/// The elements of every line of a header, in their order; nothing when there is no such header.
fn hops(headers: &HeaderMap, name: &HeaderName, read: impl Fn(&str) -> Option<IpAddr>) -> Option<Vec<Option<IpAddr>>> {
    let mut lines = headers.get_all(name).iter().peekable();
    lines.peek()?;
    Some(lines.flat_map(|line| line.to_str().unwrap_or("?").split(',').map(&read).collect::<Vec<_>>()).collect())
}

/// The `for` of one element of `Forwarded` (RFC 7239); nothing when it names no address.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in element.split(';').filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("for") {
            // Twice is not allowed, and which one counts would be anybody's guess.
            if found.is_some() {
                return None;
            }
            let value = value.trim();
            let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            found = Some(address(quoted.unwrap_or(value))?);
        }
    }
    found
}

/// An address with or without a port; one of version 6 may stand in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())?
        .to_canonical();
    (address != IpAddr::V4(Ipv4Addr::UNSPECIFIED)).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted() -> Vec<Network> {
        ["10.0.0.0/8", "2001:db8:f::/48"].iter().map(|text| text.parse().unwrap()).collect()
    }

    fn found(peer: &str, lines: &[(&str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        client(&trusted(), peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_network_is_an_address_and_its_leading_bits_and_nothing_else() {
        for good in ["10.0.0.0/8", "0.0.0.0/0", "192.0.2.7/32", "::/0", "2001:db8::/32", "::1/128"] {
            assert_eq!(good.parse::<Network>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "10.0.0.0",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "::1/129",
            "::ffff:10.0.0.0/104",
            "localhost/8",
            " 10.0.0.0/8",
            "10.0.0.0/8 ",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_network_holds_what_begins_as_it_does_in_its_own_family() {
        let network: Network = "10.128.0.0/9".parse().unwrap();
        assert!(network.contains("10.200.0.1".parse().unwrap()) && !network.contains("10.1.0.1".parse().unwrap()));
        let everything: Network = "0.0.0.0/0".parse().unwrap();
        assert!(everything.contains("192.0.2.1".parse().unwrap()) && !everything.contains("::1".parse().unwrap()));
    }

    #[test]
    fn a_stranger_may_write_what_he_likes_and_is_where_he_is() {
        let spoofed = [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1")];
        assert_eq!(found("198.51.100.9", &spoofed), "198.51.100.9");
        // An IPv4 peer on a listener of both versions is the same peer.
        assert_eq!(found("::ffff:198.51.100.9", &spoofed), "198.51.100.9");
        assert_eq!(found("::ffff:10.0.0.1", &[("x-forwarded-for", "192.0.2.1")]), "192.0.2.1");
    }

    #[test]
    fn the_right_most_address_that_is_no_proxy_counts() {
        let forged = "203.0.113.5, 192.0.2.1";
        assert_eq!(found("10.0.0.1", &[("x-forwarded-for", forged)]), "192.0.2.1");
        assert_eq!(
            found("10.0.0.1", &[("x-forwarded-for", "203.0.113.5, 192.0.2.1, 10.0.0.2, 10.9.9.9")]),
            "192.0.2.1"
        );
        // Lines of one header are one list.
        let lines = [("x-forwarded-for", "203.0.113.5"), ("x-forwarded-for", "192.0.2.1:4711, 10.0.0.2")];
        assert_eq!(found("10.0.0.1", &lines), "192.0.2.1");
        assert_eq!(
            found("10.0.0.1", &[("forwarded", "for=203.0.113.5, For=\"[2001:db8::7]:4711\";proto=https")]),
            "2001:db8::7"
        );
        // All of the way is trusted: its beginning is the client.
        assert_eq!(found("10.0.0.1", &[("x-forwarded-for", "10.0.0.7, 2001:db8:f::2")]), "10.0.0.7");
        assert_eq!(found("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn what_is_no_address_is_vouched_for_by_the_last_proxy() {
        for hidden in ["unknown", "_gazonk", "", "192.0.2.1.5", "0.0.0.0", "for=192.0.2.1"] {
            assert_eq!(found("10.0.0.1", &[("x-forwarded-for", &format!("192.0.2.1, {hidden}"))]), "10.0.0.1");
        }
        for hidden in ["for=unknown", "by=192.0.2.1", "for=192.0.2.1;for=192.0.2.2", "192.0.2.1"] {
            assert_eq!(found("10.0.0.1", &[("forwarded", hidden)]), "10.0.0.1", "{hidden}");
        }
        assert_eq!(found("10.0.0.1", &[("x-forwarded-for", "unknown, 10.0.0.2")]), "10.0.0.2");
    }

    #[test]
    fn the_header_that_the_proxy_does_not_write_cannot_overrule_the_one_that_it_writes() {
        let lines = [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=203.0.113.5")];
        assert_eq!(found("10.0.0.1", &lines), "10.0.0.1");
        let lines = [("x-forwarded-for", "203.0.113.5, 192.0.2.1"), ("forwarded", "for=192.0.2.1")];
        assert_eq!(found("10.0.0.1", &lines), "192.0.2.1");
    }
}
