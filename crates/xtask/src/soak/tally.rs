//! What has happened so far.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// How many faults are kept in words; more say nothing new.
const FAULTS_KEPT: usize = 50;

/// The longest latency that is told apart from longer ones: a minute, in microseconds.
const MOST: u64 = 60_000_000;

pub(super) struct Tally {
    /// Connections that were begun, and those of them that became WebSockets.
    pub(super) connections: u64,
    pub(super) opened: u64,
    /// Connections that there are now.
    pub(super) taken: u64,
    /// Echoes that came back whole, and their bytes; frames that their messages were sent in.
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) frames: u64,
    /// Pongs to our pings, and pings of the server's.
    pub(super) pongs: u64,
    pub(super) pings_received: u64,
    /// Ends that came as they should, by group and name.
    pub(super) ends: BTreeMap<(&'static str, &'static str), u64>,
    pub(super) latencies: Latencies,
    pub(super) faults: Vec<String>,
    pub(super) fault_count: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            connections: 0,
            opened: 0,
            taken: 0,
            messages: 0,
            bytes: 0,
            frames: 0,
            pongs: 0,
            pings_received: 0,
            ends: BTreeMap::new(),
            latencies: Latencies::new(),
            faults: Vec::new(),
            fault_count: 0,
        }
    }
}

impl Tally {
    pub(super) fn end(&mut self, group: &'static str, name: &'static str) {
        *self.ends.entry((group, name)).or_default() += 1;
    }

    pub(super) fn fault(&mut self, fault: String) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_KEPT {
            self.faults.push(fault);
        }
    }
}

/// From the moment when a message was due until all of its echo was there.
pub(super) struct Latencies {
    all: Histogram<u64>,
    recent: Histogram<u64>,
}

/// Percentiles of latencies, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Percentiles {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl Latencies {
    fn new() -> Self {
        let histogram = || Histogram::new_with_bounds(1, MOST, 3).expect("three digits are allowed");
        Self { all: histogram(), recent: histogram() }
    }

    pub(super) fn record(&mut self, latency: Duration) {
        let microseconds = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.all.saturating_record(microseconds);
        self.recent.saturating_record(microseconds);
    }

    pub(super) fn all(&self) -> Percentiles {
        percentiles(&self.all)
    }

    /// Those since the last call; none, if there were none.
    pub(super) fn recent(&mut self) -> Option<Percentiles> {
        let recent = (!self.recent.is_empty()).then(|| percentiles(&self.recent));
        self.recent.reset();
        recent
    }
}

fn percentiles(histogram: &Histogram<u64>) -> Percentiles {
    let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
    Percentiles { p50: at(0.5), p99: at(0.99), max: histogram.max() as f64 / 1e3 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_latencies_are_told_once_and_all_are_kept() {
        let mut latencies = Latencies::new();
        (1..=100).for_each(|at| latencies.record(Duration::from_millis(at)));
        let recent = latencies.recent().unwrap();
        assert_eq!((recent.p50.round(), recent.p99.round(), recent.max.round()), (50.0, 99.0, 100.0));
        assert_eq!(latencies.recent(), None);
        assert_eq!(latencies.all(), recent);
    }

    #[test]
    fn faults_are_all_counted_and_the_first_are_kept() {
        let mut tally = Tally::default();
        (0..FAULTS_KEPT + 5).for_each(|at| tally.fault(at.to_string()));
        assert_eq!((tally.fault_count, tally.faults.len()), (FAULTS_KEPT as u64 + 5, FAULTS_KEPT));
    }
}
