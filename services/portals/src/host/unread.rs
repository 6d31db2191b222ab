//! Heads that cannot be read, answered as the edge answers.
//!
//! hyper refuses a head that is too large or malformed by itself, with a status and nothing else, before any service
//! hears of it. So it is what is written while no call is answered, and it has no request id.

use super::pace::Pace;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use memchr::memmem;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that puts the edge's words in the place of hyper's.
pub(super) struct Answered<S> {
    stream: S,
    pace: Arc<Pace>,
    edge: Option<edge::Service>,
    /// What is left to be written of an answer that stands for another, and how long that one was.
    instead: Option<(Bytes, usize)>,
}

impl<S> Answered<S> {
    /// Without an edge, nothing is changed.
    pub(super) fn new(stream: S, pace: Arc<Pace>, edge: Option<edge::Service>) -> Self {
        Self { stream, pace, edge, instead: None }
    }

    fn replace(&mut self, written: &[u8]) {
        let Some(edge) = self.edge.as_ref().filter(|_| !self.pace.is_answering()) else { return };
        let Some(status) = refused(written) else { return };
        if let Some(answer) = message(edge.unread(status), date(written)) {
            self.instead = Some((answer, written.len()));
        }
    }
}

/// The status of an answer of hyper's own.
fn refused(written: &[u8]) -> Option<StatusCode> {
    let status = written.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    let ours = !status.starts_with(b"4") || memmem::find(written, b"\r\nx-request-id: ").is_some();
    if ours { None } else { StatusCode::from_bytes(status).ok() }
}

fn date(written: &[u8]) -> &[u8] {
    let line = |line: &&[u8]| line.starts_with(b"date: ");
    written.split(|byte| *byte == b'\n').find(line).map_or(b"", <[u8]>::trim_ascii)
}

/// An answer as HTTP/1.1 has it.
fn message(answer: Response<edge::Body>, date: &[u8]) -> Option<Bytes> {
    let (head, body) = answer.into_parts();
    let body = body.collect().now_or_never()?.ok()?.to_bytes();
    let mut message = format!("HTTP/1.1 {}\r\n", head.status).into_bytes();
    for (name, value) in &head.headers {
        message.extend_from_slice(name.as_str().as_bytes());
        message.extend_from_slice(b": ");
        message.extend_from_slice(value.as_bytes());
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    message.extend_from_slice(date);
    message.extend_from_slice(b"\r\n\r\n");
    message.extend_from_slice(&body);
    Some(message.into())
}

impl<S: AsyncWrite + Unpin> Answered<S> {
    /// Writes what stands for another answer, all of it.
    fn poll_instead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while let Some((left, replaced)) = &mut self.instead {
            if left.is_empty() {
                let replaced = *replaced;
                self.instead = None;
                return Poll::Ready(Ok(replaced));
            }
            match ready!(Pin::new(&mut self.stream).poll_write(context, left))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => drop(left.split_to(written)),
            }
        }
        Poll::Ready(Ok(0))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Answered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Answered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.instead.is_none() {
            self.replace(bytes);
        }
        match self.instead {
            Some(_) => self.poll_instead(context),
            None => Pin::new(&mut self.stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.instead.is_none()
            && let [only] = slices
        {
            self.replace(only);
        }
        match self.instead {
            Some(_) => self.poll_instead(context),
            None => Pin::new(&mut self.stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It is asked for when nothing is left of what was to be written.
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.pace.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::BoxFuture;
    use model::{Fault, Secret};
    use proto::{Call, Execute};
    use tokio::io::AsyncWriteExt;

    #[test]
    fn an_answer_of_hypers_own_is_one_without_a_request_id() {
        let hypers =
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        assert_eq!(refused(hypers), Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        assert_eq!(date(hypers), b"date: now");
        for other in [
            b"HTTP/1.1 401 Unauthorized\r\nx-request-id: 1\r\n\r\n".as_slice(),
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 4",
            b"{\"data\":1}",
            b"",
        ] {
            assert_eq!(refused(other), None);
        }
    }

    /// An executor that nobody asks.
    struct Idle;

    impl Execute for Idle {
        fn execute(&self, _call: Call) -> BoxFuture<'static, Result<proto::Answer, Fault>> {
            Box::pin(async { Err(Fault::internal("nothing was to be run")) })
        }

        fn reachable(&self) -> bool {
            false
        }
    }

    #[tokio::test]
    async fn what_is_written_of_an_answer_is_nobody_elses_words_whatever_it_looks_like() {
        let registry = proto::channel::local(tonic::service::Routes::default());
        let config = edge::Config::new("http://127.0.0.1", Secret::new("an edge key of 32 characters, ..."));
        let edge = edge::open(config, registry, Arc::new(Idle)).service();
        let pace = Arc::new(Pace::new());
        let mut stream = Answered::new(Vec::new(), Arc::clone(&pace), Some(edge));
        let looks_like_one = b"HTTP/1.1 404 Not Found\r\n\r\n";
        pace.call_begins(false);
        stream.write_all(looks_like_one).await.unwrap();
        stream.flush().await.unwrap();
        // The last of its body was taken, and is written only now.
        pace.call_ends();
        stream.write_all(looks_like_one).await.unwrap();
        assert_eq!(stream.stream, looks_like_one.repeat(2));
        stream.flush().await.unwrap();
        stream.stream.clear();
        stream.write_all(looks_like_one).await.unwrap();
        let answer = String::from_utf8(stream.stream).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && answer.contains("x-request-id: "),
            "{answer}"
        );
    }
}
