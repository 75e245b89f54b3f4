//! Measures the contestants of a case, and says what came out.

use std::env;

use sansocket_benches::{Median, Run};

/// One of those that are compared.
pub(crate) struct Contestant<'r> {
    pub(crate) name: &'static str,
    pub(crate) class: Class,
    /// What it does not check.
    pub(crate) lacks: Vec<&'static str>,
    pub(crate) run: Run<'r>,
}

/// What a contestant is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Ours,
    Peer,
    Limit,
}

impl Class {
    const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Peer => "peer",
            Self::Limit => "limit",
        }
    }
}

/// What of a contestant came out.
struct Figures {
    time: Option<Median>,
    /// Allocations for each message.
    allocations: Option<f64>,
}

/// What is wanted, and how it is told.
pub(crate) struct Report {
    json: bool,
    wanted: Vec<String>,
    rounds: usize,
}

impl Report {
    pub(crate) fn from_arguments() -> Self {
        // Cargo adds `--bench`.
        let wanted = env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
        let json = env::args().any(|argument| argument == "--json");
        let rounds = env::var("ROUNDS").map_or(41, |rounds| rounds.parse().expect("ROUNDS is a number"));
        Self { json, wanted, rounds }
    }

    /// Whether the case is to be measured: none were named, or a part of its name was.
    pub(crate) fn wants(&self, case: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|wanted| case.contains(&**wanted))
    }

    /// Measures a case at a size of its messages. The first contestant is the one that the others are compared with.
    pub(crate) fn measure(&mut self, case: &str, size: usize, contestants: Vec<Contestant<'_>>) {
        eprintln!("{case}, {size} bytes");
        if !self.json {
            println!("{case}, {size} bytes");
        }
        let (about, runs): (Vec<_>, Vec<_>) =
            contestants.into_iter().map(|it| ((it.name, it.class, it.lacks), it.run)).unzip();
        for ((name, class, lacks), Figures { time, allocations }) in about.into_iter().zip(figures(runs, self.rounds)) {
            let lacks = (!lacks.is_empty()).then(|| format!("lets pass {}", lacks.join(", ")));
            if self.json {
                let vs_ours = time.filter(|_| class != Class::Ours).map(|median| median.ratio);
                let line = serde_json::json!({
                    "case": case,
                    "size": size,
                    "engine": name,
                    "class": class.name(),
                    "ns": time.map(|median| median.time),
                    "vs_ours": vs_ours,
                    "allocations": allocations,
                    "lacks": lacks,
                });
                println!("{line}");
                continue;
            }
            print!("    {name:24}");
            if let Some(Median { time, ratio }) = time {
                print!("{time:14.1} ns {ratio:8.2} x");
            }
            if let Some(allocations) = allocations {
                print!("{allocations:14.3} allocations");
            }
            println!("    {}", lacks.unwrap_or_default());
        }
    }
}

#[cfg(not(feature = "allocations"))]
fn figures(runs: Vec<Run<'_>>, rounds: usize) -> Vec<Figures> {
    /// How long a turn takes at least.
    const TURN: std::time::Duration = std::time::Duration::from_millis(2);

    let medians = sansocket_benches::compare(runs, TURN, rounds);
    medians.into_iter().map(|median| Figures { time: Some(median), allocations: None }).collect()
}

/// Counts what a contestant allocates when it has done a while what it does.
#[cfg(feature = "allocations")]
fn figures(runs: Vec<Run<'_>>, rounds: usize) -> Vec<Figures> {
    let count = |mut run: Run<'_>| {
        let count = 4 * rounds as u64;
        run(count);
        let allocated = allocation_counter::measure(|| run(count));
        Figures { time: None, allocations: Some(allocated.count_total as f64 / count as f64) }
    };
    runs.into_iter().map(count).collect()
}
