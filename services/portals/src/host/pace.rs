//! The clock of one connection: how long it may be silent.
//!
//! A head that has begun must be complete in [`HEAD`]; between calls a connection may be idle for [`IDLE`]; a peer
//! that takes nothing of what it asked for is given up after [`STALLED`]. While a call is answered the clock of
//! reading stands: bodies and deadlines are the service's own.
//!
//! Nobody looks at the clock of an idle connection before it may be over, so that to keep one costs nothing.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tokio::time::Instant;

/// From the first byte of a request to the end of its head; also from accepting to the first request.
pub(crate) const HEAD: Duration = Duration::from_secs(10);
/// Between two requests of a connection.
pub(crate) const IDLE: Duration = Duration::from_secs(60);
/// How long a write may find no room.
pub(crate) const STALLED: Duration = Duration::from_secs(60);
/// How often the clock is looked at where silence is not what ends a connection: while it is answered, and on HTTP/2.
pub(crate) const LOOK: Duration = Duration::from_millis(2_500);

/// No write is waiting.
const NONE: u64 = u64::MAX;

/// What one connection is about; all that touch it run on one thread.
#[derive(Debug)]
pub(crate) struct Pace {
    start: Instant,
    in_flight: AtomicU32,
    head_begun: AtomicBool,
    multiplexed: AtomicBool,
    /// Whether what is written next is of an answer to a call.
    answering: AtomicBool,
    deadline_ms: AtomicU64,
    stalled_since_ms: AtomicU64,
}

impl Pace {
    /// The clock of a connection that was accepted just now.
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            in_flight: AtomicU32::new(0),
            head_begun: AtomicBool::new(true),
            multiplexed: AtomicBool::new(false),
            answering: AtomicBool::new(false),
            deadline_ms: AtomicU64::new(ms(HEAD)),
            stalled_since_ms: AtomicU64::new(NONE),
        }
    }

    fn now_ms(&self) -> u64 {
        ms(self.start.elapsed())
    }

    /// Whether no call is under way, of those that come one after the other.
    fn is_between(&self) -> bool {
        self.in_flight.load(Relaxed) == 0 && !self.multiplexed.load(Relaxed)
    }

    /// Bytes came in.
    pub(crate) fn read(&self) {
        if self.is_between() && !self.head_begun.load(Relaxed) {
            self.head_begun.store(true, Relaxed);
            self.deadline_ms.store(self.now_ms() + ms(HEAD), Relaxed);
        }
    }

    /// A write found room, or did not.
    pub(crate) fn wrote(&self, room: bool) {
        let waiting = self.stalled_since_ms.load(Relaxed) != NONE;
        if room && waiting {
            self.stalled_since_ms.store(NONE, Relaxed);
        } else if !room && !waiting {
            self.stalled_since_ms.store(self.now_ms(), Relaxed);
        }
    }

    /// The head of a request is complete; `multiplexed` where others may come beside it.
    pub(crate) fn call_begins(&self, multiplexed: bool) {
        self.in_flight.fetch_add(1, Relaxed);
        self.multiplexed.store(multiplexed, Relaxed);
        self.answering.store(true, Relaxed);
    }

    /// Whether what is written is of answers to calls, and not of a connection that has heard of none.
    pub(crate) fn is_answering(&self) -> bool {
        self.answering.load(Relaxed) || self.is_multiplexed()
    }

    /// All that there was to write is written; of an answer that goes on more will come.
    pub(crate) fn flushed(&self) {
        if self.in_flight.load(Relaxed) == 0 {
            self.answering.store(false, Relaxed);
        }
    }

    /// Whether requests may come beside each other.
    pub(crate) fn is_multiplexed(&self) -> bool {
        self.multiplexed.load(Relaxed)
    }

    /// The answer to a request is out, or nobody wants it any more.
    pub(crate) fn call_ends(&self) {
        if self.in_flight.fetch_sub(1, Relaxed) == 1 {
            self.head_begun.store(false, Relaxed);
            self.deadline_ms.store(self.now_ms() + ms(IDLE), Relaxed);
        }
    }

    /// When it will have been silent for too long, unless something comes; nothing where silence is not what ends it.
    pub(crate) fn silent_until(&self) -> Option<Instant> {
        // It is over after its deadline, not at it.
        let over = || self.start + Duration::from_millis(self.deadline_ms.load(Relaxed) + 1);
        self.is_between().then(over)
    }

    /// Whether the connection has been silent for too long.
    pub(crate) fn is_over(&self) -> bool {
        let now = self.now_ms();
        let stalled = self.stalled_since_ms.load(Relaxed);
        let silent = self.in_flight.load(Relaxed) == 0 && now > self.deadline_ms.load(Relaxed);
        silent || (stalled != NONE && now.saturating_sub(stalled) > ms(STALLED))
    }
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX - 1)
}
