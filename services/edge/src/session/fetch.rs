//! Large answers: fetched from the executor that has them, as fast as the caller reads.

use super::{Config, unavailable};
use bytes::Bytes;
use futures_util::stream;
use model::{Fault, Reason};
use proto::{
    Channel,
    executor::v1::{FetchRequest, FetchResponse},
    stream::{FETCH, Incoming},
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time,
};
use tonic::Status;

/// Pieces that may wait for the caller.
const BUFFERED: usize = 2;

type Piece = Result<Bytes, Fault>;

/// Starts to fetch what `ticket` is good for; whoever drops the receiver ends it.
///
/// # Errors
///
/// `ExecutorUnavailable`, or the fault of the executor.
pub(super) async fn start(
    channel: Channel,
    ticket: Bytes,
    permit: OwnedSemaphorePermit,
    config: Config,
) -> Result<mpsc::Receiver<Piece>, Fault> {
    let opening = FETCH.call(channel, stream::iter([FetchRequest { ticket }]));
    let pieces = time::timeout(config.open_timeout, opening)
        .await
        .map_err(|_| unavailable("the executor does not give its answer"))?
        .map_err(read)?;
    let (sender, receiver) = mpsc::channel(BUFFERED + 1);
    let last_word = sender.clone().try_reserve_owned().map_err(Fault::internal)?;
    let ending = Ending(Some(last_word));
    tokio::spawn(pass_on(pieces, sender, ending, permit, config));
    Ok(receiver)
}

/// What an executor says; a ticket that it does not have is no fault of the caller's.
fn read(status: Status) -> Fault {
    let fault = proto::fault::read_status(status, Reason::ExecutorUnavailable);
    match fault.reason() {
        Reason::NotFound => unavailable("the executor has the answer no longer"),
        _ => fault,
    }
}

/// Says that the rest is missing unless it is told that nothing is: a body that just stops would look whole.
struct Ending(Option<mpsc::OwnedPermit<Piece>>);

impl Ending {
    fn fail(&mut self, fault: Fault) {
        if let Some(last_word) = self.0.take() {
            last_word.send(Err(fault));
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.fail(unavailable("the executor does not give the rest of its answer"));
    }
}

async fn pass_on(
    mut pieces: Incoming<FetchResponse>,
    sender: mpsc::Sender<Piece>,
    mut ending: Ending,
    _permit: OwnedSemaphorePermit,
    config: Config,
) {
    loop {
        let next = tokio::select! {
            next = time::timeout(config.piece_timeout, pieces.message()) => next,
            // The caller has left.
            () = sender.closed() => return,
        };
        let chunk = match next {
            Ok(Ok(Some(FetchResponse { chunk }))) => chunk,
            Ok(Ok(None)) => {
                ending.0 = None;
                return;
            }
            Ok(Err(status)) => {
                return ending.fail(read(status));
            }
            Err(_) => return,
        };
        let sent = time::timeout(config.piece_timeout, sender.send(Ok(chunk))).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}
