//! Wakes a poll more exactly than its own time limit does, which has whole milliseconds on Linux.

use std::io;
use std::time::Duration;

use mio::{Registry, Token};

/// A moment to wake up at. On systems other than Linux it does nothing, and the poll's own limit wakes up: that of kqueue is as exact.
#[derive(Debug)]
pub(super) struct Timer {
    #[cfg(target_os = "linux")]
    inner: nix::sys::timerfd::TimerFd,
}

#[cfg(target_os = "linux")]
impl Timer {
    /// One whose events have that token.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        use std::os::fd::{AsFd, AsRawFd};

        use mio::unix::SourceFd;
        use mio::{Interest, event};
        use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};

        let inner = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?;
        let mut source = SourceFd(&inner.as_fd().as_raw_fd());
        event::Source::register(&mut source, registry, token, Interest::READABLE)?;
        Ok(Self { inner })
    }

    /// Wakes up after that time, and no more at the one that was set before. It need not be read: setting it makes its next event a new one.
    pub(super) fn set(&self, wait: Duration) -> io::Result<()> {
        use nix::sys::time::TimeSpec;
        use nix::sys::timerfd::{Expiration, TimerSetTimeFlags};

        // No time at all would switch it off.
        let wait = TimeSpec::from_duration(wait.max(Duration::from_nanos(1)));
        Ok(self.inner.set(Expiration::OneShot(wait), TimerSetTimeFlags::empty())?)
    }
}

#[cfg(not(target_os = "linux"))]
impl Timer {
    pub(super) fn new(_: &Registry, _: Token) -> io::Result<Self> {
        Ok(Self {})
    }

    pub(super) fn set(&self, _: Duration) -> io::Result<()> {
        Ok(())
    }
}
