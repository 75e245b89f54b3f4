//! How many system calls an echo server makes for each message.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::load::{Load, Shape};
use super::servers::Candidate;
use super::{Options, ROWS, Row, candidates, docs};
use crate::process::{self, Running};
use crate::report;

/// How long strace may take to begin and to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Counts and prints.
pub(super) fn run(options: &Options, target: &Path) -> Result<bool> {
    process::need("strace", &["--version"])?;
    let (mut candidates, remarks) = candidates(target, true)?;
    let mut lines = Vec::new();
    for candidate in &mut candidates {
        let mut line = vec![candidate.name.clone()];
        for row in ROWS {
            let calls = calls(candidate, row, options.seconds, &target.join("system-calls"));
            line.push(format!("{:.2}", calls.with_context(|| format!("{}, {row}", candidate.name))?));
        }
        lines.push(line);
    }
    let header: Vec<_> = ["".to_owned()].into_iter().chain(ROWS.map(|row| row.to_string())).collect();
    let markdown = [vec![report::table(&header, &lines)], remarks].concat().join("\n");
    if options.record {
        report::replace_section(&docs("performance.md"), "system-calls", &markdown)?;
    }
    println!("{markdown}");
    Ok(true)
}

/// System calls for each message, of all threads.
fn calls(candidate: &mut Candidate, row: Row, time: Duration, summary: &Path) -> Result<f64> {
    let server = candidate.start()?;
    let Row { connections, size, in_flight, .. } = row;
    let mut load = Load::open(&server, Shape { connections, active: connections, size, in_flight })?;
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-U", "calls,name", "-p", &server.process_id().to_string(), "-o"]).arg(summary);
    let mut strace = Running::start(strace.stderr(Stdio::piped()), None)?;
    strace.error_lines()?.recv_timeout(PATIENCE).context("strace does not begin")?;
    let run = load.run(time)?;
    // It ends with what it looks at.
    drop(server);
    ensure!(strace.wait(Instant::now() + PATIENCE)?.is_some(), "strace does not end");
    let summary = fs::read_to_string(summary).with_context(|| format!("cannot read {}", summary.display()))?;
    Ok(total(&summary)? as f64 / run.messages as f64)
}

/// The last line of strace's summary.
fn total(summary: &str) -> Result<u64> {
    let line = summary.lines().find_map(|line| line.trim().strip_suffix("total"));
    line.and_then(|count| count.trim().parse().ok()).with_context(|| format!("strace says no total: {summary:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_last_line() {
        let summary = "    calls syscall\n--------- -------\n       18 write\n        2 close\n--------- -------\n       20 total\n";
        assert_eq!(total(summary).unwrap(), 20);
        assert!(total("").unwrap_err().to_string().contains("no total"));
    }
}
