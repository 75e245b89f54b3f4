//! Time limits of a connection, as pure functions of the time that the caller states.
//!
//! They live beside the [`Connection`], so that receiving and sending never look at a clock. An adapter keeps one [`Deadlines`] per
//! connection and one [`Timeouts`] for all, waits until [`Deadlines::next`], and then calls [`Deadlines::expire`].

use core::time::Duration;

use crate::role::Role;
use crate::{CloseCode, Connection, NextStep, Output, ProtocolError};

/// A point in time: nanoseconds since an epoch of the caller's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// So many nanoseconds behind the epoch; 584 years fit.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This much later; the end of time, if that is beyond it.
    pub fn after(self, duration: Duration) -> Self {
        Self(u64::try_from(duration.as_nanos()).map_or(u64::MAX, |nanos| self.0.saturating_add(nanos)))
    }

    /// How long ago `earlier` was; nothing, if it is still to come.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// How long a peer may take for what. `None` waits for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The opening handshake, from its first moment, whatever progress it makes; default 10 seconds.
    pub open: Option<Duration>,
    /// The silence behind which a ping is sent; default 30 seconds.
    pub ping: Option<Duration>,
    /// The further silence behind which the connection fails with [`PongTimeout`](ProtocolError::PongTimeout); default 30 seconds.
    /// Any byte breaks it: a peer may be busy with a long message.
    pub pong: Option<Duration>,
    /// The time without a message in either direction behind which the connection is closed with 1001; default `None`.
    pub idle: Option<Duration>,
    /// The peer's Close, once ours is sent; default 10 seconds.
    pub close: Option<Duration>,
    /// The end of the transport, once nothing more is received; default 5 seconds.
    pub end: Option<Duration>,
}

impl Timeouts {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        open: Some(Duration::from_secs(10)),
        ping: Some(Duration::from_secs(30)),
        pong: Some(Duration::from_secs(30)),
        idle: None,
        close: Some(Duration::from_secs(10)),
        end: Some(Duration::from_secs(5)),
    };

    /// No limits at all.
    pub const NONE: Self = Self { open: None, ping: None, pong: None, idle: None, close: None, end: None };

    /// When an opening handshake that began at `start` has taken too long. A server then refuses the request with
    /// [`TimedOut`](crate::handshake::RequestError::TimedOut), a client gives up.
    pub fn open_deadline(&self, start: Time) -> Option<Time> {
        self.open.map(|open| start.after(open))
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What one connection's deadlines depend on.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// When the last message came or went.
    active: Time,
    stage: Since,
}

/// What is being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Any byte, behind which the peer counts as alive for a while.
    Byte,
    /// Any byte, behind our ping.
    Pong,
    /// The peer's Close.
    Close,
    /// The transport's end.
    End,
    /// Nothing: the transport has ended.
    Nothing,
}

/// A stage and when it began, which for [`Stage::Byte`] is when the last byte came.
///
/// In one word, because a server has ten thousand of them: the stage in the lowest three bits, above it the lowest 61 of the nanoseconds. Whatever the
/// epoch is, a time is known by them if it is no farther from now than 36 years.
#[derive(Clone, Copy, Debug)]
struct Since(u64);

impl Since {
    const fn new(stage: Stage, since: Time) -> Self {
        Self(since.0 << 3 | stage as u64)
    }

    const fn time(self, now: Time) -> Time {
        // How long ago, as a number on a circle of which the half that is farther lies ahead: a clock may have gone back.
        let ago = (now.0 << 3).wrapping_sub(self.0 & !7).cast_signed() >> 3;
        let distance = ago.unsigned_abs();
        Time(if ago < 0 { now.0.saturating_add(distance) } else { now.0.saturating_sub(distance) })
    }

    const fn stage(self) -> Stage {
        match self.0 & 7 {
            0 => Stage::Byte,
            1 => Stage::Pong,
            2 => Stage::Close,
            3 => Stage::End,
            _ => Stage::Nothing,
        }
    }
}

/// What [`Deadlines::expire`] has found and done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expired {
    /// No deadline has passed.
    Nothing,
    /// It is time for a ping, which is in the output if there was room.
    Pinged,
    /// The connection has been idle: a Close is in the output.
    Idle,
    /// The peer was silent for too long: the connection has failed, and a Close is in the output.
    Failed(ProtocolError),
    /// The peer's part of the end was waited for in vain: close the transport now.
    Transport,
}

