//! The client's address behind proxies: `X-Forwarded-For`, and `Forwarded` (RFC 7239).

use super::TrustedProxies;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A client of whom a trusted proxy reports no address.
#[derive(Clone, Copy, Debug, thiserror::Error, Eq, PartialEq)]
#[error("a trusted proxy reports a client without a readable address")]
pub struct Unparsable;

/// The address that a request comes from by what the proxies before `peer` say; nothing where they say nothing about
/// it (`proto=https`, an empty value), or `peer` is no proxy that is trusted.
///
/// `forwarded` are the values of the `X-Forwarded-For` fields in their order, or those of the `Forwarded`
/// fields; the two are told apart by themselves. From the right, it is the first address that is not of
/// a trusted proxy; the left-most where all are. Ports and zones are left out.
///
/// # Errors
///
/// `Unparsable` when a trusted proxy names a hop that is no address (`unknown`, `_hidden`, rubbish), or names
/// none and passes on an address from somebody that it does not name.
pub fn reported_client<'a>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &TrustedProxies,
) -> Result<Option<IpAddr>, Unparsable> {
    let (mut client, mut reported, mut nameless) = (peer.to_canonical(), None, false);
    for value in forwarded.rev() {
        let hops = if trusted.contains(client) { split(value, b',').ok_or(Unparsable)? } else { break };
        for hop in hops.into_iter().rev().map(str::trim).filter(|hop| !hop.is_empty()) {
            if !trusted.contains(client) {
                return Ok(reported);
            }
            match address(hop)? {
                // It came to the proxy from anybody, who may have made it up.
                Some(_) if nameless => return Err(Unparsable),
                Some(address) => {
                    client = address.to_canonical();
                    reported = Some(client);
                }
                None => nameless = true,
            }
        }
    }
    Ok(reported)
}

/// Splits `text` at each `separator` outside of double quotes.
///
/// A quote that stays open splits nothing: a client could hide in it what its proxy has appended.
fn split(text: &str, separator: u8) -> Option<Vec<&str>> {
    let (mut quoted, mut escaped, mut start) = (false, false, 0);
    let mut parts = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        if escaped {
            escaped = false;
        } else if byte == b'"' {
            quoted = !quoted;
        } else if byte == b'\\' {
            escaped = quoted;
        } else if byte == separator && !quoted {
            parts.extend(text.get(start..at));
            start = at + 1;
        }
    }
    parts.extend(text.get(start..));
    (!quoted).then_some(parts)
}

/// The address of one hop in either notation; nothing where it has none, and says something else.
fn address(hop: &str) -> Result<Option<IpAddr>, Unparsable> {
    if !hop.contains('=') {
        return node(hop).map(Some).ok_or(Unparsable);
    }
    let mut found = None;
    for pair in split(hop, b';').ok_or(Unparsable)? {
        let (name, value) = pair.split_once('=').ok_or(Unparsable)?;
        if name.trim().eq_ignore_ascii_case("for") && found.replace(value.trim()).is_some() {
            return Err(Unparsable);
        }
    }
    found.map(|text| node(text).ok_or(Unparsable)).transpose()
}

/// The address of a node: quotes, brackets, a port and a zone may stand around it.
fn node(text: &str) -> Option<IpAddr> {
    let text = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => text,
    };
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let port = port.strip_prefix(':').or(port.is_empty().then_some("0"))?;
        return is_port(port).then(|| v6(address)).flatten().map(IpAddr::V6);
    }
    if let Some(address) = v6(text) {
        return Some(IpAddr::V6(address));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    match text.split_once(':') {
        Some((address, port)) => is_port(port).then(|| address.parse().ok().map(IpAddr::V4)).flatten(),
        None => text.parse().ok(),
    }
}

fn v6(text: &str) -> Option<Ipv6Addr> {
    let (address, _zone) = text.split_once('%').unwrap_or((text, ""));
    address.parse().ok()
}

