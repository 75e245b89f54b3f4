//! `cargo xtask bench`: the engine beside its peers, in tables, and whether it is as fast as it is to be.

mod goals;
mod measured;
mod page;
mod peers;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::folder;
use crate::process;
use crate::report;
use goals::Goals;
use measured::Case;

/// The benches' own workspace, from the project's root.
const MANIFEST: &str = "benches/Cargo.toml";

/// What to measure, and what to do with it.
#[derive(Args)]
pub(crate) struct Options {
    /// Measures only the cases whose names contain it.
    #[arg(conflicts_with_all = ["from", "record"])]
    filter: Option<String>,
    /// How often all engines have their turns.
    #[arg(long, conflicts_with = "from")]
    rounds: Option<u32>,
    /// Reports what an earlier run has kept, instead of measuring.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Writes tables and charts into docs/performance.md and the folder beside it.
    #[arg(long)]
    record: bool,
}

/// The first line of what is kept: the rest can be older than whoever reads it.
#[derive(Deserialize, Serialize)]
struct Origin {
    /// The machine and the date.
    machine: String,
    /// Versions.
    peers: String,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}.", self.machine, self.peers)
    }
}

/// Measures, prints and records; whether all goals are reached.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let (origin, cases) = match &options.from {
        Some(path) => read(path)?,
        None => measure(options)?,
    };
    let verdict = Goals::read(&goals_path())?.judge(&cases);
    println!("{origin}");
    for case in &cases {
        println!("\n{}\n\n{}", case.name, page::table(case));
    }
    println!("{}", page::goals(&verdict));
    if options.record {
        let docs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
        for case in &cases {
            if let Some(chart) = page::chart(case) {
                chart.write(&docs.join(page::CHARTS).join(page::chart_file(case)))?;
            }
        }
        report::replace_section(&docs.join("performance.md"), "engine", &page::section(&cases, &verdict, &origin))?;
    }
    // Who asks for some cases does not ask for the goals of the others.
    Ok(verdict.missed.is_empty() && (options.filter.is_some() || verdict.unmeasured.is_empty()))
}

fn goals_path() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/bench-goals.toml").into()
}

/// Runs the bench, and keeps what it says in the target folder.
fn measure(options: &Options) -> Result<(Origin, Vec<Case>)> {
    let rounds = options.rounds.map(|rounds| ("ROUNDS", rounds.to_string()));
    let times = bench(options, &[], rounds)?;
    // What counts allocations takes time. In a few rounds buffers would be growing still.
    let lines = times + &bench(options, &["--features", "allocations"], None)?;
    let cases = measured::parse(&lines)?;
    ensure!(!cases.is_empty(), "the bench has measured nothing");
    let origin = Origin { machine: report::machine(), peers: peers::versions(&cases)? };
    let kept = folder::target()?.join("bench-engine.jsonl");
    fs::write(&kept, format!("{}\n{lines}", serde_json::to_string(&origin)?))
        .with_context(|| format!("cannot write {}", kept.display()))?;
    println!("kept in {}", kept.display());
    Ok((origin, cases))
}

/// The lines that the bench says.
fn bench(options: &Options, features: &[&str], variable: Option<(&str, String)>) -> Result<String> {
    let mut bench = process::cargo();
    bench.args(["bench", "--manifest-path", MANIFEST, "--bench", "engine"]).args(features).args(["--", "--json"]);
    bench.args(&options.filter).envs(variable);
    let output = bench.stderr(Stdio::inherit()).output().context("cannot run cargo bench")?;
    ensure!(output.status.success(), "cargo bench ended with {}", output.status);
    String::from_utf8(output.stdout).context("the bench does not say text")
}

/// What an earlier run has kept.
fn read(path: &Path) -> Result<(Origin, Vec<Case>)> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let not_kept = || format!("{} was not kept by this command", path.display());
    let (origin, lines) = text.split_once('\n').with_context(not_kept)?;
    Ok((serde_json::from_str(origin).with_context(not_kept)?, measured::parse(lines).with_context(not_kept)?))
}
