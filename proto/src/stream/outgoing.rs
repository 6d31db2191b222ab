//! The body of a request or a response: messages as they come, as many in a frame as are there.

use super::Carried;
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use std::{
    convert::Infallible,
    mem,
    pin::Pin,
    task::{Context, Poll},
};
use tonic::Status;

/// Where messages are written; what is left of it when a frame has gone is for the next ones.
const BUFFER_BYTES: usize = 16 << 10;
/// A frame of so many bytes goes out without waiting for another message.
const ENOUGH_BYTES: usize = 8 << 10;

/// The messages that one side says.
pub(super) struct Outgoing<S> {
    messages: S,
    buffer: BytesMut,
    /// What follows the message that was written last.
    rest: Bytes,
    end: End,
}

/// How the messages end.
enum End {
    /// Nobody knows yet, and only who answers says how.
    Open {
        answering: bool,
    },
    /// So; it is still to be said.
    Known(Status),
    Said,
}

impl<S> Outgoing<S> {
    /// What whoever calls says.
    pub(super) fn asking(messages: S) -> Self {
        Self::new(messages, false)
    }

    /// What whoever answers says, with a status at its end.
    pub(super) fn answering(messages: S) -> Self {
        Self::new(messages, true)
    }

    fn new(messages: S, answering: bool) -> Self {
        Self { messages, buffer: BytesMut::new(), rest: Bytes::new(), end: End::Open { answering } }
    }
}

impl<S, M> Outgoing<S>
where
    S: Stream<Item = Result<M, Status>> + Unpin,
    M: Carried,
{
    /// Writes what is there, until there is enough for a frame or the messages have ended.
    fn write(&mut self, context: &mut Context<'_>) {
        while let End::Open { answering } = self.end
            && self.buffer.len() < ENOUGH_BYTES
            && self.rest.is_empty()
        {
            let message = match Pin::new(&mut self.messages).poll_next(context) {
                Poll::Pending => return,
                Poll::Ready(None) => {
                    self.end = if answering { End::Known(Status::ok("")) } else { End::Said };
                    return;
                }
                Poll::Ready(Some(message)) => message,
            };
            if self.buffer.capacity() == 0 {
                self.buffer.reserve(BUFFER_BYTES);
            }
            match message.and_then(|message| message.write(&mut self.buffer)) {
                Ok(rest) => self.rest = rest,
                Err(status) => self.end = End::Known(status),
            }
        }
    }
}

impl<S, M> Body for Outgoing<S>
where
    S: Stream<Item = Result<M, Status>> + Unpin,
    M: Carried,
{
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            self.write(context);
            if !self.buffer.is_empty() {
                let written = self.buffer.split().freeze();
                return Poll::Ready(Some(Ok(Frame::data(written))));
            }
        }
        if !self.rest.is_empty() {
            let rest = mem::take(&mut self.rest);
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        match mem::replace(&mut self.end, End::Said) {
            End::Known(status) => Poll::Ready(Some(Ok(Frame::trailers(trailers(&status))))),
            End::Said => Poll::Ready(None),
            open @ End::Open { .. } => {
                self.end = open;
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.end, End::Said) && self.buffer.is_empty() && self.rest.is_empty()
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        // Its message cannot be written, its code can.
        trailers.insert(Status::GRPC_STATUS, HeaderValue::from(i32::from(status.code())));
    }
    trailers
}
