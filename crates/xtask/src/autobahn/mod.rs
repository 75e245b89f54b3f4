//! `cargo xtask autobahn`: Autobahn|Testsuite, the fuzzing suite for WebSocket peers, against an adapter.
//!
//! [`install`] finds or installs the suite, [`suite`] runs it, [`adapter`] is what it runs against and
//! [`report`] judges what it wrote. The judgement is strict in both directions: a result that is better
//! than in `autobahn/expected.json` fails the run as a worse one does, and so does a case that is missing.

mod adapter;
mod cases;
mod install;
mod report;
mod suite;
mod table;

use std::path::{Path, PathBuf};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};
use std::{fmt, fs};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use self::adapter::Adapter;
use self::cases::{ALL_CASES, Glob};
use self::report::Expectations;
use self::suite::Suite;
use crate::folder;
use crate::process::LOOK;
use crate::serve::{self, Server};

/// How long the suite may take in one role. For all cases it takes a quarter of an hour.
const TIME_LIMIT: Duration = Duration::from_secs(60 * 60);

/// How often is told how far it is.
const PROGRESS: Duration = Duration::from_secs(30);

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// The adapter to test.
    #[arg(long, value_parser = Adapter::named)]
    adapter: &'static Adapter,
    /// The side of the connection to test.
    #[arg(long)]
    role: Role,
    /// Runs all 517 cases, which some adapters do without being told.
    #[arg(long, conflicts_with = "cases")]
    full: bool,
    /// The cases to run, as the suite itself writes them.
    #[arg(long, value_delimiter = ',', value_name = "GLOB")]
    cases: Vec<Glob>,
}

impl Options {
    /// The cases that are asked for.
    fn cases(&self) -> Result<Vec<Glob>> {
        match (self.full, &self.cases[..]) {
            (true, _) => Glob::list(ALL_CASES),
            (false, []) => Glob::list(self.adapter.cases),
            (false, cases) => Ok(cases.to_vec()),
        }
    }
}

/// Which of our sides is tested.
#[derive(Clone, Copy, ValueEnum)]
enum Role {
    Server,
    Client,
    Both,
}

impl Role {
    fn sides(self) -> &'static [Side] {
        match self {
            Self::Server => &[Side::Server],
            Self::Client => &[Side::Client],
            Self::Both => &[Side::Server, Side::Client],
        }
    }
}

/// One of our sides.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Server,
    Client,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Client => "client",
        })
    }
}

/// Runs the suite on each side that was asked for, at the same time; whether every result was as expected.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let target = folder::target()?;
    let Options { adapter, role, .. } = *options;
    let cases = options.cases()?;
    let expectations = Expectations::load()?.narrow(&cases)?;
    let suite = install::find_or_install(&target.join("autobahn"))?;
    if role.sides().contains(&Side::Server) {
        serve::build()?;
    }
    let run = |&side| {
        let folder = target.join("autobahn").join(format!("{side}-{}", adapter.name));
        Run { side, suite: &suite, adapter, cases: &cases, target: &target, folder }
    };
    let runs: Vec<Run> = role.sides().iter().map(run).collect();
    let ends = thread::scope(|scope| {
        let threads: Vec<_> = runs.iter().map(|run| scope.spawn(|| run.perform())).collect();
        tell_progress(&runs, &threads, expectations.len());
        threads.into_iter().map(|thread| thread.join().expect("no run panics")).collect::<Vec<_>>()
    });
    let mut good = true;
    for (run, end) in runs.iter().zip(ends) {
        println!("{run}, logs and reports in {}", run.folder.display());
        match end.and_then(|()| report::judge(&run.folder, adapter.agent, &expectations)) {
            Ok(as_expected) => good &= as_expected,
            Err(error) => {
                println!("FAILED: {error:#}");
                good = false;
            }
        }
    }
    Ok(good)
}

/// Tells how far the runs are, now and then, until their threads are finished.
fn tell_progress(runs: &[Run], threads: &[ScopedJoinHandle<'_, Result<()>>], cases: usize) {
    let start = Instant::now();
    runs.iter().for_each(|run| println!("{run}: {cases} cases"));
    let running = || runs.iter().zip(threads).filter(|(_, thread)| !thread.is_finished());
    let mut next = start + PROGRESS;
    while running().next().is_some() {
        thread::sleep(LOOK);
        if Instant::now() < next {
            continue;
        }
        for (run, _) in running() {
            let begun = suite::cases_begun(&run.folder);
            let newest = begun.last().map_or("none", String::as_str);
            println!("{run}: {} of {cases} begun after {} s, {newest}", begun.len(), start.elapsed().as_secs());
        }
        next += PROGRESS;
    }
}

/// One run of the suite, on one side.
struct Run<'r> {
    side: Side,
    suite: &'r Suite,
    adapter: &'static Adapter,
    cases: &'r [Glob],
    /// Cargo's.
    target: &'r Path,
    /// For logs and reports.
    folder: PathBuf,
}

impl fmt::Display for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.side, self.adapter.agent)
    }
}

impl Run<'_> {
    /// Runs it to its end.
    fn perform(&self) -> Result<()> {
        folder::empty(&self.folder)?;
        match self.side {
            Side::Server => self.test_server(),
            Side::Client => self.test_client(),
        }
    }

    /// The suite is the client of our server.
    fn test_server(&self) -> Result<()> {
        let server = Server::start(self.adapter.serve, self.target, &self.folder.join("server.log"))?;
        let spec = self.spec("servers", json!([{ "agent": self.adapter.agent, "url": server.url() }]))?;
        self.suite.start("fuzzingclient", &spec, &self.folder)?.wait(Instant::now() + TIME_LIMIT)
    }

    /// The suite is the server of our client.
    fn test_client(&self) -> Result<()> {
        let port = suite::free_port()?;
        let url = format!("ws://127.0.0.1:{port}");
        let spec = self.spec("url", json!(url))?;
        let mut wstest = self.suite.start("fuzzingserver", &spec, &self.folder)?;
        wstest.wait_until_it_accepts(port)?;
        adapter::drive_client(self.adapter, url, &self.folder, Instant::now() + TIME_LIMIT)
    }

    /// Writes the suite's specification of the run, which names the peer under `key`; the file's path.
    fn spec(&self, key: &str, peer: Value) -> Result<PathBuf> {
        let cases: Vec<_> = self.cases.iter().map(Glob::as_str).collect();
        let spec = json!({ "outdir": self.folder, "cases": cases, key: peer });
        let path = self.folder.join("spec.json");
        fs::write(&path, format!("{spec:#}\n")).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}
