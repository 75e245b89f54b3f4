//! What is counted, by one thread for a second, and by all of them for the whole time.

use hdrhistogram::Histogram;
use sansocket_mio::Time;

/// The longest time that can be told from a longer one, in nanoseconds: an hour.
const LONGEST: u64 = 3_600_000_000_000;

/// Sums that can be added.
#[derive(Debug)]
pub(super) struct Counts {
    /// Messages that have left.
    pub(super) sent: u64,
    /// Echoes that have arrived in time.
    pub(super) messages: u64,
    /// Of all echoes that have arrived, in nanoseconds.
    pub(super) latencies: Histogram<u64>,
    /// How long after they were due messages have left, in nanoseconds. Empty unless they are due at times.
    pub(super) delays: Histogram<u64>,
}

impl Counts {
    pub(super) fn new() -> Self {
        // From a nanosecond on, in three digits.
        let nothing = Histogram::new_with_bounds(1, LONGEST, 3).expect("these bounds are good ones");
        Self { sent: 0, messages: 0, latencies: nothing.clone(), delays: nothing }
    }

    /// A message has left that was due at `due`, if it was due at a time.
    #[inline]
    pub(super) fn leave(&mut self, due: Option<Time>, now: Time) {
        self.sent += 1;
        if let Some(due) = due {
            self.delays.saturating_record(nanos_between(due, now));
        }
    }

    /// An echo has arrived whose message counts since `since`.
    #[inline]
    pub(super) fn arrive(&mut self, since: Time, now: Time, in_time: bool) {
        self.messages += u64::from(in_time);
        self.latencies.saturating_record(nanos_between(since, now));
    }

    pub(super) fn add(&mut self, other: &Self) {
        const SAME: &str = "all histograms have the same bounds";
        self.sent += other.sent;
        self.messages += other.messages;
        self.latencies.add(&other.latencies).expect(SAME);
        self.delays.add(&other.delays).expect(SAME);
    }
}

fn nanos_between(earlier: Time, later: Time) -> u64 {
    later.as_nanos().saturating_sub(earlier.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_are_added_are_those_of_one_who_has_counted_alone() {
        let mut parts = [Counts::new(), Counts::new(), Counts::new()];
        let mut whole = Counts::new();
        for number in 0..10_000_u64 {
            let (due, sent) = (Time::from_nanos(number * number), Time::from_nanos(number * (number + 3)));
            let echoed = Time::from_nanos(number * (number + 1000));
            for counts in [&mut parts[number as usize % 3], &mut whole] {
                counts.leave(Some(due), sent);
                if number % 7 != 0 {
                    counts.arrive(due, echoed, number < 9000);
                }
            }
        }
        let mut sum = Counts::new();
        parts.iter().for_each(|part| sum.add(part));
        assert_eq!((sum.sent, sum.messages), (10_000, 7714));
        assert_eq!((whole.sent, whole.messages), (10_000, 7714));
        assert_eq!((&sum.latencies, &sum.delays), (&whole.latencies, &whole.delays));
    }
}
