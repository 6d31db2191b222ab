//! Who may call from where: ranges of addresses, and the proxies whose word counts.
//!
//! An IPv4 address that is mapped into IPv6 (`::ffff:192.0.2.1`) counts as IPv4 everywhere here, in ranges
//! too. So `::/0` is every IPv6 address and no IPv4 address.

mod forwarded;

pub use forwarded::{Unparsable, reported_client};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::{collections::BTreeSet, net::IpAddr};

/// The most addresses and ranges in one list.
pub const MAX_RANGES: usize = 1_000;
const MAPPED_PREFIX: u8 = 96;

/// From where a portal may be called; from everywhere when nothing is said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AllowedAddresses {
    text: Option<String>,
    ranges: Vec<IpNet>,
}

/// Proxies whose word on the client's address counts; none by default.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrustedProxies(Vec<IpNet>);

/// A text that is no list of addresses and ranges.
#[derive(Clone, Debug, thiserror::Error, Eq, PartialEq)]
pub enum InvalidAddresses {
    /// One of its words is neither.
    #[error(
        "`{0}` is no IP address and no range: expected such as `192.0.2.1`, `198.51.100.0/24` or `2001:db8::/32`"
    )]
    Word(String),
    /// There are more than [`MAX_RANGES`].
    #[error("there are more than {MAX_RANGES} addresses")]
    TooMany,
}

impl AllowedAddresses {
    /// Reads addresses and ranges (CIDR) separated by spaces; none of them allows all.
    ///
    /// A range may have bits set behind its prefix: `192.0.2.7/24` is `192.0.2.0/24`.
    ///
    /// # Errors
    ///
    /// `InvalidAddresses` names the word that is neither.
    pub fn parse(text: &str) -> Result<Self, InvalidAddresses> {
        let ranges = ranges(text)?;
        let text = (!ranges.is_empty()).then(|| text.to_owned());
        Ok(Self { text, ranges })
    }

    /// The list as it was given; nothing where all are allowed.
    pub fn as_text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Whether a caller at `address` is let in.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.ranges.is_empty() || contain(&self.ranges, address)
    }

    /// Whether everybody who is let in here is let in by `other` too.
    pub fn within(&self, other: &Self) -> bool {
        let covered = |range: &IpNet| other.ranges.iter().any(|wider| wider.contains(range));
        other.ranges.is_empty() || (!self.ranges.is_empty() && self.ranges.iter().all(covered))
    }

    /// What both lists allow; nothing where no address is in both.
    pub fn narrowed_by(&self, other: &Self) -> Option<Self> {
        if self.ranges.is_empty() || other.ranges.is_empty() {
            return Some(if other.ranges.is_empty() { self } else { other }.clone());
        }
        // Of two ranges, one lies within the other or they have nothing in common.
        let within = |one: &[IpNet], other: &[IpNet]| -> BTreeSet<IpNet> {
            one.iter().filter(|range| other.iter().any(|around| around.contains(*range))).copied().collect()
        };
        let mut ranges = within(&self.ranges, &other.ranges);
        ranges.append(&mut within(&other.ranges, &self.ranges));
        let words: Vec<String> = ranges.iter().map(IpNet::to_string).collect();
        (!words.is_empty())
            .then(|| Self { text: Some(words.join(" ")), ranges: ranges.into_iter().collect() })
    }

    /// The ranges, an address being a range of one; none where all are allowed.
    pub fn ranges(&self) -> impl Iterator<Item = IpNet> {
        self.ranges.iter().copied()
    }
}

impl TrustedProxies {
    /// Reads addresses and ranges (CIDR) separated by spaces, as [`AllowedAddresses::parse`] does.
    ///
    /// # Errors
    ///
    /// `InvalidAddresses` names the word that is neither.
    pub fn parse(text: &str) -> Result<Self, InvalidAddresses> {
        ranges(text).map(Self)
    }

    /// Whether `address` is one of these proxies.
    pub fn contains(&self, address: IpAddr) -> bool {
        contain(&self.0, address)
    }
}

fn contain(ranges: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    ranges.iter().any(|range| range.contains(&address))
}

