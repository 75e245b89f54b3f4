//! Clocks that jump, stand still, go back, and count from far away.

use std::time::Duration;

use proptest::prelude::*;
use sansocket::{Connection, Deadlines, Expired, Limits, Negotiated, NextStep, ProtocolError, Server, Time, Timeouts};

const HOUR: Duration = Duration::from_secs(3600);

const TIMEOUTS: Timeouts = Timeouts { idle: Some(HOUR), ..Timeouts::DEFAULT };

fn server() -> Connection<Server> {
    Connection::new(Server, Negotiated::default(), Limits::default())
}

/// What is due for a peer that says nothing more, and how long behind the start each is.
fn silence(start: Time) -> Vec<(Duration, Expired)> {
    let (mut connection, mut out) = (server(), Vec::new());
    let mut deadlines = Deadlines::new(start);
    let mut now = start;
    let mut story = Vec::new();
    while let Some(next) = deadlines.next(now, &TIMEOUTS, &connection) {
        assert!(next > now, "due before it is time: {story:?}");
        // Not a nanosecond early.
        let before = Time::from_nanos(next.as_nanos() - 1);
        assert_eq!(deadlines.expire(before, &TIMEOUTS, &mut connection, &mut out), Expired::Nothing);
        now = next;
        story.push((now.since(start), deadlines.expire(now, &TIMEOUTS, &mut connection, &mut out)));
    }
    story
}

#[test]
fn deadlines_do_not_depend_on_the_epoch() {
    let expected = [
        (Duration::from_secs(30), Expired::Pinged),
        (Duration::from_secs(60), Expired::Failed(ProtocolError::PongTimeout)),
        (Duration::from_secs(65), Expired::Transport),
    ];
    let unix = 1_800_000_000_000_000_000;
    // 1900, as NTP counts.
    let ntp = unix + 2_208_988_800_000_000_000;
    let minute = 60_000_000_000;
    for start in [0, unix, (1 << 61) - minute / 2, 1 << 61, ntp, 1 << 63, u64::MAX - 2 * minute] {
        assert_eq!(silence(Time::from_nanos(start)), expected, "{start}");
    }
}

#[test]
fn a_jump_over_several_deadlines_makes_each_of_them_happen_once() {
    let (mut connection, mut out) = (server(), Vec::new());
    let mut deadlines = Deadlines::new(Time::default());
    let mut now = Time::default();
    let mut expired = Vec::new();
    for _ in 0..10 {
        now = now.after(3 * HOUR / 4);
        expired.push(deadlines.expire(now, &TIMEOUTS, &mut connection, &mut out));
    }
    // The ping has its time for an answer, however late it was; it is idle by then.
    assert_eq!(expired[..3], [Expired::Pinged, Expired::Idle, Expired::Transport]);
    assert!(expired[3..].iter().all(|expired| *expired == Expired::Nothing), "{expired:?}");
}

/// How a clock goes on.
#[derive(Clone, Copy, Debug)]
enum Step {
    On(u64),
    Back(u64),
    To(u64),
}

fn steps() -> impl Strategy<Value = Vec<(Step, bool, bool)>> {
    let nanos = prop_oneof![Just(0_u64), 0..1_000_000_000_u64, 0..40_000_000_000_u64, 0..u64::MAX];
    let step = prop_oneof![
        6 => nanos.clone().prop_map(Step::On),
        2 => nanos.prop_map(Step::Back),
        1 => prop_oneof![Just(0), Just(u64::MAX), any::<u64>()].prop_map(Step::To),
    ];
    prop::collection::vec((step, any::<bool>(), any::<bool>()), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_clock_that_goes_as_it_likes_breaks_nothing_and_nothing_happens_twice(start: u64, steps in steps()) {
        let (mut connection, mut out) = (server(), Vec::new());
        let mut now = Time::from_nanos(start);
        let mut deadlines = Deadlines::new(now);
        let (mut waits_for_pong, mut ends) = (false, 0);
        for (step, receives, sends) in steps {
            now = match step {
                Step::On(nanos) => Time::from_nanos(now.as_nanos().saturating_add(nanos)),
                Step::Back(nanos) => Time::from_nanos(now.as_nanos().saturating_sub(nanos)),
                Step::To(nanos) => Time::from_nanos(nanos),
            };
            if receives {
                deadlines.received(now);
                waits_for_pong = false;
            }
            if sends {
                deadlines.active(now);
            }
            match deadlines.expire(now, &TIMEOUTS, &mut connection, &mut out) {
                Expired::Nothing => {}
                Expired::Pinged => {
                    prop_assert!(!waits_for_pong, "pinged twice");
                    waits_for_pong = true;
                }
                _ => ends += 1,
            }
        }
        // At most a Close, or a failure, and then the transport.
        prop_assert!(ends <= 2);
        // From wherever it is, a clock that goes on brings it to its end.
        now = Time::from_nanos(now.as_nanos() / 2);
        for _ in 0..60 {
            now = now.after(365 * 24 * HOUR);
            let _ = deadlines.expire(now, &TIMEOUTS, &mut connection, &mut out);
            now = now.after(2 * HOUR);
            let _ = deadlines.expire(now, &TIMEOUTS, &mut connection, &mut out);
        }
        prop_assert_eq!(connection.next_step(), NextStep::Closed);
    }
}
