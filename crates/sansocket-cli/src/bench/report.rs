//! What was measured, for people and for programs.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use sansocket_mio::Kind;

use super::chart::Chart;
use super::counts::Counts;
use super::errors::Errors;
use super::pace::Pace;
use super::payload::kind_name;

/// Each quantile that is told, with its name for people and the one for programs.
const QUANTILES: [(f64, &str, &str); 5] =
    [(0.5, "p50", "p50"), (0.9, "p90", "p90"), (0.99, "p99", "p99"), (0.999, "p99.9", "p99_9"), (1.0, "max", "max")];

/// What came of a run.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) connections: u32,
    /// How many of them could be opened.
    pub(super) opened: u32,
    /// With how many of those the server has agreed to compression. `None`: it was not offered.
    pub(super) compressed: Option<u32>,
    pub(super) threads: u32,
    /// How many messages may be on their way on each. `None`: as many as are due.
    pub(super) in_flight: Option<u32>,
    /// `None`: messages were not due at times.
    pub(super) pace: Option<Pace>,
    /// The bytes of a message.
    pub(super) size: u32,
    pub(super) kind: Kind,
    /// How long the opening has taken.
    pub(super) opening: Duration,
    /// How long messages were sent.
    pub(super) elapsed: Duration,
    pub(super) counts: Counts,
    pub(super) errors: Errors,
    /// Whether people get to see a histogram.
    pub(super) has_chart: bool,
}

/// A number of nanoseconds, for people. `None`: there is nothing to be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nanos(pub(super) Option<u64>);

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(nanos) => write!(f, "{:.1?}", Duration::from_nanos(nanos)),
            None => f.write_str("-"),
        }
    }
}

