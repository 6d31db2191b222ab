//! Request bodies: read whole, within bytes and time.

use crate::answer::{Headers, Refusal};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::Body;
use http_body_util::BodyExt;
use model::{Fault, Reason, fault::Cause};
use std::time::{Duration, Instant};
use tokio::time;

/// How much of a refused request is read away, and for how long: any body that could have been right, whatever it is
/// refused for, and one that is too large as far as many clients send it before they read.
const DISCARDED: u64 = 4 << 20;
const DISCARDED_OF_LARGE: u64 = 32 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// How much of a body is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) bytes: usize,
    pub(crate) until: Instant,
}

/// Reads a body to its end.
///
/// # Errors
///
/// `PayloadTooLarge`, `RequestTimeout`, or `BadRequest` when it breaks off.
pub(crate) async fn read<B>(body: &mut B, limits: Limits) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes, Error: Into<Cause>> + Unpin,
{
    let declared = body.size_hint().lower();
    if declared > u64::try_from(limits.bytes).unwrap_or(u64::MAX) {
        return Err(too_large(limits));
    }
    let limit = limits.until.into();
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let received = first.len() + rest.len();
        let frame = match time::timeout_at(limit, body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return Err(broken(error)),
            Err(_) => return Err(late()),
        };
        let Ok(data) = frame.into_data() else { continue };
        if received + data.len() > limits.bytes {
            return Err(too_large(limits));
        }
        // Most bodies are one piece, which needs no copy.
        if received == 0 {
            first = data;
        } else {
            rest.extend_from_slice(&std::mem::take(&mut first));
            rest.extend_from_slice(&data);
        }
        if body.is_end_stream() {
            break;
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// Reads away what a refused request still sends, within bounds: a connection that is closed on unread bytes is reset,
/// and the caller may lose the answer or find its next request unanswered.
///
/// Returns whether the connection is good for another request.
pub(crate) async fn discard<B>(body: &mut B, headers: &HeaderMap, reason: Reason) -> bool
where
    B: Body<Data = Bytes, Error: Into<Cause>> + Unpin,
{
    let most = match reason {
        Reason::PayloadTooLarge => DISCARDED_OF_LARGE,
        _ => DISCARDED,
    };
    if body.is_end_stream() {
        return true;
    }
    // Who waits to be asked for the body need not send it.
    if headers.contains_key(header::EXPECT) || body.size_hint().lower() > most {
        return false;
    }
    let reading = async {
        let mut received: u64 = 0;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            received = received.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
            if received > most {
                return false;
            }
        }
        body.is_end_stream()
    };
    time::timeout(DISCARD_TIME, reading).await.unwrap_or(false)
}

/// Refuses a body of another media type.
pub(crate) fn unsupported() -> Refusal {
    Fault::new(Reason::UnsupportedMediaType, "the body must be of the media type application/json").into()
}

fn too_large(limits: Limits) -> Refusal {
    let message = format!("the body is larger than {} bytes", limits.bytes);
    Refusal::new(Fault::new(Reason::PayloadTooLarge, message), Headers::Close)
}

fn late() -> Refusal {
    Refusal::new(Fault::new(Reason::RequestTimeout, "the body took too long to arrive"), Headers::Close)
}

fn broken(error: impl Into<Cause>) -> Refusal {
    let fault = Fault::new(Reason::BadRequest, "the body broke off").because(error);
    Refusal::new(fault, Headers::Close)
}
