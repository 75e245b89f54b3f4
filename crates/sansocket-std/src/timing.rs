//! Time limits over a blocking stream: the engine's deadlines, driven by the stream's own time limits.

use std::io;
use std::time::{Duration, Instant};

use sansocket::{Deadlines, Expired, Time, Timeouts};

use crate::error::is_timeout;
use crate::inbox::Engine;
use crate::stream::Stream;

/// How early a stream's time limit may strike and still be taken for the one that was set.
const SLACK: Duration = Duration::from_millis(20);

/// The shortest time limit that is set: zero would mean none.
const SHORTEST: Duration = Duration::from_millis(1);

/// The engine's time: nanoseconds since the connection began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Time {
        Time::from_nanos(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// The end of a wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit(Option<Instant>);

impl Limit {
    /// A wait without an end.
    pub(crate) const NONE: Self = Self(None);

    pub(crate) fn after(timeout: Option<Duration>) -> Self {
        Self(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    /// Sets the stream's time limit for one more read. An error, if the time is over.
    pub(crate) fn arm(self, stream: &mut impl Stream) -> io::Result<()> {
        let Some(end) = self.0 else { return Ok(()) };
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left.max(SHORTEST)))
    }

    /// An error, if the time is over.
    pub(crate) fn check(self) -> io::Result<()> {
        if self.left() == Some(Duration::ZERO) { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }

    /// What is left, for a call with a limit of its own.
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.map(|end| end.saturating_duration_since(Instant::now()))
    }

    /// Whichever ends first.
    fn or(self, other: Self) -> Self {
        Self([self.0, other.0].into_iter().flatten().min())
    }
}

/// How long writes may block.
///
/// A stream has one time limit for all that is written to it, and two kinds of writes need different ones: the caller's, and those of
/// replies, which end when a deadline comes. So what strikes may have been set for somebody else. That is found out when it strikes,
/// and not prevented by setting the limit before each write, so that in steady traffic no write costs a further system call.
#[derive(Debug)]
pub(crate) struct WriteLimit {
    /// What the caller wants.
    own: Option<Duration>,
    /// What the stream has.
    armed: Option<Duration>,
}

impl WriteLimit {
    /// The caller's own limit is what the stream has.
    pub(crate) fn of(stream: &impl Stream) -> io::Result<Self> {
        let own = stream.write_timeout()?;
        Ok(Self { own, armed: own })
    }

    /// Sets the caller's own limit.
    pub(crate) fn set(&mut self, own: Option<Duration>, stream: &mut impl Stream) -> io::Result<()> {
        self.arm(own, stream)?;
        self.own = own;
        Ok(())
    }

    /// Gives another handle of the stream the limit that this one has.
    pub(crate) fn repeat(&self, stream: &mut impl Stream) -> io::Result<()> {
        stream.set_write_timeout(self.armed)
    }

    fn arm(&mut self, timeout: Option<Duration>, stream: &mut impl Stream) -> io::Result<()> {
        stream.set_write_timeout(timeout)?;
        self.armed = timeout;
        Ok(())
    }

    /// Calls `write`, which writes once, for as long as `limit` and the caller's own limit allow. Tries at least once.
    pub(crate) fn write<S: Stream, T>(
        &mut self,
        stream: &mut S,
        limit: Limit,
        mut write: impl FnMut(&mut S) -> io::Result<T>,
    ) -> io::Result<T> {
        let wait = [limit.left(), self.own].into_iter().flatten().min().map(|wait| wait.max(SHORTEST));
        // A little late is no harm. Otherwise each of several writes would set a little less.
        if wait.is_some_and(|wait| self.armed.is_none_or(|armed| armed > wait + SLACK)) {
            self.arm(wait, stream)?;
        }
        // What the stream has may have been set for somebody else, where this write may block for longer.
        let short = self.armed.is_some_and(|armed| wait.is_none_or(|wait| armed < wait));
        let limit = limit.or(Limit::after(self.own));
        match write(stream) {
            Err(error) if short && is_timeout(&error) && limit.check().is_ok() => {
                self.arm(limit.left().map(|left| left.max(SHORTEST)), stream)?;
                // If something strikes once more, it is our limit, or it was none at all: the stream does not block, say. To try again
                // and again would be to spin.
                write(stream)
            }
            result => result,
        }
    }
}

/// What an open connection's reads wait for.
#[derive(Debug)]
pub(crate) struct Timing {
    clock: Clock,
    pub(crate) timeouts: Timeouts,
    deadlines: Deadlines,
    /// How long a call may wait for its message, if the caller wants that limited.
    pub(crate) read_timeout: Option<Duration>,
    /// The time limit that the stream has from us. It is left alone while it is short enough, so that in steady traffic no read
    /// costs a further system call.
    armed: Option<Duration>,
    /// Whether `armed` may be wrong: the handshake has set a limit, or one has struck.
    armed_unknown: bool,
    /// When bytes came last.
    heard: Time,
}

/// Why a read or a write should not be waited for any longer.
#[derive(Debug)]
pub(crate) enum Waited {
    /// A deadline of the engine's has passed, and it has done something about it.
    Expired,
    /// The peer's part of the closing handshake did not come in time.
    InVain,
    /// The caller's own limit has passed.
    ReadTimeout,
    /// Nothing of ours: the stream was told by somebody else, or does not block.
    Foreign,
    /// Not at all: it struck early. Go on.
    GoOn,
}

impl Timing {
    pub(crate) fn new(timeouts: Timeouts) -> Self {
        let clock = Clock::start();
        let now = clock.now();
        Self {
            clock,
            timeouts,
            deadlines: Deadlines::new(now),
            read_timeout: None,
            armed: None,
            armed_unknown: true,
            heard: now,
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Bytes have come.
    pub(crate) fn received(&mut self) {
        self.heard = self.clock.now();
        self.deadlines.received(self.heard);
    }

    /// What came last, or what is sent now, is a message.
    pub(crate) fn active(&mut self, sent: bool) {
        // Asked for the time only where somebody wants to know.
        if self.timeouts.idle.is_some() {
            self.deadlines.active(if sent { self.clock.now() } else { self.heard });
        }
    }

    /// How long the next read may last. `Some(ZERO)`: not at all; something is due already and not to be put off by what the peer
    /// sends.
    pub(crate) fn next_wait(&mut self, call: Option<Time>, engine: &Engine) -> Option<Duration> {
        let now = self.clock.now();
        let next = self.deadlines.next(now, &self.timeouts, engine);
        if next.is_some_and(|next| next <= now) && !engine.may_send() {
            return Some(Duration::ZERO);
        }
        // Otherwise the stream is looked at first: who was not read for a while is not silent for that.
        [next, call].into_iter().flatten().min().map(|due| due.since(now).max(SHORTEST))
    }

    /// Sets the stream's time limit for the next read, if it is not short enough already.
    pub(crate) fn arm(&mut self, wait: Option<Duration>, stream: &mut impl Stream) -> io::Result<()> {
        let kept = match (self.armed, wait) {
            _ if self.armed_unknown => false,
            (None, None) => true,
            (Some(armed), Some(wait)) => armed <= wait,
            _ => false,
        };
        if !kept {
            stream.set_read_timeout(wait)?;
            (self.armed, self.armed_unknown) = (wait, false);
        }
        Ok(())
    }

    /// A write that began at `start` and was to last for `wait` has run into a limit. Finds out why, and does what is due.
    pub(crate) fn waited_to_write(
        &mut self,
        start: Time,
        call: Option<Time>,
        wait: Option<Duration>,
        engine: &mut Engine,
        out: &mut Vec<u8>,
    ) -> Waited {
        self.due(self.clock.now(), start, call, wait, engine, out)
    }

    /// A read that began at `start` has ended without bytes. Finds out why, and does what is due.
    pub(crate) fn waited(&mut self, start: Time, call: Option<Time>, engine: &mut Engine, out: &mut Vec<u8>) -> Waited {
        let now = self.clock.now();
        // Whatever struck, the next read gets a limit of its own.
        self.armed_unknown = true;
        let armed = self.armed;
        self.due(now, start, call, armed, engine, out)
    }

    fn due(
        &mut self,
        now: Time,
        start: Time,
        call: Option<Time>,
        armed: Option<Duration>,
        engine: &mut Engine,
        out: &mut Vec<u8>,
    ) -> Waited {
        match self.deadlines.expire(now, &self.timeouts, engine, out) {
            Expired::Nothing => {}
            Expired::Transport => return Waited::InVain,
            _ => return Waited::Expired,
        }
        match (call, armed) {
            (Some(call), _) if call <= now => Waited::ReadTimeout,
            (_, Some(armed)) if now.since(start) + SLACK >= armed => Waited::GoOn,
            _ => Waited::Foreign,
        }
    }

    /// When a call that begins now has waited for long enough.
    pub(crate) fn call_limit(&self) -> Option<Time> {
        self.read_timeout.map(|timeout| self.clock.now().after(timeout))
    }
}

/// Reads once more, within a limit, where a stream's limit striking early is nothing.
pub(crate) fn read_within<S: Stream>(stream: &mut S, limit: Limit, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        limit.arm(stream)?;
        match stream.read(buffer) {
            Ok(count) => return Ok(count.min(buffer.len())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_timeout(&error) && limit.left().is_some() => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const MINUTE: Duration = Duration::from_secs(60);

    /// A stream that is never ready, and says so at once instead of waiting for its time limit.
    #[derive(Default)]
    struct Full {
        timeout: Option<Duration>,
        writes: usize,
        /// Without a time limit it takes everything: the peer has begun to read.
        takes: bool,
    }

    impl Read for Full {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }
    }

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.writes += 1;
            if self.takes && self.timeout.is_none() { Ok(bytes.len()) } else { Err(io::ErrorKind::WouldBlock.into()) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Stream for Full {
        fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
            assert_ne!(timeout, Some(Duration::ZERO), "no socket takes that");
            self.timeout = timeout;
            Ok(())
        }

        fn write_timeout(&self) -> io::Result<Option<Duration>> {
            Ok(self.timeout)
        }
    }

    fn write(limit: &mut WriteLimit, stream: &mut Full, within: Option<Duration>) -> io::Result<usize> {
        limit.write(stream, Limit::after(within), |stream| stream.write(b"x"))
    }

    /// Whether a limit is the one that was set, but for the time that has passed since.
    fn is_about(timeout: Option<Duration>, expected: Duration) -> bool {
        timeout.is_some_and(|timeout| timeout <= expected && timeout + MINUTE / 2 > expected)
    }

    #[test]
    fn a_callers_write_outlasts_the_limit_of_a_reply() {
        let mut stream = Full { takes: true, ..Full::default() };
        let mut limit = WriteLimit::of(&stream).unwrap();
        write(&mut limit, &mut stream, Some(MINUTE)).unwrap_err();
        assert!(is_about(stream.timeout, MINUTE));
        stream.writes = 0;
        assert_eq!(write(&mut limit, &mut stream, None).unwrap(), 1);
        assert_eq!((stream.writes, stream.timeout), (2, None));
        // From now on there is nothing to be found out.
        assert_eq!(write(&mut limit, &mut stream, None).unwrap(), 1);
        assert_eq!(stream.writes, 3);
    }

    #[test]
    fn a_callers_own_limit_holds_behind_the_limit_of_a_reply() {
        // Set through the connection, or on the stream before that.
        for before in [None, Some(HOUR)] {
            let mut stream = Full { timeout: before, ..Full::default() };
            let mut limit = WriteLimit::of(&stream).unwrap();
            if before.is_none() {
                limit.set(Some(HOUR), &mut stream).unwrap();
            }
            write(&mut limit, &mut stream, Some(MINUTE)).unwrap_err();
            assert!(is_about(stream.timeout, MINUTE));
            stream.writes = 0;
            write(&mut limit, &mut stream, None).unwrap_err();
            assert_eq!(stream.writes, 2, "the reply's limit, then what is left of the caller's");
            assert!(is_about(stream.timeout, HOUR), "{:?}", stream.timeout);
            // What was left then is a little less than the next write may take.
            write(&mut limit, &mut stream, None).unwrap_err();
            assert_eq!(stream.writes, 4);
            assert!(is_about(stream.timeout, HOUR), "{:?}", stream.timeout);
        }
    }

    #[test]
    fn a_reply_lasts_no_longer_than_the_callers_own_limit() {
        let mut stream = Full { timeout: Some(MINUTE), ..Full::default() };
        let mut limit = WriteLimit::of(&stream).unwrap();
        write(&mut limit, &mut stream, Some(HOUR)).unwrap_err();
        assert_eq!((stream.writes, stream.timeout), (1, Some(MINUTE)));
    }

    #[test]
    fn a_stream_that_does_not_block_is_not_tried_again_and_again() {
        let mut stream = Full::default();
        let mut limit = WriteLimit::of(&stream).unwrap();
        for within in [None, Some(MINUTE), Some(HOUR), Some(MINUTE), None, None] {
            stream.writes = 0;
            let error = write(&mut limit, &mut stream, within).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            assert!(stream.writes <= 2, "{}", stream.writes);
        }
    }

    #[test]
    fn a_limit_that_is_over_is_not_set() {
        let mut stream = Full::default();
        let mut limit = WriteLimit::of(&stream).unwrap();
        write(&mut limit, &mut stream, Some(Duration::ZERO)).unwrap_err();
        assert_eq!(stream.timeout, Some(SHORTEST));
        assert_eq!(Limit::after(Some(Duration::ZERO)).check().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