/// A port, or the made-up one that RFC 7239 allows.
fn is_port(text: &str) -> bool {
    let made_up = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match text.strip_prefix('_') {
        Some(rest) => !rest.is_empty() && rest.bytes().all(made_up),
        None => text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> Result<String, Unparsable> {
        let trusted = TrustedProxies::parse("10.0.0.0/8 ::1 2001:db8:1::/48").unwrap();
        let peer: IpAddr = peer.parse().unwrap();
        let reported = reported_client(peer, forwarded.iter().copied(), &trusted)?;
        Ok(reported.unwrap_or(peer.to_canonical()).to_string())
    }

    #[test]
    fn the_client_is_the_right_most_hop_that_is_no_trusted_proxy() {
        for (peer, forwarded, expected) in [
            ("203.0.113.9", &[][..], "203.0.113.9"),
            ("203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("203.0.113.9", &["rubbish"], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["192.0.2.66, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["rubbish, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1, 10.0.0.2,10.0.0.3"], "198.51.100.1"),
            ("10.0.0.1", &["192.0.2.66", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", &["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
            ("10.0.0.1", &[" , 198.51.100.1 ,"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("::1", &["::ffff:10.1.1.1"], "10.1.1.1"),
            ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
            ("10.0.0.1", &["2001:db8::7"], "2001:db8::7"),
            ("10.0.0.1", &["fe80::7%eth0"], "fe80::7"),
            ("10.0.0.1", &["\"[fe80::7%eth0]:80\""], "fe80::7"),
            ("10.0.0.1", &["for=198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["For=\"[2001:db8::7]:4711\";proto=https, for=10.0.0.2"], "2001:db8::7"),
            ("10.0.0.1", &["by=\"_a,b;for=1.1.1.1\"; FOR=198.51.100.1 ;proto=http"], "198.51.100.1"),
            ("10.0.0.1", &["for=unknown, for=\"198.51.100.1:_p0rt\""], "198.51.100.1"),
            ("10.0.0.1", &["proto=https;host=x"], "10.0.0.1"),
            ("10.0.0.1", &["proto=https", "by=_a;proto=http"], "10.0.0.1"),
            ("10.0.0.1", &["proto=https, for=198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["proto=https, for=10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["", " , "], "10.0.0.1"),
        ] {
            assert_eq!(client(peer, forwarded).as_deref(), Ok(expected), "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn a_proxy_that_names_no_client_reports_none() {
        let trusted = TrustedProxies::parse("10.0.0.0/8").unwrap();
        let reported =
            |value: &str| reported_client("10.0.0.1".parse().unwrap(), [value].into_iter(), &trusted);
        for value in ["", " ", " , ", "proto=https;host=x", "by=_a, proto=https"] {
            assert_eq!(reported(value), Ok(None), "{value}");
        }
        assert_eq!(reported("for=10.0.0.1"), Ok(Some("10.0.0.1".parse().unwrap())));
        for value in ["for=198.51.100.1, proto=https", "for=10.0.0.2, proto=https, for=10.0.0.3"] {
            assert_eq!(reported(value), Err(Unparsable), "{value}: anybody may have made it up");
        }
    }

    #[test]
    fn a_hop_without_an_address_is_refused() {
        for hop in [
            "unknown",
            "_hidden",
            "for=unknown",
            "for=_hidden",
            "proto=https;x",
            "for=1.1.1.1;for=2.2.2.2",
            "for=",
            "1.2.3.4:",
            "1.2.3.4:99999",
            "1.2.3.4:http",
            "[1.2.3.4]",
            "[::1",
            "[::1]x",
            "[::1]:",
            "\"1.2.3.4",
            "1.2.3",
            "for=1.1.1.1;x=\", for=10.0.0.9",
            "for=1.1.1.1;x=\", for=\"10.0.0.9\"",
            "example.org",
            "1.2.3.4 5.6.7.8",
            "01.2.3.4",
        ] {
            assert_eq!(client("10.0.0.1", &[hop]), Err(Unparsable), "{hop}");
            assert_eq!(client("10.0.0.1", &[hop, "10.0.0.2"]), Err(Unparsable), "{hop}");
        }
    }
}
