//! What has come out, as tables and charts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::kind::SHARES;
use super::server::Usage;
use super::tally::{Percentiles, Tally};
use super::tolerance;
use crate::lines::Lines;
use crate::report::{self, grouped};

/// What the server holds, and what has happened in the second before.
pub(super) struct Sample {
    /// Since the start of the warm-up.
    pub(super) at: Duration,
    pub(super) connections: u64,
    pub(super) latencies: Option<Percentiles>,
    pub(super) usage: Usage,
}

/// The whole run.
pub(super) struct Outcome {
    /// How it is run again.
    pub(super) command: String,
    pub(super) backend: String,
    pub(super) connections: usize,
    pub(super) minutes: f64,
    pub(super) tally: Tally,
    /// Of the server when it was new, after the warm-up, and at the end.
    pub(super) fresh: Usage,
    pub(super) before: Usage,
    pub(super) after: Usage,
    pub(super) samples: Vec<Sample>,
    pub(super) faults: Vec<String>,
}

const MIB: f64 = (1 << 20) as f64;

impl Outcome {
    /// Writes `soak.md`, and its charts into `soak`, both into this folder; where the page is.
    pub(super) fn write(&self, folder: &Path) -> Result<PathBuf> {
        let (page, charts) = (folder.join("soak.md"), folder.join("soak"));
        fs::create_dir_all(&charts).with_context(|| format!("cannot make {}", charts.display()))?;
        let mut markdown = self.page();
        for (name, chart) in self.charts() {
            chart.write(&charts.join(name).with_extension("svg"))?;
            markdown += &format!("\n![{}](soak/{name}.svg)\n", chart.title);
        }
        fs::write(&page, markdown).with_context(|| format!("cannot write {}", page.display()))?;
        Ok(page)
    }

    fn page(&self) -> String {
        let shares: Vec<_> = SHARES.iter().map(|(kind, share)| format!("{share} % {kind:?}")).collect();
        format!(
            "# Soak\n\n\
            `{}`: {} connections at a time, for {} min behind a warm-up, against `sansocket serve --backend {}`, on one machine: {}.\n\n\
            Of the connections, {}. Each message says which it is, and what comes back is compared byte for byte; each violation, refused request and death has \
            to have the end that it should. Latencies are those of the connections that echo one message at a time, of up to 2 MiB, from when it was due; the client is one \
            thread, and its own delays are in them.\n\n{}",
            self.command,
            self.connections,
            self.minutes,
            self.backend,
            report::machine(),
            shares.join(", "),
            self.tables(),
        )
    }

    /// The figures.
    pub(super) fn tables(&self) -> String {
        let tally = &self.tally;
        let counts = [
            ("connections", tally.connections),
            ("of them WebSockets", tally.opened),
            ("messages sent back", tally.messages),
            ("bytes of them", tally.bytes),
            ("frames that they were sent in", tally.frames),
            ("pongs to pings of the client", tally.pongs),
            ("pings of the server", tally.pings_received),
            ("faults", self.faults.len() as u64),
        ];
        let counts = counts.map(|(what, count)| vec![what.to_owned(), grouped(count)]);
        let Percentiles { p50, p99, max } = tally.latencies.all();
        let latencies =
            [vec!["milliseconds".to_owned(), report::number(p50), report::number(p99), report::number(max)]];
        let mut groups = BTreeMap::<_, Vec<_>>::new();
        for ((group, name), count) in &tally.ends {
            groups.entry(*group).or_default().push(vec![(*name).to_owned(), grouped(*count)]);
        }
        let ends = groups.into_iter().map(|(group, lines)| report::table(&header([group, "connections"]), &lines));
        format!(
            "{}\n{}\n{}\n{}\n\n{}",
            report::table(&header(["all that was done", "count"]), &counts),
            report::table(&header(["latency of an echo", "p50", "p99", "max"]), &latencies),
            self.memory(),
            tolerance::in_words(),
            ends.collect::<Vec<_>>().join("\n"),
        )
    }

    fn memory(&self) -> String {
        let most = |of: fn(&Usage) -> u64| self.samples.iter().map(|sample| of(&sample.usage)).max().unwrap_or(0);
        let line = |what: &str, of: fn(&Usage) -> u64| {
            let values = [of(&self.fresh), of(&self.before), most(of), of(&self.after)];
            [what.to_owned()].into_iter().chain(values.map(grouped)).collect()
        };
        let lines = [
            line("bytes resident", |usage| usage.resident),
            line("live allocations", |usage| usage.allocations),
            line("bytes of them", |usage| usage.allocated),
            line("descriptors", |usage| usage.descriptors),
            line("threads", |usage| usage.threads),
        ];
        report::table(&header(["the server holds", "new", "after the warm-up", "at most", "at the end"]), &lines)
    }

    /// With the names of their files.
    fn charts(&self) -> Vec<(&'static str, Lines)> {
        let over = |of: &dyn Fn(&Sample) -> Option<f64>| {
            let points = self.samples.iter().filter_map(|sample| Some((sample.at.as_secs_f64(), of(sample)?)));
            points.collect::<Vec<_>>()
        };
        let chart = |title: &str, unit: &str, series: Vec<(&str, Vec<(f64, f64)>)>, log| Lines {
            title: title.into(),
            unit: unit.into(),
            series: series.into_iter().map(|(name, points)| (name.to_owned(), points)).collect(),
            log,
        };
        let usage = |of: fn(&Usage) -> u64, unit: f64| over(&|sample| Some(of(&sample.usage) as f64 / unit));
        // What took less than the clock tells cannot be shown on a logarithmic axis.
        let latency = |of: fn(&Percentiles) -> f64| over(&|sample| Some(of(&sample.latencies?).max(0.001)));
        let connections = over(&|sample| Some(sample.connections as f64));
        vec![
            (
                "memory",
                chart(
                    "Memory of the server",
                    "MiB",
                    vec![
                        ("resident", usage(|usage| usage.resident, MIB)),
                        ("allocated", usage(|usage| usage.allocated, MIB)),
                    ],
                    false,
                ),
            ),
            (
                "allocations",
                chart(
                    "Live allocations of the server",
                    "allocations",
                    vec![("", usage(|usage| usage.allocations, 1.0))],
                    false,
                ),
            ),
            (
                "descriptors",
                chart(
                    "Connections",
                    "connections, descriptors",
                    vec![
                        ("connections of the client", connections),
                        ("descriptors of the server", usage(|usage| usage.descriptors, 1.0)),
                    ],
                    false,
                ),
            ),
            (
                "latency",
                chart(
                    "Latency of an echo",
                    "ms",
                    vec![("p50", latency(|of| of.p50)), ("p99", latency(|of| of.p99)), ("max", latency(|of| of.max))],
                    true,
                ),
            ),
        ]
    }
}

fn header<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}
