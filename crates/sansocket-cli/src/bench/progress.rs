//! A line about each second, while messages go around.

use std::fmt;
use std::time::Duration;

use super::clients::Window;
use super::counts::Counts;
use super::report::{Nanos, quantile};

/// Puts together what the threads tell.
#[derive(Debug)]
pub(super) struct Progress {
    /// For each thread, and how many connections of it take part.
    threads: Vec<(Heard, usize)>,
    second: Counts,
    /// How long the windows were that have come since the last line, all together.
    lengths: Duration,
    end: Duration,
}

/// Whether a thread is waited for before there is a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    NotYet,
    /// Since the last line.
    Yes,
    /// For the last time.
    Over,
}

/// About a second of all threads. Displayed, it is most of a line.
#[derive(Debug)]
pub(super) struct Second {
    counts: Counts,
    messages_per_s: f64,
    /// Since the start.
    end: Duration,
    open: usize,
}

impl Progress {
    pub(super) fn new(threads: usize) -> Self {
        Self {
            threads: vec![(Heard::NotYet, 0); threads],
            second: Counts::new(),
            lengths: Duration::ZERO,
            end: Duration::ZERO,
        }
    }

    /// Takes a window. There is a line when every thread that still runs has told of at least one since the last line.
    pub(super) fn add(&mut self, window: &Window) -> Option<Second> {
        self.threads[window.thread] = (if window.is_last { Heard::Over } else { Heard::Yes }, window.open);
        self.second.add(&window.counts);
        self.lengths += window.length;
        self.end = self.end.max(window.end);
        let is_complete = self.threads.iter().all(|&(heard, _)| heard != Heard::NotYet);
        let runs = self.threads.iter().filter(|&&(heard, _)| heard == Heard::Yes).count();
        // What is left when all are at their ends is no second, and stands in the report.
        if !is_complete || runs == 0 {
            return None;
        }
        for (heard, _) in &mut self.threads {
            if *heard == Heard::Yes {
                *heard = Heard::NotYet;
            }
        }
        let counts = std::mem::replace(&mut self.second, Counts::new());
        let length = std::mem::take(&mut self.lengths).as_secs_f64() / runs as f64;
        Some(Second {
            messages_per_s: counts.latencies.len() as f64 / length,
            counts,
            end: self.end,
            open: self.threads.iter().map(|&(_, open)| open).sum(),
        })
    }
}

impl fmt::Display for Second {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { counts, messages_per_s, end, open } = self;
        let [p50, p99] = [0.5, 0.99].map(|at| Nanos(quantile(&counts.latencies, at)));
        let end = end.as_secs_f64();
        write!(f, "{end:5.1} s  {messages_per_s:.0} messages/s  p50 {p50}  p99 {p99}  open {open}")
    }
}

#[cfg(test)]
mod tests {
    use sansocket_mio::Time;

    use super::*;

    fn window(thread: usize, length_ms: u64, end_ms: u64, is_last: bool, messages: u64) -> Window {
        let mut counts = Counts::new();
        (1..=messages).for_each(|ms| counts.arrive(Time::default(), Time::from_nanos(ms * 1_000_000), true));
        let [length, end] = [length_ms, end_ms].map(Duration::from_millis);
        Window { thread, length, end, open: 10 * (thread + 1), is_last, counts }
    }

    #[test]
    fn a_line_adds_up_what_all_threads_tell_until_each_has_told() {
        let mut progress = Progress::new(2);
        assert!(progress.add(&window(0, 1000, 1000, false, 100)).is_none());
        let second = progress.add(&window(1, 1000, 1002, false, 300)).unwrap();
        assert_eq!(second.to_string(), "  1.0 s  400 messages/s  p50 100.0ms  p99 296.2ms  open 30");
        // One is late, and its window longer; the rate is what it was.
        assert!(progress.add(&window(0, 1000, 2000, false, 100)).is_none());
        assert!(progress.add(&window(0, 1000, 3000, false, 100)).is_none());
        let second = progress.add(&window(1, 2000, 3002, false, 600)).unwrap();
        assert!(second.to_string().starts_with("  3.0 s  400 messages/s  "), "{second}");
    }

    #[test]
    fn nobody_waits_for_a_thread_that_is_at_its_end() {
        let mut progress = Progress::new(2);
        assert!(progress.add(&window(1, 0, 0, true, 0)).is_none());
        let second = progress.add(&window(0, 1000, 1000, false, 0)).unwrap();
        assert_eq!(second.to_string(), "  1.0 s  0 messages/s  p50 -  p99 -  open 30");
        assert!(progress.add(&window(0, 10, 1010, true, 1)).is_none(), "what is left is no second");
    }
}
