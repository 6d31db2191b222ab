//! Messages read from frames, of which they are a part as long as they live.

use super::Carried;
use crate::MAX_MESSAGE_BYTES;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body::Body as _;
use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tonic::{Code, Status, body::Body};

/// What stands before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// The messages that the other side says.
pub struct Incoming<M> {
    body: Body,
    read: Pieces,
    /// The length of the message that comes next, once that is known.
    length: Option<usize>,
    /// Whether the other side answers, and so ends with a status: what just stops would look whole.
    answers: bool,
    messages: PhantomData<fn() -> M>,
}

impl<M: Carried> Incoming<M> {
    /// What whoever calls says.
    pub(super) fn asked(body: Body) -> Self {
        Self { body, read: Pieces::default(), length: None, answers: false, messages: PhantomData }
    }

    /// What whoever answers says.
    pub(super) fn answered(body: Body) -> Self {
        Self { answers: true, ..Self::asked(body) }
    }

    /// The next message; nothing when the other side has said all. It may be dropped and asked again.
    ///
    /// # Errors
    ///
    /// The status with which the other side ends, or what is wrong with what it says.
    pub async fn message(&mut self) -> Result<Option<M>, Status> {
        poll_fn(|context| self.poll_message(context)).await
    }

    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<M>, Status>> {
        loop {
            if let Some(message) = self.take()? {
                return Poll::Ready(Ok(Some(message)));
            }
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(frame) => frame?,
                None => return Poll::Ready(self.ended(None)),
            };
            match frame.into_data().map_err(|other| other.into_trailers()) {
                Ok(data) => self.read.push(data),
                Err(Ok(trailers)) => return Poll::Ready(self.ended(Status::from_header_map(&trailers))),
                // Of another kind that HTTP/2 may have one day.
                Err(Err(_)) => {}
            }
        }
    }

    /// The next message, if all of it has come.
    fn take(&mut self) -> Result<Option<M>, Status> {
        let length = match self.length {
            Some(length) => length,
            None if self.read.remaining() < PREFIX_BYTES => return Ok(None),
            None => *self.length.insert(length(&mut self.read)?),
        };
        if self.read.remaining() < length {
            return Ok(None);
        }
        self.length = None;
        let message = match self.read.take_whole(length) {
            Some(bytes) => M::decode(bytes),
            None => M::decode((&mut self.read).take(length)),
        };
        message.map(Some).map_err(|error| Status::internal(format!("a message cannot be read: {error}")))
    }

    fn ended(&self, status: Option<Status>) -> Result<Option<M>, Status> {
        match status {
            Some(status) if status.code() != Code::Ok => Err(status),
            None if self.answers => Err(Status::unavailable("the answers end without a status")),
            _ if self.length.is_some() || self.read.remaining() > 0 => {
                Err(Status::internal("the messages end within one"))
            }
            _ => Ok(None),
        }
    }
}

impl<M> fmt::Debug for Incoming<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Incoming").field("unread", &self.read.remaining()).finish_non_exhaustive()
    }
}

/// Reads what stands before a message.
fn length(read: &mut Pieces) -> Result<usize, Status> {
    if read.get_u8() != 0 {
        return Err(Status::unimplemented("messages of this stream must not be compressed"));
    }
    let length = read.get_u32();
    usize::try_from(length).ok().filter(|length| *length <= MAX_MESSAGE_BYTES).ok_or_else(|| {
        Status::out_of_range(format!("a message of {length} bytes, where {MAX_MESSAGE_BYTES} may be sent"))
    })
}

/// Bytes in the pieces in which they came; none of these is empty.
#[derive(Default)]
struct Pieces {
    pieces: VecDeque<Bytes>,
    bytes: usize,
}

impl Pieces {
    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.bytes += piece.len();
            self.pieces.push_back(piece);
        }
    }

    /// So many bytes, where they came in one piece.
    fn take_whole(&mut self, count: usize) -> Option<Bytes> {
        let piece = self.pieces.front_mut().filter(|piece| count <= piece.len())?;
        let taken = piece.split_to(count);
        if piece.is_empty() {
            self.pieces.pop_front();
        }
        self.bytes -= count;
        Some(taken)
    }
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn advance(&mut self, mut count: usize) {
        while count > 0 {
            let piece = self.pieces.front_mut().expect("nobody advances beyond what remains");
            let passed = count.min(piece.len());
            piece.advance(passed);
            self.bytes -= passed;
            count -= passed;
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
    }

    /// Copies only what came in several pieces.
    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        self.take_whole(count).unwrap_or_else(|| {
            let mut copy = BytesMut::with_capacity(count);
            copy.put(self.take(count));
            copy.freeze()
        })
    }
}