impl Deadlines {
    /// For a connection whose opening handshake is done at `now`.
    pub const fn new(now: Time) -> Self {
        Self { active: now, stage: Since::new(Stage::Byte, now) }
    }

    /// Bytes have come from the peer.
    pub fn received(&mut self, now: Time) {
        if let Stage::Byte | Stage::Pong = self.stage.stage() {
            self.enter(Stage::Byte, now);
        }
    }

    /// A message, or a part of one, has come or was sent. Only the idle deadline asks for it. What happened before something else that was told is not
    /// news.
    pub const fn active(&mut self, now: Time) {
        if self.active.0 < now.0 {
            self.active = now;
        }
    }

    /// When to call [`expire`](Self::expire). To be asked before each wait: this is also how a close that has begun is noticed.
    pub fn next<R: Role>(&mut self, now: Time, timeouts: &Timeouts, connection: &Connection<R>) -> Option<Time> {
        self.follow(now, connection);
        let after = |start: Time, timeout: Option<Duration>| timeout.map(|timeout| start.after(timeout));
        let since = self.stage.time(now);
        match self.stage.stage() {
            Stage::Byte => earlier(after(since, timeouts.ping), after(self.active, timeouts.idle)),
            Stage::Pong => earlier(after(since, timeouts.pong), after(self.active, timeouts.idle)),
            Stage::Close => after(since, timeouts.close),
            Stage::End => after(since, timeouts.end),
            Stage::Nothing => None,
        }
    }

    /// Does what is due at `now`: writes to `out`, or ends `connection`. `out` should have room for
    /// [`MAX_REPLY`](crate::MAX_REPLY) bytes; a ping or a Close for which there is none is left out, and the time runs all the same.
    ///
    /// To be called behind what the wait has brought: after a pause of the caller's, or of the whole machine, who was not read yet is not silent for that.
    pub fn expire<R: Role>(
        &mut self,
        now: Time,
        timeouts: &Timeouts,
        connection: &mut Connection<R>,
        out: &mut (impl Output + ?Sized),
    ) -> Expired {
        if self.next(now, timeouts, connection).is_none_or(|next| next > now) {
            return Expired::Nothing;
        }
        let idle = timeouts.idle.is_some_and(|idle| self.active.after(idle) <= now);
        match self.stage.stage() {
            Stage::Byte | Stage::Pong if idle => {
                let closed = connection.close(Some(CloseCode::GOING_AWAY), "idle", out);
                if closed.is_err() {
                    // A peer that leaves no room for a Close does not read: nothing is left to be waited for.
                    connection.fail(ProtocolError::PolicyViolation, out);
                }
                self.follow(now, connection);
                if closed.is_ok() { Expired::Idle } else { Expired::Failed(ProtocolError::PolicyViolation) }
            }
            Stage::Byte => {
                // Without room the peer does not read, but it may still be heard.
                let _ = connection.ping(&[], out);
                self.enter(Stage::Pong, now);
                Expired::Pinged
            }
            Stage::Pong => {
                connection.fail(ProtocolError::PongTimeout, out);
                self.follow(now, connection);
                Expired::Failed(ProtocolError::PongTimeout)
            }
            Stage::Close | Stage::End => {
                connection.receive_eof();
                self.follow(now, connection);
                Expired::Transport
            }
            Stage::Nothing => Expired::Nothing,
        }
    }

    /// Notices what the connection waits for by now.
    fn follow<R: Role>(&mut self, now: Time, connection: &Connection<R>) {
        let stage = match connection.next_step() {
            NextStep::Open if connection.may_send() => return,
            NextStep::Open => Stage::Close,
            NextStep::CloseAfterFlush | NextStep::AwaitEof | NextStep::DrainAfterFlush => Stage::End,
            NextStep::Closed => Stage::Nothing,
        };
        if self.stage.stage() != stage {
            self.enter(stage, now);
        }
    }

    const fn enter(&mut self, stage: Stage, now: Time) {
        self.stage = Since::new(stage, now);
    }
}

fn earlier(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// How many pings and pongs a peer may send: `burst` at once, and one more each `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlRate {
    /// How many may come at once; at least one.
    pub burst: u32,
    /// How long one takes to be forgotten.
    pub interval: Duration,
}

