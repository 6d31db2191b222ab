//! What an upstream's answer is worth: the contract's table of failures, and the first part of the body.

use crate::{
    breaker::Outcome,
    decode::{Coding, Decoded, ReadError},
    outbound::{Body, MAX_CHUNK_BYTES},
    screen::Screen,
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode, header, response::Parts};
use model::{Fault, Reason, json};
use std::time::{Duration, SystemTime};

/// An answer of so many bytes is checked whole; a longer one is streamed as it comes.
pub(crate) const WHOLE_BYTES: usize = 256 << 10;
/// What is read at most of an answer before it is known to be longer.
const START_BYTES: usize = WHOLE_BYTES + MAX_CHUNK_BYTES;
/// How long callers are put off by an upstream that does not say, and by one that says too much.
const RATE_LIMITED_FOR: Duration = Duration::from_secs(5);
const RATE_LIMITED_AT_MOST: Duration = Duration::from_secs(300);

/// A failed try at the upstream.
pub(crate) struct Failure {
    pub(crate) fault: Fault,
    pub(crate) outcome: Outcome,
    /// Whether a query may be sent again.
    pub(crate) retryable: bool,
}

/// A body, as far as it was read.
pub(crate) enum Start {
    /// All of it, checked.
    Whole(Bytes),
    /// Longer than what is checked whole.
    Long(Box<Long>),
}

/// A long body.
pub(crate) struct Long {
    /// The first part, checked as far as it goes.
    pub(crate) first: Bytes,
    pub(crate) rest: Decoded,
}

impl Failure {
    pub(crate) fn answered(fault: Fault) -> Self {
        Self { fault, outcome: Outcome::Answered, retryable: false }
    }

    pub(crate) fn failed(fault: Fault) -> Self {
        Self { fault, outcome: Outcome::Failed, retryable: false }
    }

    pub(crate) fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }
}

/// Reads the body of an answer that [`judge`] let pass until it ends or is too long to be held.
///
/// No `async fn`, which would keep the response twice.
pub(crate) fn read(
    response: Response<Body>,
    screen: &Screen,
    limit: u64,
) -> impl Future<Output = Result<(StatusCode, Start), Failure>> + Send {
    let (Parts { status, headers, .. }, body) = response.into_parts();
    let (coding, length) = (Coding::of(&headers), declared(&headers));
    async move {
        let unreadable = |fault: Fault| {
            let graphql = status.is_success() || fault.reason() != Reason::UpstreamInvalidResponse;
            Failure::answered(if graphql { fault } else { status_fault(status).because(fault) })
        };
        let Some(coding) = coding else {
            return Err(unreadable(invalid(
                "the upstream's answer is compressed in a way that nobody asked for",
            )));
        };
        let length = length.filter(|_| coding == Coding::Identity);
        if length.is_some_and(|bytes| bytes > limit) {
            return Err(Failure::answered(too_large(limit)));
        }
        let room = length
            .map_or(0, |bytes| usize::try_from(bytes).map_or(START_BYTES, |bytes| bytes.min(START_BYTES)));
        let start = read_start(Decoded::new(body, coding), limit, room).await?;
        let (bytes, complete) = match &start {
            Start::Whole(bytes) => (bytes, true),
            Start::Long(long) => (&long.first, false),
        };
        screen.check(bytes).map_err(|echoed| Failure::answered(echo(echoed)))?;
        // JSON may begin with any amount of space, but what has no head yet cannot be judged by its head.
        if !complete && bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(unreadable(invalid("the upstream's answer begins with nothing but space")));
        }
        json::response_head(bytes, complete).map_err(|error| {
            unreadable(invalid("the upstream's answer is not a GraphQL response").because(error))
        })?;
        Ok((status, start))
    }
}

/// The failures that a status alone tells.
pub(crate) fn judge(status: StatusCode, headers: &HeaderMap) -> Result<(), Failure> {
    match status.as_u16() {
        401 | 403 | 407 => {
            let message = format!("the upstream did not accept the organization's credential ({status})");
            Err(Failure::answered(Fault::new(Reason::UpstreamUnauthorized, message)))
        }
        429 => {
            let message = "the upstream asks for fewer calls";
            let wait = retry_after(headers, SystemTime::now()).unwrap_or(RATE_LIMITED_FOR);
            let fault = Fault::new(Reason::UpstreamRateLimited, message);
            Err(Failure::answered(
                fault.retry_after(wait.clamp(Duration::from_secs(1), RATE_LIMITED_AT_MOST)),
            ))
        }
        200..300 | 400..500 => Ok(()),
        502..=504 => Err(Failure::failed(status_fault(status)).retryable()),
        500..600 => Err(Failure::failed(status_fault(status))),
        _ => Err(Failure::answered(status_fault(status))),
    }
}

