//! Who calls: what a request says of its bearer and its client's address.

use crate::answer::{Headers, Refusal};
use http::{HeaderMap, header};
use model::{
    Bearer, Fault, Reason,
    address::{TrustedProxies, reported_client},
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::time::{Duration, Instant};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The other end of the connection that a request came on; nobody's, where the connection has no address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerAddress(pub(crate) Option<SocketAddr>);

/// For how long a connection on which a call was refused for want of room counts as refused.
const REFUSED: Duration = Duration::from_secs(10);
/// How long a call on such a connection waits for room.
const PATIENCE: Duration = Duration::from_secs(1);

/// A connection that requests come on.
///
/// Where there is no room for a call it is refused at once, the first time. The next on the same connection waits in
/// line for a second before it is refused: callers who ask again at once would otherwise keep all processors busy with
/// being refused, and nothing would be left for those who are let in.
#[derive(Debug)]
pub struct Connection {
    peer: PeerAddress,
    refused: Mutex<Option<Instant>>,
}

impl Connection {
    /// A connection from `peer`; `None` where it has no address.
    pub fn new(peer: Option<SocketAddr>) -> Self {
        Self { peer: PeerAddress(peer), refused: Mutex::default() }
    }

    pub(crate) fn peer(&self) -> PeerAddress {
        self.peer
    }

    /// How long a call may wait for room.
    pub(crate) fn patience(&self) -> Duration {
        match *self.refused() {
            Some(at) if at.elapsed() < REFUSED => PATIENCE,
            _ => Duration::ZERO,
        }
    }

    /// Notes that a call was refused for want of room.
    pub(crate) fn refuse(&self) {
        *self.refused() = Some(Instant::now());
    }

    fn refused(&self) -> MutexGuard<'_, Option<Instant>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bearer of a request.
///
/// # Errors
///
/// `Unauthenticated`, telling a missing token from one that cannot be any.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Bearer, Refusal> {
    let unauthenticated = || crate::authorization::ask::refusal(Reason::Unauthenticated);
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let Some(field) = fields.next() else {
        return Err(Refusal::new(unauthenticated(), Headers::NoToken));
    };
    let another = fields.next();
    // As most write it. Two tokens would leave open which of them counts.
    let usual = field.as_bytes().strip_prefix(b"Bearer ").and_then(|token| str::from_utf8(token).ok());
    if let (Some(Ok(bearer)), None) = (usual.map(Bearer::parse), another) {
        return Ok(bearer);
    }
    // Bytes that are no text make a token that is none.
    let (scheme, token) = match field.to_str().unwrap_or("bearer ?\u{7f}").trim().split_once(' ') {
        Some((scheme, token)) => (scheme, token.trim_start()),
        None => return Err(Refusal::new(unauthenticated(), Headers::NoToken)),
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::new(unauthenticated(), Headers::NoToken));
    }
    match Bearer::parse(token) {
        Ok(bearer) if another.is_none() => Ok(bearer),
        _ => Err(unauthenticated().into()),
    }
}

/// The client's address: the peer's, or what trusted proxies say; `None` where the peer is not known.
///
/// # Errors
///
/// `BadRequest` when a trusted proxy passes on what is no address, or two that differ.
pub(crate) fn address(
    peer: PeerAddress,
    headers: &HeaderMap,
    trusted: &TrustedProxies,
) -> Result<Option<IpAddr>, Fault> {
    let PeerAddress(Some(peer)) = peer else { return Ok(None) };
    let peer = peer.ip().to_canonical();
    if !trusted.contains(peer) {
        return Ok(Some(peer));
    }
    let told = |name: &str| {
        let fields = headers.get_all(name);
        let mut values = Vec::new();
        for field in fields {
            values.push(field.to_str().map_err(|_| unparsable())?);
        }
        reported_client(peer, values.into_iter(), trusted).map_err(|_| unparsable())
    };
    match (told(FORWARDED_FOR)?, told(header::FORWARDED.as_str())?) {
        // A proxy that writes one of them may pass the other on as its client made it up.
        (Some(one), Some(other)) if one != other => Err(unparsable()),
        (Some(address), _) | (None, Some(address)) => Ok(Some(address)),
        (None, None) => Ok(Some(peer)),
    }
}

fn unparsable() -> Fault {
    Fault::new(Reason::BadRequest, "the client's address cannot be read from the forwarding header fields")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(fields: &[&str]) -> Result<String, Headers> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::AUTHORIZATION, HeaderValue::from_bytes(field.as_bytes()).unwrap());
        }
        bearer(&headers).map(|bearer| bearer.expose().to_owned()).map_err(|refusal| refusal.headers)
    }

    #[test]
    fn a_missing_token_is_told_from_a_bad_one() {
        assert_eq!(read(&["Bearer abc"]), Ok("abc".to_owned()));
        assert_eq!(read(&["bEARER   abc "]), Ok("abc".to_owned()));
        for absent in [&[][..], &["Basic YTpi"], &["Bearer"], &["Bearer "], &["abc"]] {
            assert_eq!(read(absent), Err(Headers::NoToken), "{absent:?}");
        }
        for bad in [&["Bearer a b"][..], &["Bearer abc", "Bearer abc"], &["Bearer \u{e4}"]] {
            assert_eq!(read(bad), Err(Headers::None), "{bad:?}");
        }
    }
}
