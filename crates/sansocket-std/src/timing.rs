//! Time limits over a blocking stream: the engine's deadlines, driven by the stream's own time limits.

use std::io;
use std::time::{Duration, Instant};

use sansocket::{Deadlines, Expired, Time, Timeouts};
use sansocket_stream::Engine;

use crate::stream::Stream;

/// How early a stream's time limit may strike and still be taken for the one that was set.
pub(crate) const SLACK: Duration = Duration::from_millis(20);

/// The shortest time limit that is set: zero would mean none.
pub(crate) const SHORTEST: Duration = Duration::from_millis(1);

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
    pub(crate) fn or(self, other: Self) -> Self {
        Self([self.0, other.0].into_iter().flatten().min())
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

/// Whether a time limit of the socket has passed.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Whether the stream has failed for good. Whatever the error is called: of a stream that has neither a time limit to run into nor a signal to
/// interrupt it, nobody knows that it would go on.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    !is_timeout(error) && error.kind() != io::ErrorKind::Interrupted
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use sansocket::{Connection, Either, Limits, Negotiated, ProtocolError};
    use sansocket_stream::Error;

    use super::*;
    use crate::{AcceptOptions, WebSocket};

    /// The default time before a ping, and for its answer.
    const PAUSE: Duration = Duration::from_secs(30);

    /// A pause of the caller's, who reads only now.
    fn pause(timing: &mut Timing) {
        timing.clock.0 = timing.clock.0.checked_sub(PAUSE).expect("the clock goes back that far");
    }

    #[test]
    fn behind_a_pause_the_stream_is_looked_at_before_anybody_is_taken_for_silent() {
        let mut engine = Connection::new(Either::Server, Negotiated::default(), Limits::default());
        let (mut timing, mut out) = (Timing::new(Timeouts::DEFAULT), Vec::new());
        let start = timing.now();
        pause(&mut timing);
        assert_eq!(timing.next_wait(None, &engine), Some(SHORTEST));
        assert!(matches!(timing.waited(start, None, &mut engine, &mut out), Waited::Expired));
        assert_eq!(out, [0x89, 0]);
        // The answer lies there, and its time is over.
        let start = timing.now();
        pause(&mut timing);
        assert_eq!(timing.next_wait(None, &engine), Some(SHORTEST));
        timing.received();
        assert!(matches!(timing.waited(start, None, &mut engine, &mut out), Waited::Foreign));
        assert!(engine.may_send());
        // There is none: as before, and then silence is what it is.
        pause(&mut timing);
        assert!(matches!(timing.waited(start, None, &mut engine, &mut out), Waited::Expired));
        pause(&mut timing);
        assert_eq!(timing.next_wait(None, &engine), Some(SHORTEST));
        assert!(matches!(timing.waited(start, None, &mut engine, &mut out), Waited::Expired));
        assert!(!engine.may_send());
    }

    /// A stream that does not block.
    #[derive(Default)]
    struct Silent {
        incoming: Vec<u8>,
        written: Vec<u8>,
    }

    impl Read for Silent {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.incoming.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let count = self.incoming.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.incoming[..count]);
            self.incoming.drain(..count);
            Ok(count)
        }
    }

    impl Write for Silent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.written.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Stream for Silent {}

    #[test]
    fn a_connection_whose_pong_came_in_a_pause_is_kept_and_a_silent_one_is_not() {
        let mut ws = AcceptOptions::new().upgraded(Silent::default(), Negotiated::default(), b"").unwrap();
        let would_block = |ws: &mut WebSocket<Silent>| {
            let read = ws.read();
            matches!(read, Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock)
        };
        pause(&mut ws.receiver.timing);
        assert!(would_block(&mut ws));
        assert_eq!(ws.stream().written, [0x89, 0]);
        ws.stream_mut().incoming.extend([0x8A, 0x80, 0, 0, 0, 0]);
        pause(&mut ws.receiver.timing);
        assert!(would_block(&mut ws));
        assert_eq!(ws.stream().written, [0x89, 0]);
        pause(&mut ws.receiver.timing);
        assert!(would_block(&mut ws));
        pause(&mut ws.receiver.timing);
        assert!(matches!(ws.read(), Err(Error::Violation(ProtocolError::PongTimeout))));
    }
}