/// Reads for as long as the answer is checked whole, into so much `room` where it comes in pieces.
async fn read_start(mut body: Decoded, limit: u64, room: usize) -> Result<Start, Failure> {
    let Some(first) = body.chunk().await.map_err(read_failure)? else {
        return Ok(Start::Whole(Bytes::new()));
    };
    let mut read = Read::One(first);
    loop {
        if exceeds(read.len(), limit) {
            return Err(Failure::answered(too_large(limit)));
        }
        if read.len() > WHOLE_BYTES {
            return Ok(Start::Long(Box::new(Long { first: read.into_bytes(), rest: body })));
        }
        match body.chunk().await.map_err(read_failure)? {
            None => return Ok(Start::Whole(read.into_bytes())),
            Some(chunk) => read = read.and(&chunk, room),
        }
    }
}

/// Most answers come in one chunk and are never copied.
enum Read {
    One(Bytes),
    Several(BytesMut),
}

impl Read {
    fn len(&self) -> usize {
        match self {
            Self::One(bytes) => bytes.len(),
            Self::Several(bytes) => bytes.len(),
        }
    }

    fn and(self, chunk: &[u8], room: usize) -> Self {
        let mut bytes = match self {
            Self::One(first) => {
                let mut bytes = BytesMut::with_capacity(room.max((first.len() + chunk.len()) * 2));
                bytes.extend_from_slice(&first);
                bytes
            }
            Self::Several(bytes) => bytes,
        };
        bytes.extend_from_slice(chunk);
        Self::Several(bytes)
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::One(bytes) => bytes,
            Self::Several(bytes) => bytes.freeze(),
        }
    }
}

/// Whether a length in memory is over a limit of the configuration.
pub(crate) fn exceeds(length: usize, limit: u64) -> bool {
    u64::try_from(length).map_or(true, |length| length > limit)
}

/// A body that cannot be read to its end: the upstream broke off, or sent what is no compressed body.
pub(crate) fn read_failure(error: ReadError) -> Failure {
    match error {
        ReadError::Broken(_) => {
            let message = "the connection to the upstream broke before its answer had ended";
            Failure::failed(Fault::new(Reason::UpstreamUnreachable, message).because(error))
        }
        ReadError::Malformed(_) => {
            Failure::answered(invalid("the upstream's answer cannot be decompressed").because(error))
        }
    }
}

pub(crate) fn too_large(limit: u64) -> Fault {
    let message = format!("the upstream's answer is larger than {limit} bytes");
    Fault::new(Reason::UpstreamResponseTooLarge, message)
}

/// The caller learns nothing that would help to find the credential; the log is told loudly, without it.
pub(crate) fn echo(echoed: crate::screen::Echoed) -> Fault {
    tracing::error!("an upstream's answer had its credential in it and was withheld");
    invalid("the upstream's answer was withheld").because(echoed)
}

fn invalid(message: &'static str) -> Fault {
    Fault::new(Reason::UpstreamInvalidResponse, message)
}

fn status_fault(status: StatusCode) -> Fault {
    let message = match status.as_u16() {
        300..400 => format!("the upstream answered with a redirect ({status}), which is not followed"),
        _ => format!("the upstream answered with {status}"),
    };
    Fault::new(Reason::UpstreamError, message)
}

fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// `Retry-After`: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn verdict(status: u16) -> Option<(Reason, Outcome, bool)> {
        let failure = judge(StatusCode::from_u16(status).unwrap(), &HeaderMap::new()).err()?;
        Some((failure.fault.reason(), failure.outcome, failure.retryable))
    }

    #[test]
    fn a_status_alone_tells_most_failures() {
        use Outcome::{Answered, Failed};
        for status in [200, 201, 400, 404, 422] {
            assert_eq!(verdict(status), None, "{status}");
        }
        for status in [401, 403, 407] {
            assert_eq!(verdict(status), Some((Reason::UpstreamUnauthorized, Answered, false)));
        }
        for status in [301, 302, 304, 307, 308] {
            assert_eq!(verdict(status), Some((Reason::UpstreamError, Answered, false)));
        }
        for (status, retryable) in [(500, false), (501, false), (502, true), (503, true), (504, true)] {
            assert_eq!(verdict(status), Some((Reason::UpstreamError, Failed, retryable)));
        }
        assert_eq!(verdict(429), Some((Reason::UpstreamRateLimited, Answered, false)));
    }

    #[test]
    fn retry_after_is_passed_on_within_bounds() {
        let wait = |text: &'static str| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static(text))]);
            judge(StatusCode::TOO_MANY_REQUESTS, &headers).err().unwrap().fault.wait().unwrap().as_secs()
        };
        assert_eq!(wait("7"), 7);
        assert_eq!(wait("0"), 1);
        assert_eq!(wait("86400"), 300);
        assert_eq!(wait("soon"), 5);
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), 1);
        assert_eq!(wait("Fri, 31 Dec 2100 23:59:59 GMT"), 300);
    }
}
