//! The messages of one connection that are on their way.

use std::collections::VecDeque;

use sansocket_mio::Time;

use super::pace::Pace;

/// When messages leave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// `None`: each as soon as there is room for it among those on the way.
    pub(super) pace: Option<Pace>,
    pub(super) start: Time,
    /// None is due from then on.
    pub(super) end: Time,
}

/// The messages of one connection whose echoes have not arrived.
#[derive(Debug)]
pub(super) struct UnderWay {
    /// The connection's number, counted from 0.
    connection: usize,
    sent: u64,
    echoed: u64,
    /// When those on the way have left, unless that follows from the pace.
    left: VecDeque<Time>,
}

impl UnderWay {
    pub(super) const fn new(connection: usize) -> Self {
        Self { connection, sent: 0, echoed: 0, left: VecDeque::new() }
    }

    /// The connection's number, counted from 0.
    pub(super) const fn connection(&self) -> usize {
        self.connection
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        (self.sent - self.echoed) as usize
    }

    /// How many have left so far.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Since when the next message counts, if it is due by now. It keeps the time at which it was due, however late it leaves: whoever waits
    /// because a server is slow has waited for that server.
    #[inline]
    pub(super) fn next(&self, plan: &Plan, now: Time) -> Option<Time> {
        let due = match plan.pace {
            None => now,
            Some(pace) => plan.start.after(pace.due(self.connection, self.sent)),
        };
        (due <= now && due < plan.end).then_some(due)
    }

    /// The next message has left, which counts since `due`.
    #[inline]
    pub(super) fn leave(&mut self, plan: &Plan, due: Time) {
        self.sent += 1;
        if plan.pace.is_none() {
            self.left.push_back(due);
        }
    }

    /// An echo has arrived: since when its message has counted. `None`: there is none on the way.
    #[inline]
    pub(super) fn arrive(&mut self, plan: &Plan) -> Option<Time> {
        if self.sent == self.echoed {
            return None;
        }
        let message = self.echoed;
        self.echoed += 1;
        match plan.pace {
            None => self.left.pop_front(),
            Some(pace) => Some(plan.start.after(pace.due(self.connection, message))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Time {
        Time::from_nanos(ms * 1_000_000)
    }

    /// A server that answers at once, asked every millisecond except while it, or the client, stands still. The latencies, in milliseconds.
    fn latencies(pace: Option<Pace>, in_flight: usize, stall: std::ops::Range<u64>) -> Vec<u64> {
        let plan = Plan { pace, start: ms(0), end: ms(5000) };
        let mut under_way = UnderWay::new(0);
        let mut latencies = Vec::new();
        for now in (0..5000).filter(|now| !stall.contains(now)).map(ms) {
            loop {
                while under_way.len() < in_flight
                    && let Some(due) = under_way.next(&plan, now)
                {
                    under_way.leave(&plan, due);
                }
                // An open loop has caught up, or a closed one has had its turn.
                let Some(since) = under_way.arrive(&plan) else { break };
                latencies.push(now.since(since).as_millis() as u64);
                if pace.is_none() {
                    break;
                }
            }
        }
        latencies
    }

    #[test]
    fn messages_that_were_due_while_all_stood_still_have_waited_since_then() {
        let pace = Some(Pace::new(1000, 1));
        for in_flight in [1, 7, usize::MAX] {
            let mut latencies = latencies(pace, in_flight, 2000..3000);
            assert_eq!(latencies.len(), 5000, "every message that was due has left");
            assert!(latencies[..2000].iter().chain(&latencies[3001..]).all(|&latency| latency == 0));
            assert_eq!(latencies[2000..=3000], (0..=1000).rev().collect::<Vec<_>>());
            latencies.sort_unstable();
            assert_eq!(
                (latencies[2500], latencies[4500], latencies[4950]),
                (0, 501, 951),
                "a tenth has waited for half a second"
            );
        }
    }

    #[test]
    fn without_a_pace_nobody_has_waited() {
        assert_eq!(latencies(None, 1, 2000..3000), [0; 4000]);
    }

    #[test]
    fn nothing_is_due_before_its_time_or_from_the_end_on() {
        let plan = Plan { pace: Some(Pace::new(10, 2)), start: ms(50), end: ms(450) };
        let mut under_way = UnderWay::new(1);
        assert_eq!(under_way.next(&plan, ms(149)), None);
        assert_eq!(under_way.next(&plan, ms(150)), Some(ms(150)));
        for due in [150, 350] {
            assert_eq!(under_way.next(&plan, ms(9000)), Some(ms(due)));
            under_way.leave(&plan, ms(due));
        }
        assert_eq!(under_way.next(&plan, ms(9000)), None);
        assert_eq!((under_way.arrive(&plan), under_way.len()), (Some(ms(150)), 1));
        assert_eq!((under_way.arrive(&plan), under_way.arrive(&plan)), (Some(ms(350)), None));

        let plan = Plan { pace: None, ..plan };
        assert_eq!((under_way.next(&plan, ms(449)), under_way.next(&plan, ms(450))), (Some(ms(449)), None));
    }
}