fn ranges(text: &str) -> Result<Vec<IpNet>, InvalidAddresses> {
    let mut ranges = Vec::new();
    for word in text.split_whitespace() {
        if ranges.len() == MAX_RANGES {
            return Err(InvalidAddresses::TooMany);
        }
        let range = range(word).ok_or_else(|| InvalidAddresses::Word(word.chars().take(64).collect()))?;
        ranges.push(range);
    }
    Ok(ranges)
}

fn range(word: &str) -> Option<IpNet> {
    if let Ok(address) = word.parse::<IpAddr>() {
        return Some(IpNet::from(address.to_canonical()));
    }
    let range = word.parse::<IpNet>().ok()?;
    Some(unmapped(range).unwrap_or(range).trunc())
}

/// The IPv4 range that an IPv6 range of mapped addresses stands for.
fn unmapped(range: IpNet) -> Option<IpNet> {
    let IpNet::V6(range) = range else { return None };
    let address = Ipv6Net::addr(&range).to_ipv4_mapped()?;
    let prefix = range.prefix_len().checked_sub(MAPPED_PREFIX)?;
    Ipv4Net::new(address, prefix).ok().map(IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(list: &str, address: &str) -> bool {
        AllowedAddresses::parse(list).unwrap().allows(address.parse().unwrap())
    }

    #[test]
    fn a_list_allows_what_is_in_its_ranges() {
        for (list, address, allowed) in [
            ("", "203.0.113.9", true),
            ("   ", "2001:db8::1", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1/32 198.51.100.0/24", "198.51.100.255", true),
            ("192.0.2.1/32 198.51.100.0/24", "198.51.101.0", false),
            ("198.51.100.77/24", "198.51.100.1", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "203.0.113.9", false),
            ("::/0", "::ffff:203.0.113.9", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
            ("::ffff:192.0.2.0/120", "192.0.2.200", true),
            ("::ffff:192.0.2.0/120", "::ffff:192.0.3.1", false),
            ("::ffff:0:0/96", "203.0.113.9", true),
        ] {
            assert_eq!(allows(list, address), allowed, "{list:?} {address}");
        }
    }

    #[test]
    fn a_list_is_within_another_that_covers_each_of_its_ranges() {
        for (list, other, within) in [
            ("", "", true),
            ("192.0.2.1", "", true),
            ("", "192.0.2.1", false),
            ("", "0.0.0.0/0 ::/0", false),
            ("192.0.2.1", "192.0.2.0/24", true),
            ("192.0.2.0/24", "192.0.2.1", false),
            ("192.0.2.1 198.51.100.0/25", "198.51.100.0/24 192.0.2.1", true),
            ("192.0.2.1 2001:db8::1", "192.0.2.0/24", false),
            ("2001:db8::/48", "2001:db8::/32", true),
            ("::ffff:192.0.2.7", "192.0.2.0/24", true),
        ] {
            let read = |text| AllowedAddresses::parse(text).unwrap();
            assert_eq!(read(list).within(&read(other)), within, "{list:?} within {other:?}");
        }
    }

    #[test]
    fn the_word_that_is_no_address_is_named() {
        for word in
            ["192.0.2", "192.0.2.1/33", "::/129", "example.org", "192.0.2.1,", "fe80::1%eth0", "1.2.3.4/-1"]
        {
            let invalid = AllowedAddresses::parse(&format!("192.0.2.1 {word}")).unwrap_err();
            assert_eq!(invalid, InvalidAddresses::Word(word.to_owned()));
        }
        let many = "192.0.2.1 ".repeat(MAX_RANGES);
        assert!(AllowedAddresses::parse(&many).is_ok());
        assert_eq!(AllowedAddresses::parse(&(many + "::1")), Err(InvalidAddresses::TooMany));
    }

    #[test]
    fn the_text_stays_as_it_was_given() {
        let list = AllowedAddresses::parse("198.51.100.7/24  192.0.2.1").unwrap();
        assert_eq!(list.as_text(), Some("198.51.100.7/24  192.0.2.1"));
        let ranges: Vec<_> = list.ranges().map(|range| range.to_string()).collect();
        assert_eq!(ranges, ["198.51.100.0/24", "192.0.2.1/32"]);
        assert_eq!(AllowedAddresses::parse(" ").unwrap(), AllowedAddresses::default());
    }
}
