//! What was measured, for people and for programs.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use sansocket_mio::Kind;

use super::payload::kind_name;

/// Each quantile of the latencies that is told, with its name for people and the one for programs.
const QUANTILES: [(f64, &str, &str); 5] = [
    (0.5, "p50", "latency_p50_ns"),
    (0.9, "p90", "latency_p90_ns"),
    (0.99, "p99", "latency_p99_ns"),
    (0.999, "p99.9", "latency_p99_9_ns"),
    (1.0, "max", "latency_max_ns"),
];

/// What came of a run.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) connections: u32,
    /// How many of them could be opened.
    pub(super) opened: u32,
    pub(super) in_flight: u32,
    /// The bytes of a message.
    pub(super) size: u32,
    pub(super) kind: Kind,
    /// How long the opening has taken.
    pub(super) opening: Duration,
    /// How long messages were sent.
    pub(super) elapsed: Duration,
    /// Echoes that have arrived in that time.
    pub(super) messages: u64,
    pub(super) errors: u64,
    /// In nanoseconds.
    pub(super) latencies: Histogram<u64>,
}

impl Report {
    /// One object on one line.
    pub(super) fn to_json(&self) -> String {
        let mut members = vec![
            ("connections", self.connections.to_string()),
            ("connections_opened", self.opened.to_string()),
            ("messages_in_flight", self.in_flight.to_string()),
            ("message_bytes", self.size.to_string()),
            ("is_text", (self.kind == Kind::Text).to_string()),
            ("opening_s", self.opening.as_secs_f64().to_string()),
            ("duration_s", self.elapsed.as_secs_f64().to_string()),
            ("messages", self.messages.to_string()),
            ("errors", self.errors.to_string()),
            ("messages_per_s", self.messages_per_s().to_string()),
            ("bytes_per_s_each_way", self.bytes_per_s().to_string()),
        ];
        for (quantile, _, name) in QUANTILES {
            members
                .push((name, self.latency(quantile).map_or_else(|| String::from("null"), |nanos| nanos.to_string())));
        }
        let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    }

    fn messages_per_s(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64()
    }

    fn bytes_per_s(&self) -> f64 {
        self.messages_per_s() * f64::from(self.size)
    }

    /// In nanoseconds. `None`: there was no echo.
    fn latency(&self, quantile: f64) -> Option<u64> {
        (!self.latencies.is_empty()).then(|| self.latencies.value_at_quantile(quantile))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, opened, in_flight, size, messages, errors, .. } = self;
        let (kind, elapsed) = (kind_name(self.kind), self.elapsed.as_secs_f64());
        writeln!(f, "{opened} of {connections} connections, opened in {:.3} s", self.opening.as_secs_f64())?;
        writeln!(f, "{in_flight} in flight on each, {kind}, {size} B, for {elapsed:.3} s")?;
        let (rate, volume) = (self.messages_per_s(), self.bytes_per_s() / f64::from(1 << 20));
        writeln!(f, "throughput  {rate:.0} messages/s, {volume:.2} MiB/s each way")?;
        let latencies = QUANTILES.map(|(quantile, name, _)| match self.latency(quantile) {
            Some(nanos) => format!("{name} {:.1?}", Duration::from_nanos(nanos)),
            None => format!("{name} -"),
        });
        writeln!(f, "latency     {}", latencies.join("  "))?;
        writeln!(f, "messages    {messages}\nerrors      {errors}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(latencies: impl IntoIterator<Item = u64>) -> Report {
        let mut histogram = Histogram::new_with_bounds(1, 1_000_000_000, 3).unwrap();
        latencies.into_iter().for_each(|nanos| histogram.record(nanos).unwrap());
        Report {
            connections: 3,
            opened: 2,
            in_flight: 4,
            size: 1 << 20,
            kind: Kind::Text,
            opening: Duration::from_millis(250),
            elapsed: Duration::from_secs(2),
            messages: histogram.len(),
            errors: 1,
            latencies: histogram,
        }
    }

    #[test]
    fn people_read_it_in_lines() {
        let expected = "\
2 of 3 connections, opened in 0.250 s
4 in flight on each, text, 1048576 B, for 2.000 s
throughput  500 messages/s, 500.00 MiB/s each way
latency     p50 500.0ns  p90 900.0ns  p99 990.0ns  p99.9 999.0ns  max 1.0µs
messages    1000
errors      1
";
        assert_eq!(report(1..=1000).to_string(), expected);
    }

    #[test]
    fn programs_read_one_object() {
        let expected = concat!(
            r#"{"connections":3,"connections_opened":2,"messages_in_flight":4,"message_bytes":1048576,"is_text":true,"#,
            r#""opening_s":0.25,"duration_s":2,"messages":0,"errors":1,"messages_per_s":0,"bytes_per_s_each_way":0,"#,
            r#""latency_p50_ns":null,"latency_p90_ns":null,"latency_p99_ns":null,"latency_p99_9_ns":null,"latency_max_ns":null}"#,
        );
        assert_eq!(report([]).to_json(), expected);
        assert!(report([5]).to_json().ends_with(r#""latency_max_ns":5}"#));
    }
}
