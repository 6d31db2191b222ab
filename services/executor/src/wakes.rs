//! Needless wakes of connections of HTTP/1.1, kept from their tasks.
//!
//! With each piece of a body that is taken, hyper wakes the body's connection, so that it reads the next one: also with
//! the last piece, and a connection whose only call that was is polled for nothing, together with all that answers it.

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use std::{
    cell::RefCell,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

thread_local! {
    static HELD: RefCell<Held> = const { RefCell::new(Held::Not) };
}

/// What becomes of the wakes of connections on this thread.
enum Held {
    /// They reach their tasks.
    Not,
    /// They wait: one at most, for a body has one connection.
    Back(Option<Waker>),
}

/// What a connection is polled with, so that its wakes can be held back.
#[derive(Debug, Default)]
pub struct Wakes {
    /// The task that it was polled in last, and the waker that stands for it.
    known: Option<(Waker, Waker)>,
}

struct Task(Waker);

/// Holds wakes back until it is dropped.
struct Holding;

impl Wakes {
    /// Polls a connection.
    pub fn poll<F: Future>(&mut self, connection: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
        let task = context.waker();
        let known = self.known.take().filter(|(known, _)| known.will_wake(task));
        let (_, waker) =
            self.known.insert(known.unwrap_or_else(|| (task.clone(), Arc::new(Task(task.clone())).into())));
        connection.poll(&mut Context::from_waker(waker))
    }
}

/// Polls the body of a connection of HTTP/1.1 that is polled with [`Wakes`]: once it has been read to its end, that
/// connection does not hear of it.
pub fn poll_frame(
    body: &mut Incoming,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
    let holding = Holding::begin();
    let polled = Pin::new(&mut *body).poll_frame(context);
    if matches!(polled, Poll::Ready(None)) || body.is_end_stream() {
        holding.forget();
    }
    polled
}

impl Holding {
    fn begin() -> Self {
        HELD.set(Held::Back(None));
        Self
    }

    /// What was held back was needless.
    fn forget(self) {
        HELD.set(Held::Back(None));
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        if let Held::Back(Some(waker)) = HELD.replace(Held::Not) {
            waker.wake();
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Self(task) = &**self;
        let earlier = HELD.with_borrow_mut(|held| match held {
            Held::Not => Some(task.clone()),
            Held::Back(waker) => waker.replace(task.clone()),
        });
        if let Some(earlier) = earlier {
            earlier.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Request, Response};
    use http_body_util::Empty;
    use hyper::{server::conn::http1, service::service_fn};
    use hyper_util::rt::TokioIo;
    use std::{
        convert::Infallible,
        future::{pending, poll_fn},
        pin::pin,
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering},
        },
    };
    use tokio::io::{AsyncWriteExt, duplex};

    /// A task that counts how often it is woken.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }

    impl Counting {
        fn woken(&self) -> usize {
            self.0.swap(0, Ordering::AcqRel)
        }
    }

    type Frames = Poll<Option<Result<Frame<Bytes>, hyper::Error>>>;

    fn by_hyper(body: &mut Incoming, context: &mut Context<'_>) -> Frames {
        Pin::new(body).poll_frame(context)
    }

    /// Sends the head of a request of four bytes and then `pieces`, each after the one before was taken; what has been
    /// read of its body then, and how often its connection was woken by each poll.
    async fn read(
        pieces: &[&str],
        poll_frame: fn(&mut Incoming, &mut Context<'_>) -> Frames,
    ) -> (Vec<u8>, Vec<usize>) {
        let (mut client, server) = duplex(1 << 10);
        client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n").await.unwrap();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let taking = Arc::clone(&taken);
        let service = service_fn(move |request: Request<Incoming>| {
            let (mut body, taking) = (request.into_body(), Arc::clone(&taking));
            async move {
                while !body.is_end_stream() {
                    let frame = poll_fn(|context| poll_frame(&mut body, context)).await.unwrap().unwrap();
                    taking.lock().unwrap().extend_from_slice(frame.data_ref().unwrap());
                }
                pending::<Result<Response<Empty<Bytes>>, Infallible>>().await
            }
        });
        let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(server), service));
        let (task, mut wakes) = (Arc::new(Counting::default()), Wakes::default());
        let waker = Waker::from(Arc::clone(&task));
        let mut woken = Vec::new();
        for piece in pieces {
            client.write_all(piece.as_bytes()).await.unwrap();
            task.woken();
            assert!(wakes.poll(connection.as_mut(), &mut Context::from_waker(&waker)).is_pending());
            woken.push(task.woken());
        }
        let taken = taken.lock().unwrap().clone();
        (taken, woken)
    }

    #[tokio::test]
    async fn who_takes_the_last_piece_wakes_nobody() {
        assert_eq!(read(&["text"], poll_frame).await, (b"text".to_vec(), vec![0]));
        // Once this is no longer so, none of this is needed.
        assert_eq!(read(&["text"], by_hyper).await, (b"text".to_vec(), vec![1]));
    }

    #[tokio::test]
    async fn who_takes_another_piece_wakes_the_connection_for_the_next() {
        let (taken, woken) = read(&["te", "xt"], poll_frame).await;
        assert_eq!((&*taken, woken.first()), (&b"text"[..], Some(&1)));
    }
}