/// Counts a peer's pings and pongs against a [`ControlRate`], for servers that want to. The engine answers every ping by itself, within the
/// output's room; this bounds how often.
#[derive(Clone, Copy, Debug, Default)]
pub struct ControlBucket {
    /// When everything that has come will be forgotten.
    empty_at: Time,
}

impl ControlBucket {
    /// An empty bucket.
    pub const fn new() -> Self {
        Self { empty_at: Time(0) }
    }

    /// A ping or a pong has come: call it for [`Event::Ping`](crate::Event::Ping) and [`Event::Pong`](crate::Event::Pong). One too many fails
    /// `connection` with [`TooManyControlFrames`](ProtocolError::TooManyControlFrames), and gives false.
    pub fn admit<R: Role>(
        &mut self,
        now: Time,
        rate: &ControlRate,
        connection: &mut Connection<R>,
        out: &mut (impl Output + ?Sized),
    ) -> bool {
        let empty_at = self.empty_at.max(now).after(rate.interval);
        let full = rate.interval.saturating_mul(rate.burst.max(1));
        if empty_at > now.after(full) {
            connection.fail(ProtocolError::TooManyControlFrames, out);
            return false;
        }
        self.empty_at = empty_at;
        true
    }
}

const _: () = assert!(size_of::<Deadlines>() <= 16, "one per connection");

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;
    use crate::{EndedBy, Ending, Limits, Negotiated, Server};

    fn at(secs: u64) -> Time {
        Time::from_nanos(secs * 1_000_000_000)
    }

    fn secs(secs: u64) -> Option<Duration> {
        Some(Duration::from_secs(secs))
    }

    /// A server's connection, open since second 100, and everything that its deadlines need.
    struct Fixture {
        connection: Connection<Server>,
        deadlines: Deadlines,
        timeouts: Timeouts,
        out: Vec<u8>,
    }

    impl Fixture {
        fn new(timeouts: Timeouts) -> Self {
            let connection = Connection::new(Server, Negotiated::default(), Limits::default());
            Self { connection, deadlines: Deadlines::new(at(100)), timeouts, out: Vec::new() }
        }

        fn next(&mut self, now: u64) -> Option<Time> {
            self.deadlines.next(at(now), &self.timeouts, &self.connection)
        }

        fn expire(&mut self, now: u64) -> Expired {
            self.deadlines.expire(at(now), &self.timeouts, &mut self.connection, &mut self.out)
        }

        fn receive(&mut self, bytes: &[u8]) {
            let mut bytes = bytes.to_vec();
            let mut input = &mut bytes[..];
            while self.connection.receive(&mut input, &mut self.out).is_some() {}
        }
    }

    #[test]
    fn silence_is_broken_by_a_ping_and_then_fails() {
        let mut it = Fixture::new(Timeouts { ping: secs(30), pong: secs(10), ..Timeouts::NONE });
        assert_eq!(it.next(100), Some(at(130)));
        assert_eq!(it.expire(129), Expired::Nothing);
        assert_eq!(it.out, b"");
        assert_eq!(it.expire(130), Expired::Pinged);
        assert_eq!(it.out, [0x89, 0x00]);
        // Any byte counts as heard, not only a pong.
        it.deadlines.received(at(139));
        assert_eq!(it.next(139), Some(at(169)));
        assert_eq!(it.expire(169), Expired::Pinged);
        assert_eq!(it.next(169), Some(at(179)));
        assert_eq!(it.expire(178), Expired::Nothing);
        it.out.clear();
        assert_eq!(it.expire(179), Expired::Failed(ProtocolError::PongTimeout));
        assert_eq!(it.out[..1], [0x88]);
        assert_eq!(it.connection.failure(), Some(ProtocolError::PongTimeout));
        assert_eq!(it.next(179), None, "the end has no limit here");
    }

    #[test]
    fn a_ping_that_is_late_waits_its_whole_time_for_an_answer() {
        let mut it = Fixture::new(Timeouts { ping: secs(30), pong: secs(10), ..Timeouts::NONE });
        // The clock has jumped, or the machine slept.
        assert_eq!(it.expire(100_000), Expired::Pinged);
        assert_eq!(it.next(100_000), Some(at(100_010)));
    }

    #[test]
    fn a_clock_that_goes_back_does_no_harm() {
        let mut it = Fixture::new(Timeouts::DEFAULT);
        it.deadlines.received(at(50));
        assert_eq!(it.next(20), Some(at(80)));
        assert_eq!(it.expire(20), Expired::Nothing);
        assert_eq!(at(20).since(at(50)), Duration::ZERO);
        assert_eq!(Time::from_nanos(u64::MAX).after(Duration::MAX), Time::from_nanos(u64::MAX));
    }

    #[test]
    fn a_connection_without_messages_is_closed_though_pongs_come() {
        let mut it =
            Fixture::new(Timeouts { ping: secs(30), pong: secs(10), idle: secs(40), close: secs(7), ..Timeouts::NONE });
        assert_eq!(it.expire(130), Expired::Pinged);
        it.deadlines.received(at(131));
        assert_eq!(it.next(131), Some(at(140)));
        it.deadlines.active(at(132));
        assert_eq!(it.next(132), Some(at(161)), "the ping comes first again");
        it.deadlines.received(at(160));
        assert_eq!(it.expire(171), Expired::Nothing);
        it.out.clear();
        assert_eq!(it.expire(172), Expired::Idle);
        assert_eq!(it.out, b"\x88\x06\x03\xe9idle");
        assert_eq!(it.next(172), Some(at(179)), "the peer's answer has its own limit");
    }

    #[test]
    fn rfc6455_7_1_1_a_peer_that_does_not_answer_a_close_is_not_waited_for() {
        let mut it = Fixture::new(Timeouts::DEFAULT);
        it.connection.close(None, "", &mut it.out).unwrap();
        assert_eq!(it.next(110), Some(at(120)));
        // Pings that go on and on do not put it off.
        it.receive(&[0x89, 0x80, 0, 0, 0, 0]);
        it.deadlines.received(at(119));
        assert_eq!(it.next(119), Some(at(120)));
        assert_eq!(it.expire(120), Expired::Transport);
        assert_eq!(it.connection.ending().as_ref().map(Ending::code), Some(1006));
        assert_eq!((it.next(120), it.expire(500)), (None, Expired::Nothing));
    }

    #[test]
    fn rfc6455_7_1_1_a_transport_that_does_not_end_is_not_waited_for() {
        let mut it = Fixture::new(Timeouts::DEFAULT);
        it.receive(&[0x88, 0x80, 0, 0, 0, 0]);
        assert_eq!(it.next(200), Some(at(205)));
        it.deadlines.received(at(204));
        assert_eq!(it.expire(204), Expired::Nothing);
        assert_eq!(it.expire(205), Expired::Transport);
        assert_eq!(it.connection.ending().map(|ending| (ending.by(), ending.is_clean())), Some((EndedBy::Peer, true)));
    }

    #[test]
    fn the_drain_behind_a_failure_has_a_limit() {
        let mut it = Fixture::new(Timeouts::DEFAULT);
        it.receive(&[0xFF]);
        it.receive(&[0x80, 0, 0, 0, 0]);
        assert!(it.connection.failure().is_some());
        assert_eq!(it.next(100), Some(at(105)));
        assert_eq!(it.expire(105), Expired::Transport);
        assert_eq!(it.connection.next_step(), NextStep::Closed);
    }

    #[test]
    fn without_timeouts_nothing_ever_expires() {
        let mut it = Fixture::new(Timeouts::NONE);
        assert_eq!((it.next(100), it.expire(u64::MAX / 1_000_000_000)), (None, Expired::Nothing));
        assert_eq!(Timeouts::NONE.open_deadline(at(1)), None);
        assert_eq!(Timeouts::DEFAULT.open_deadline(at(1)), Some(at(11)));
    }

    #[test]
    fn a_bucket_of_control_frames_at_n_and_n_plus_1() {
        let rate = ControlRate { burst: 3, interval: Duration::from_secs(10) };
        let mut it = Fixture::new(Timeouts::NONE);
        let mut bucket = ControlBucket::new();
        let mut admit = |now| bucket.admit(at(now), &rate, &mut it.connection, &mut it.out);
        assert!(admit(100) && admit(100) && admit(100), "the burst");
        assert!(admit(110), "one was forgotten");
        assert!(admit(150) && admit(150) && admit(150), "all were");
        assert!(!admit(150));
        assert_eq!(it.connection.failure(), Some(ProtocolError::TooManyControlFrames));
        assert_eq!(it.out[2..4], 1008_u16.to_be_bytes());
    }
}
