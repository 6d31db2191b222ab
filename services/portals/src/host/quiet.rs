//! A Unix stream that sleeps until there is something to read.
//!
//! Whenever a reader takes something from a Unix socket, the kernel tells the writer of the room, asked or not: one
//! wake for each message, for nothing. So this one asks for room only after a write that has found none. It knows
//! nothing of what is read and written.

use std::{
    io::{self, IoSlice, Write},
    net::Shutdown,
    os::unix::net,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::unix::pipe,
};

/// A Unix stream on this thread's runtime.
#[derive(Debug)]
pub(crate) struct Quiet {
    stream: net::UnixStream,
    /// The same stream. Pipes are what the runtime has that asks for one thing only, and a stream is read and written
    /// as they are.
    reading: pipe::Receiver,
    /// While a write waits for room.
    writing: Option<pipe::Sender>,
}

impl Quiet {
    /// Takes over a stream that does not block.
    ///
    /// # Errors
    ///
    /// When the runtime cannot take it.
    pub(crate) fn new(stream: net::UnixStream) -> io::Result<Self> {
        let reading = pipe::Receiver::from_owned_fd_unchecked(stream.try_clone()?.into())?;
        Ok(Self { stream, reading, writing: None })
    }

    /// Writes by `now`, or where that finds no room by `later` as soon as there is some.
    fn poll_write_by(
        &mut self,
        now: impl Fn(&net::UnixStream) -> io::Result<usize>,
        later: impl FnOnce(Pin<&mut pipe::Sender>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let written = loop {
            match now(&self.stream) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let writing = match self.writing.take() {
                        Some(writing) => writing,
                        // Asked for only now, it is told at once where room has come meanwhile.
                        None => pipe::Sender::from_owned_fd_unchecked(self.stream.try_clone()?.into())?,
                    };
                    break ready!(later(Pin::new(self.writing.insert(writing))));
                }
                written => break written,
            }
        };
        self.writing = None;
        Poll::Ready(written)
    }
}

impl AsyncRead for Quiet {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reading).poll_read(context, buffer)
    }
}

impl AsyncWrite for Quiet {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_by(|mut stream| stream.write(bytes), |sender| sender.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_by(
            |mut stream| stream.write_vectored(slices),
            |sender| sender.poll_write_vectored(context, slices),
        )
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn pair() -> (Quiet, Quiet) {
        let (one, other) = net::UnixStream::pair().unwrap();
        [&one, &other].into_iter().for_each(|end| end.set_nonblocking(true).unwrap());
        (Quiet::new(one).unwrap(), Quiet::new(other).unwrap())
    }

    #[tokio::test]
    async fn what_finds_no_room_is_written_when_there_is_some() {
        let (mut writer, mut reader) = pair();
        let sent: Vec<u8> = (0..4_u32 << 20).map(|number| number.to_le_bytes()[1]).collect();
        let writing = async {
            writer.write_all(&sent).await.unwrap();
            writer.shutdown().await.unwrap();
            writer
        };
        let mut received = Vec::new();
        let (writer, _) = tokio::join!(writing, reader.read_to_end(&mut received));
        assert!(received == sent);
        assert!(writer.writing.is_none());
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_seen_by_both_sides() {
        let (mut one, other) = pair();
        drop(other);
        assert_eq!(one.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(one.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
