//! A Unix stream that sleeps until there is something to read.
//!
//! Whenever a reader takes something from a Unix socket, the kernel tells the writer of the room, asked or not: one
//! wake for each message, for nothing. So this one asks for room only after a write that has found none. It knows
//! nothing of what is read and written.

use std::{
    io::{self, IoSlice, Read, Write},
    net::Shutdown,
    os::unix::net,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf, unix::AsyncFd},
    net::UnixStream,
};

/// A Unix stream on this thread's runtime.
#[derive(Debug)]
pub(crate) struct Quiet {
    reading: AsyncFd<net::UnixStream>,
    /// While a write waits for room.
    writing: Option<AsyncFd<net::UnixStream>>,
}

impl Quiet {
    /// Takes over a stream.
    ///
    /// # Errors
    ///
    /// When the runtime cannot take it.
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        Ok(Self { reading: watch(stream.into_std()?, Interest::READABLE)?, writing: None })
    }

    fn write_with(
        &mut self,
        context: &mut Context<'_>,
        write: impl Fn(&net::UnixStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match write(self.reading.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                written => {
                    self.writing = None;
                    return Poll::Ready(written);
                }
            }
            let writing = match self.writing.take() {
                Some(writing) => writing,
                // Asked for only now, it is told at once where room has come meanwhile.
                None => watch(self.reading.get_ref().try_clone()?, Interest::WRITABLE)?,
            };
            let room = self.writing.insert(writing).poll_write_ready(context);
            ready!(room)?.clear_ready();
        }
    }
}

#[allow(
    deprecated,
    reason = "unsound for a type whose descriptor may change, which that of a stream never does"
)]
fn watch(stream: net::UnixStream, interest: Interest) -> io::Result<AsyncFd<net::UnixStream>> {
    AsyncFd::with_interest(stream, interest)
}

impl AsyncRead for Quiet {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.reading.poll_read_ready(context))?;
            let room = buffer.initialize_unfilled();
            let wanted = room.len();
            match ready.get_inner().read(room) {
                Ok(read) => {
                    // Less than was asked for was all there was: to be told so once more would cost another call.
                    if read > 0 && read < wanted {
                        ready.clear_ready();
                    }
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Quiet {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write_with(context, |mut stream| stream.write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_with(context, |mut stream| stream.write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.reading.get_ref().shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn pair() -> (Quiet, Quiet) {
        let (one, other) = UnixStream::pair().unwrap();
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
