//! Waits until an instant to the microsecond: the runtime's own timers know milliseconds.

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::{io, os::fd::OwnedFd, time::Instant};
use tokio::io::unix::AsyncFd;

/// A timer of the kernel (timerfd_create(2)).
pub(crate) struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self(AsyncFd::new(timerfd_create(TimerfdClockId::Monotonic, flags)?)?))
    }

    /// Returns at `due`, or at once where that is past.
    pub(crate) async fn wait_until(&mut self, due: Instant) -> io::Result<()> {
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let never = Timespec { tv_sec: 0, tv_nsec: 0 };
            let then = Timespec::try_from(left).map_err(io::Error::other)?;
            let once = Itimerspec { it_interval: never, it_value: then };
            timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
            // To set it made it unreadable again; what the runtime still believes of before, the loop finds out.
            self.0.readable().await?.clear_ready();
        }
    }
}
