//! How a message is written: many bytes that it carries stand last, and follow it as they are.

use crate::{
    MAX_MESSAGE_BYTES,
    executor::v1::{FetchRequest, FetchResponse, SessionRequest, SessionResponse, session_response::Outcome},
};
use bytes::{BufMut, Bytes, BytesMut};
use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len},
};
use std::mem;
use tonic::Status;

/// So many bytes are worth a frame of their own; fewer are copied sooner.
const APART_BYTES: usize = 4 << 10;

// Numbers of fields in `executor.proto`.
const SESSION_ANSWER: u32 = 2;
const ANSWER_BODY: u32 = 2;
const FETCH_CHUNK: u32 = 1;

/// A message of a stream.
pub trait Carried: Message + Default {
    /// Writes the message behind its length, and gives the bytes that are still to follow.
    ///
    /// # Errors
    ///
    /// `OUT_OF_RANGE` for a message that is too large.
    fn write(self, buffer: &mut BytesMut) -> Result<Bytes, Status> {
        write_whole(&self, buffer).map(|()| Bytes::new())
    }
}

impl Carried for SessionRequest {}

impl Carried for FetchRequest {}

impl Carried for SessionResponse {
    fn write(mut self, buffer: &mut BytesMut) -> Result<Bytes, Status> {
        let mut answer = match self.outcome.take() {
            Some(Outcome::Answer(answer)) if answer.body.len() >= APART_BYTES => answer,
            outcome => {
                self.outcome = outcome;
                return write_whole(&self, buffer).map(|()| Bytes::new());
            }
        };
        // Fields have no order.
        let body = mem::take(&mut answer.body);
        let inner = answer.encoded_len() + field_len(ANSWER_BODY, body.len());
        write_length(self.encoded_len() + field_len(SESSION_ANSWER, inner), buffer)?;
        write_fields(&self, buffer)?;
        begin_field(SESSION_ANSWER, inner, buffer);
        write_fields(&answer, buffer)?;
        begin_field(ANSWER_BODY, body.len(), buffer);
        Ok(body)
    }
}

impl Carried for FetchResponse {
    fn write(self, buffer: &mut BytesMut) -> Result<Bytes, Status> {
        let Self { chunk } = self;
        write_length(field_len(FETCH_CHUNK, chunk.len()), buffer)?;
        begin_field(FETCH_CHUNK, chunk.len(), buffer);
        Ok(chunk)
    }
}

fn write_whole(message: &impl Message, buffer: &mut BytesMut) -> Result<(), Status> {
    write_length(message.encoded_len(), buffer)?;
    write_fields(message, buffer)
}

fn write_fields(message: &impl Message, buffer: &mut BytesMut) -> Result<(), Status> {
    message.encode(buffer).map_err(|error| Status::internal(error.to_string()))
}

/// Says that a message of `bytes` follows, which is not compressed.
fn write_length(bytes: usize, buffer: &mut BytesMut) -> Result<(), Status> {
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= MAX_MESSAGE_BYTES).ok_or_else(|| {
        Status::out_of_range(format!("a message of {bytes} bytes, where {MAX_MESSAGE_BYTES} may be sent"))
    })?;
    buffer.put_u8(0);
    buffer.put_u32(length);
    Ok(())
}

/// Begins a field of so many bytes.
fn begin_field(number: u32, bytes: usize, buffer: &mut BytesMut) {
    encode_key(number, WireType::LengthDelimited, buffer);
    encode_varint(length_of(bytes), buffer);
}

/// What a field of so many bytes takes, with its number and its length.
fn field_len(number: u32, bytes: usize) -> usize {
    key_len(number) + encoded_len_varint(length_of(bytes)) + bytes
}

fn length_of(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::v1::{Answer, Fault};

    fn written<T: Carried>(message: T) -> (Bytes, Bytes) {
        let mut buffer = BytesMut::new();
        let rest = message.write(&mut buffer).unwrap();
        (buffer.freeze(), rest)
    }

    fn read<T: Carried>(message: T) -> T {
        let (head, rest) = written(message);
        let whole = [head, rest].concat();
        let (prefix, fields) = whole.split_at(5);
        assert_eq!(prefix[0], 0);
        assert_eq!(u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize, fields.len());
        T::decode(fields).unwrap()
    }

    fn answer(bytes: usize) -> SessionResponse {
        let answer = Answer {
            status: 200,
            body: Bytes::from(vec![b'x'; bytes]),
            ignored_variables: vec!["unasked".to_owned()],
            ticket: Bytes::new(),
        };
        SessionResponse { id: 300, outcome: Some(Outcome::Answer(answer)) }
    }

    #[test]
    fn what_is_written_is_what_protobuf_reads() {
        for bytes in [0, 1, APART_BYTES - 1, APART_BYTES, 64 << 10] {
            assert!(read(answer(bytes)) == answer(bytes), "{bytes}");
            let chunk = FetchResponse { chunk: Bytes::from(vec![b'x'; bytes]) };
            assert!(read(chunk.clone()) == chunk, "{bytes}");
        }
        let fault = Fault { reason: "INTERNAL".to_owned(), ..Fault::default() };
        let fault = SessionResponse { id: 0, outcome: Some(Outcome::Fault(fault)) };
        assert!(read(fault.clone()) == fault);
    }

    #[test]
    fn many_bytes_follow_as_they_are() {
        let message = answer(APART_BYTES);
        let Some(Outcome::Answer(Answer { body, .. })) = &message.outcome else { unreachable!() };
        let place = body.as_ptr();
        let (_, rest) = written(message);
        assert_eq!(rest.as_ptr(), place);
        assert!(written(answer(APART_BYTES - 1)).1.is_empty());
    }

    #[test]
    fn what_is_too_large_is_not_begun() {
        let mut buffer = BytesMut::new();
        let refused = answer(MAX_MESSAGE_BYTES).write(&mut buffer).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::OutOfRange);
        assert!(buffer.is_empty());
    }
}
