//! How messages with bodies of answers in them are written and read: each into a place of its size, at once.
//!
//! The stock codec begins with a small buffer and lets it grow, and what grows is copied each time.

use prost::Message;
use std::marker::PhantomData;
use tonic::{
    Status,
    codec::{BufferSettings, EncodeBuf},
};
use tonic_prost::ProstDecoder;

/// Where messages are written: many small ones share a buffer, an answer of tens of kilobytes has one for itself.
const WRITTEN_BYTES: usize = 32 << 10;
/// Where they are read: tonic wants room for twice what a message takes, and moves it where there is less.
const READ_BYTES: usize = 128 << 10;
/// From so many bytes on, what is written goes out without waiting for another message: to make room for that would
/// be to copy what is there.
const ENOUGH_BYTES: usize = 16 << 10;

/// Protobuf that sends `T` and receives `U`.
#[derive(Debug)]
pub(crate) struct Codec<T, U>(PhantomData<(T, U)>);

/// Writes messages.
#[derive(Debug)]
pub(crate) struct Encoder<T>(PhantomData<T>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> tonic::codec::Codec for Codec<T, U>
where
    T: Message + 'static,
    U: Message + Default + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = Encoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Encoder<T> {
        Encoder(PhantomData)
    }

    fn decoder(&mut self) -> ProstDecoder<U> {
        ProstDecoder::new(BufferSettings::new(READ_BYTES, ENOUGH_BYTES))
    }
}

impl<T: Message> tonic::codec::Encoder for Encoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(message.encoded_len());
        message.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(WRITTEN_BYTES, ENOUGH_BYTES)
    }
}
