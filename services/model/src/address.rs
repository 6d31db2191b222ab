//! Who may call from where: addresses, ranges, and the proxies whose word counts.

use ipnet::IpNet;
use std::net::IpAddr;

/// Ranges of addresses.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AllowedAddresses {
    text: Option<String>,
    ranges: Vec<IpNet>,
}

/// A text that is no list of addresses.
#[derive(Clone, Debug, thiserror::Error, Eq, PartialEq)]
#[error("{0}")]
pub struct InvalidAddresses(String);

impl AllowedAddresses {
    /// Reads addresses and ranges separated by spaces.
    ///
    /// # Errors
    ///
    /// `InvalidAddresses`.
    pub fn parse(text: &str) -> Result<Self, InvalidAddresses> {
        Err(InvalidAddresses(text.to_owned()))
    }

    /// The text as it was given.
    pub fn as_text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Whether a caller at `address` is let in.
    pub fn allows(&self, _address: IpAddr) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges.
    pub fn ranges(&self) -> impl Iterator<Item = IpNet> {
        self.ranges.iter().copied()
    }
}

/// Proxies whose word on the client's address counts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Reads addresses and ranges separated by spaces.
    ///
    /// # Errors
    ///
    /// `InvalidAddresses`.
    pub fn parse(text: &str) -> Result<Self, InvalidAddresses> {
        Err(InvalidAddresses(text.to_owned()))
    }

    /// Whether `address` is a trusted proxy.
    pub fn contains(&self, _address: IpAddr) -> bool {
        false
    }
}

/// A hop that names no address.
#[derive(Clone, Copy, Debug, thiserror::Error, Eq, PartialEq)]
#[error("the forwarding header names a hop that is no address")]
pub struct Unparsable;

/// The client's address.
///
/// # Errors
///
/// `Unparsable`.
pub fn client_address<'a>(
    peer: IpAddr,
    _forwarded: impl DoubleEndedIterator<Item = &'a str>,
    _trusted: &TrustedProxies,
) -> Result<IpAddr, Unparsable> {
    Ok(peer)
}
