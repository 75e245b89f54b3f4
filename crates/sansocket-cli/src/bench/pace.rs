//! When messages are due, if they leave at a rate and not as soon as an echo has arrived.

use std::time::Duration;

use sansocket_mio::Time;

const SECOND: u128 = 1_000_000_000;

/// So many messages a second over all connections, which take turns, each message as long behind the one before.
///
/// Nothing is stored of a message: its time follows from its number. So those that wait, however many, take no memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Messages per second, at least 1.
    rate: u32,
    connections: u32,
}

impl Pace {
    pub(super) const fn new(rate: u32, connections: u32) -> Self {
        Self { rate, connections }
    }

    pub(super) const fn rate(self) -> u32 {
        self.rate
    }

    /// How long after the start a connection's message is due; both are counted from 0.
    pub(super) fn due(self, connection: usize, message: u64) -> Duration {
        let earlier = u128::from(message) * u128::from(self.connections) + connection as u128;
        Duration::from_nanos(u64::try_from(earlier * SECOND / u128::from(self.rate)).unwrap_or(u64::MAX))
    }

    /// How many messages of all connections are due before so much time is over.
    pub(super) fn due_within(self, time: Duration) -> u64 {
        u64::try_from((time.as_nanos() * u128::from(self.rate)).div_ceil(SECOND)).unwrap_or(u64::MAX)
    }
}

/// Where a thread is in the order in which messages are due. It has every `step`th connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pace: Pace,
    start: Time,
    first: usize,
    step: usize,
    /// Its next message: the connection's, counted on this thread, and which one of that connection's.
    index: usize,
    message: u64,
    due: Time,
}

impl Cursor {
    /// At the first message of the connections `first`, `first + step` and so on.
    pub(super) fn new(pace: Pace, start: Time, first: usize, step: usize) -> Self {
        let due = start.after(pace.due(first, 0));
        Self { pace, start, first, step, index: 0, message: 0, due }
    }

    /// When the next message is due.
    pub(super) const fn due(&self) -> Time {
        self.due
    }

    /// The next message: whose it is, counted on this thread, and which one of that connection's. Goes on to the one behind it.
    pub(super) fn take(&mut self) -> (usize, u64) {
        let place = (self.index, self.message);
        self.index += 1;
        if self.first + self.index * self.step >= self.pace.connections as usize {
            self.index = 0;
            self.message += 1;
        }
        self.due = self.start.after(self.pace.due(self.first + self.index * self.step, self.message));
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_spread_evenly_over_time_and_connections() {
        for (rate, connections) in [(1, 1), (3, 7), (1000, 100), (1_000_000, 3), (7, 2000), (u32::MAX, 10)] {
            let pace = Pace::new(rate, connections);
            for number in [0, 1, 2, 10, 12_345, 1 << 33] {
                let due = pace.due((number % u64::from(connections)) as usize, number / u64::from(connections));
                let exact = u128::from(number) * SECOND / u128::from(rate);
                assert_eq!(due.as_nanos(), exact, "message {number}, {rate}/s over {connections}");
                let just_behind = due + Duration::from_nanos(1);
                assert!(pace.due_within(due) <= number && number < pace.due_within(just_behind), "message {number}");
            }
            assert_eq!(pace.due_within(Duration::from_secs(5)), 5 * u64::from(rate));
        }
    }

    #[test]
    fn the_cursors_of_all_threads_together_take_every_message_once_and_each_takes_its_own_in_time() {
        for threads in 1..=5 {
            let (pace, start) = (Pace::new(1000, 7), Time::from_nanos(42));
            let mut taken = Vec::new();
            for first in 0..threads {
                let mut cursor = Cursor::new(pace, start, first, threads);
                let mut last = start;
                while cursor.due() < start.after(Duration::from_secs(1)) {
                    let due = cursor.due();
                    assert!(last <= due);
                    last = due;
                    let (index, message) = cursor.take();
                    let number = message * 7 + (first + index * threads) as u64;
                    assert_eq!(due, start.after(Duration::from_millis(number)));
                    taken.push(number);
                }
            }
            taken.sort_unstable();
            assert_eq!(taken, (0..1000).collect::<Vec<_>>(), "{threads} threads");
        }
    }
}
