//! Waits until an instant to the microsecond: the runtime's own timers know milliseconds.

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::{io, time::Instant};
use tokio::net::unix::pipe::Receiver;

/// A timer of the kernel (timerfd_create(2)), which is read like a pipe.
pub(crate) struct Alarm(Receiver);

impl Alarm {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self(Receiver::from_owned_fd_unchecked(timer)?))
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
            timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
            self.0.readable().await?;
            // How often it rang (8 bytes) does not matter; a room larger than that tells the runtime that no more is there.
            match self.0.try_read(&mut [0; 16]) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}
