//! The body of an upstream's answer as it was before compression, chunk by chunk. How much is too much is
//! decided elsewhere.

use crate::outbound::Body;
use async_compression::{
    tokio::bufread::{BrotliDecoder, GzipDecoder, ZstdDecoder},
    zstd::DParameter,
};
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use http::{HeaderMap, header};
use http_body_util::{BodyDataStream, BodyExt};
use std::io;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;

const CHUNK_BYTES: usize = 32 << 10;
/// 8 MiB: what RFC 9659 lets a sender use, so that no answer makes us hold more.
const ZSTD_WINDOW_LOG: u32 = 23;

/// How a body was compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    Brotli,
    Zstd,
}

/// A body that is decompressed as it is read.
pub(crate) enum Decoded {
    Plain(Body),
    Compressed(Box<dyn AsyncRead + Send + Unpin>),
}

/// A body cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the connection broke within the body")]
    Broken(#[source] hyper::Error),
    #[error("the body cannot be decompressed")]
    Malformed(#[source] io::Error),
}

impl Coding {
    /// Reads `Content-Encoding`; `None` for one that nobody asked for.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut coding = Self::Identity;
        for value in headers.get_all(header::CONTENT_ENCODING) {
            for word in value.to_str().ok()?.split(',').map(|word| word.trim().to_ascii_lowercase()) {
                let next = match word.as_str() {
                    "" | "identity" => continue,
                    "gzip" | "x-gzip" => Self::Gzip,
                    "br" => Self::Brotli,
                    "zstd" => Self::Zstd,
                    _ => return None,
                };
                if coding != Self::Identity {
                    return None;
                }
                coding = next;
            }
        }
        Some(coding)
    }
}

impl Decoded {
    pub(crate) fn new(body: Body, coding: Coding) -> Self {
        // Each goes on with a member that follows, so that it ends where the body does: only then can the connection be
        // used again.
        Self::Compressed(match coding {
            Coding::Identity => return Self::Plain(body),
            Coding::Gzip => {
                let mut decoder = GzipDecoder::new(reader(body));
                decoder.multiple_members(true);
                Box::new(decoder)
            }
            Coding::Brotli => {
                let mut decoder = BrotliDecoder::new(reader(body));
                decoder.multiple_members(true);
                Box::new(decoder)
            }
            Coding::Zstd => {
                let window = DParameter::window_log_max(ZSTD_WINDOW_LOG);
                let mut decoder = ZstdDecoder::with_params(reader(body), &[window]);
                decoder.multiple_members(true);
                Box::new(decoder)
            }
        })
    }

    /// The next bytes, or `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, ReadError> {
        // What has already come is read without waiting: others get their turn here.
        tokio::task::coop::consume_budget().await;
        match self {
            Self::Plain(body) => loop {
                match body.frame().await.transpose().map_err(ReadError::Broken)? {
                    None => return Ok(None),
                    Some(frame) => match frame.into_data() {
                        Ok(data) if !data.is_empty() => return Ok(Some(data)),
                        Ok(_) | Err(_) => {}
                    },
                }
            },
            Self::Compressed(reader) => {
                let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
                let read = reader.read_buf(&mut chunk).await.map_err(ReadError::of)?;
                Ok((read > 0).then(|| chunk.freeze()))
            }
        }
    }
}

impl ReadError {
    fn of(error: io::Error) -> Self {
        match error.downcast::<hyper::Error>() {
            Ok(broken) => Self::Broken(broken),
            Err(malformed) => Self::Malformed(malformed),
        }
    }
}

fn reader(body: Body) -> impl AsyncBufRead + Send + Unpin {
    StreamReader::new(BodyDataStream::new(body).map_err(io::Error::other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn codings_that_were_asked_for_are_known_and_others_are_not() {
        let coding = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            Coding::of(&headers)
        };
        assert_eq!(coding(&[]), Some(Coding::Identity));
        assert_eq!(coding(&["identity"]), Some(Coding::Identity));
        assert_eq!(coding(&["GZIP"]), Some(Coding::Gzip));
        assert_eq!(coding(&["br"]), Some(Coding::Brotli));
        assert_eq!(coding(&["zstd, identity"]), Some(Coding::Zstd));
        for unasked in [&["deflate"][..], &["gzip, br"], &["gzip", "gzip"]] {
            assert_eq!(coding(unasked), None, "{unasked:?}");
        }
    }
}