impl Report {
    /// One object on one line.
    pub(super) fn to_json(&self) -> String {
        let counts = &self.counts;
        let mut members = vec![
            (String::from("connections"), self.connections.to_string()),
            ("connections_opened".into(), self.opened.to_string()),
            ("connections_compressed".into(), or_null(self.compressed)),
            ("threads".into(), self.threads.to_string()),
            ("messages_in_flight".into(), or_null(self.in_flight)),
            ("message_bytes".into(), self.size.to_string()),
            ("is_text".into(), (self.kind == Kind::Text).to_string()),
            ("opening_s".into(), self.opening.as_secs_f64().to_string()),
            ("duration_s".into(), self.elapsed.as_secs_f64().to_string()),
            ("messages".into(), counts.messages.to_string()),
            ("messages_sent".into(), counts.sent.to_string()),
            ("messages_never_sent".into(), self.never_sent().to_string()),
            ("target_messages_per_s".into(), or_null(self.pace.map(Pace::rate))),
            ("sent_messages_per_s".into(), self.per_s(counts.sent).to_string()),
            ("messages_per_s".into(), self.per_s(counts.messages).to_string()),
            ("bytes_per_s_each_way".into(), self.bytes_per_s().to_string()),
        ];
        for (what, histogram) in [("latency", &counts.latencies), ("delay", &counts.delays)] {
            members
                .extend(QUANTILES.map(|(at, _, name)| (format!("{what}_{name}_ns"), or_null(quantile(histogram, at)))));
        }
        let rows = Chart::new(&counts.latencies);
        let rows: Vec<_> = rows
            .rows()
            .iter()
            .map(|row| format!(r#"{{"up_to_ns":{},"messages":{}}}"#, row.up_to, row.messages))
            .collect();
        members.push(("latency_histogram".into(), format!("[{}]", rows.join(","))));
        members.push(("errors".into(), self.errors.count().to_string()));
        let faults = self.errors.by_kind().map(|(fault, count)| (fault.names().1.to_owned(), count.to_string()));
        members.push(("errors_by_kind".into(), object(faults)));
        object(members)
    }

    /// Messages that were due, and for which there was no room until the end.
    fn never_sent(&self) -> u64 {
        self.pace.map_or(0, |pace| pace.due_within(self.elapsed).saturating_sub(self.counts.sent))
    }

    fn per_s(&self, messages: u64) -> f64 {
        messages as f64 / self.elapsed.as_secs_f64()
    }

    fn bytes_per_s(&self) -> f64 {
        self.per_s(self.counts.messages) * f64::from(self.size)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, opened, threads, size, counts, errors, .. } = self;
        let (kind, elapsed) = (kind_name(self.kind), self.elapsed.as_secs_f64());
        let threads = if *threads == 1 { String::new() } else { format!(" on {threads} threads") };
        let compressed = self.compressed.map_or_else(String::new, |number| format!(", {number} compressed"));
        let opening = self.opening.as_secs_f64();
        writeln!(f, "{opened} of {connections} connections{threads}{compressed}, opened in {opening:.3} s")?;
        if let Some(in_flight) = self.in_flight {
            let at_most = if self.pace.is_some() { "at most " } else { "" };
            write!(f, "{at_most}{in_flight} in flight on each, ")?;
        }
        writeln!(f, "{kind}, {size} B, for {elapsed:.3} s")?;
        let (rate, volume) = (self.per_s(counts.messages), self.bytes_per_s() / f64::from(1 << 20));
        writeln!(f, "throughput  {rate:.0} messages/s, {volume:.2} MiB/s each way")?;
        if let Some(pace) = self.pace {
            let (asked, sent) = (pace.rate(), self.per_s(counts.sent));
            writeln!(f, "rate        {asked} messages/s asked for, {sent:.0} sent; never sent: {}", self.never_sent())?;
            writeln!(f, "sent late   {}", quantiles(&counts.delays))?;
        }
        writeln!(f, "latency     {}", quantiles(&counts.latencies))?;
        writeln!(f, "messages    {}\nerrors      {}", counts.messages, errors.count())?;
        for (fault, count) in errors.by_kind().filter(|&(_, count)| count > 0) {
            writeln!(f, "            {}: {count}", fault.names().0)?;
        }
        if self.has_chart {
            write!(f, "\n{}", Chart::new(&counts.latencies))?;
        }
        Ok(())
    }
}

fn quantiles(histogram: &Histogram<u64>) -> String {
    QUANTILES.map(|(at, name, _)| format!("{name} {}", Nanos(quantile(histogram, at)))).join("  ")
}

/// `None`: there is no value.
pub(super) fn quantile(histogram: &Histogram<u64>, at: f64) -> Option<u64> {
    (!histogram.is_empty()).then(|| histogram.value_at_quantile(at))
}

fn or_null(value: Option<impl ToString>) -> String {
    value.map_or_else(|| String::from("null"), |value| value.to_string())
}

/// A JSON object of members whose values are JSON.
fn object(members: impl IntoIterator<Item = (String, String)>) -> String {
    let members: Vec<_> = members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use sansocket_mio::Time;

    use super::*;
    use crate::bench::errors::Fault;

    fn report(latencies: impl IntoIterator<Item = u64>) -> Report {
        let mut counts = Counts::new();
        for nanos in latencies {
            counts.leave(None, Time::default());
            counts.arrive(Time::default(), Time::from_nanos(nanos), true);
        }
        let mut errors = Errors::default();
        errors.tell(Fault::Lost, 1, format_args!("lost"));
        Report {
            connections: 3,
            opened: 2,
            compressed: None,
            threads: 1,
            in_flight: Some(4),
            pace: None,
            size: 1 << 20,
            kind: Kind::Text,
            opening: Duration::from_millis(250),
            elapsed: Duration::from_secs(2),
            counts,
            errors,
            has_chart: false,
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
            connections that were lost: 1
";
        assert_eq!(report(1..=1000).to_string(), expected);
    }

    #[test]
    fn people_read_what_became_of_a_rate_and_see_a_histogram() {
        let mut report = report([2000, 3000, 3000]);
        report.counts.leave(Some(Time::default()), Time::from_nanos(10));
        let pace = Some(Pace::new(3, 3));
        let report = Report { pace, in_flight: None, threads: 2, compressed: Some(1), has_chart: true, ..report };
        let expected = "\
2 of 3 connections on 2 threads, 1 compressed, opened in 0.250 s
text, 1048576 B, for 2.000 s
throughput  2 messages/s, 1.50 MiB/s each way
rate        3 messages/s asked for, 2 sent; never sent: 2
sent late   p50 10.0ns  p90 10.0ns  p99 10.0ns  p99.9 10.0ns  max 10.0ns
latency     p50 3.0µs  p90 3.0µs  p99 3.0µs  p99.9 3.0µs  max 3.0µs
messages    3
errors      1
            connections that were lost: 1

   2.0µs #########################                                    1  33.33%
   3.0µs ##################################################           2  66.67%
";
        assert_eq!(report.to_string(), expected);
        let report = Report { in_flight: Some(1), ..report };
        assert!(report.to_string().contains("\nat most 1 in flight on each, text, 1048576 B, for 2.000 s\n"));
    }

    #[test]
    fn programs_read_one_object() {
        let expected = concat!(
            r#"{"connections":3,"connections_opened":2,"connections_compressed":null,"threads":1,"messages_in_flight":4,"message_bytes":1048576,"is_text":true,"#,
            r#""opening_s":0.25,"duration_s":2,"messages":0,"messages_sent":0,"messages_never_sent":0,"#,
            r#""target_messages_per_s":null,"sent_messages_per_s":0,"messages_per_s":0,"bytes_per_s_each_way":0,"#,
            r#""latency_p50_ns":null,"latency_p90_ns":null,"latency_p99_ns":null,"latency_p99_9_ns":null,"latency_max_ns":null,"#,
            r#""delay_p50_ns":null,"delay_p90_ns":null,"delay_p99_ns":null,"delay_p99_9_ns":null,"delay_max_ns":null,"#,
            r#""latency_histogram":[],"errors":1,"errors_by_kind":{"not_opened":0,"closed_by_server":0,"protocol_violation":0,"#,
            r#""connection_lost":1,"wrong_echo":0,"unasked_message":0,"no_echo":0}}"#,
        );
        assert_eq!(report([]).to_json(), expected);
        let report = Report { pace: Some(Pace::new(5, 3)), in_flight: None, ..report([5]) }.to_json();
        for part in [
            r#""messages_in_flight":null,"#,
            r#""messages_sent":1,"messages_never_sent":9,"target_messages_per_s":5,"sent_messages_per_s":0.5,"#,
            r#""latency_max_ns":5,"#,
            r#""latency_histogram":[{"up_to_ns":5,"messages":1}],"#,
        ] {
            assert!(report.contains(part), "{part} in {report}");
        }
    }
}
