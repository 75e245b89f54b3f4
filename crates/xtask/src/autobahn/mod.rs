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

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use self::adapter::Adapter;
use self::cases::Glob;
use self::report::Expectations;
use self::suite::Suite;
use crate::folder;
use crate::serve::{self, Server};

/// How long the suite may take in one role.
const TIME_LIMIT: Duration = Duration::from_secs(20 * 60);

/// Everything but `permessage-deflate` (12 and 13): 301 cases.
const DEFAULT_CASES: &str = "1.*,2.*,3.*,4.*,5.*,6.*,7.*,9.*,10.*";

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// The adapter to test.
    #[arg(long, value_parser = Adapter::named)]
    adapter: &'static Adapter,
    /// The side of the connection to test.
    #[arg(long)]
    role: Role,
    /// The cases to run, as the suite itself writes them.
    #[arg(long, value_delimiter = ',', value_name = "GLOB", default_value = DEFAULT_CASES)]
    cases: Vec<Glob>,
}

/// Which of our sides is tested.
#[derive(Clone, Copy, ValueEnum)]
enum Role {
    Server,
    Client,
    Both,
}

/// Runs the suite in each role that was asked for; whether every result was as expected.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let target = folder::target()?;
    let expectations = Expectations::load()?.narrow(&options.cases)?;
    let suite = install::find_or_install(&target.join("autobahn"))?;
    let run = |role: &str, test: fn(&Run) -> Result<()>| {
        let Options { adapter, cases, .. } = options;
        let folder = target.join("autobahn").join(format!("{role}-{}", adapter.name));
        folder::empty(&folder)?;
        println!("{role} of {}: {} cases, logs and reports in {}", adapter.agent, expectations.len(), folder.display());
        test(&Run { suite: &suite, adapter, cases, target: &target, folder: &folder })?;
        report::judge(&folder, adapter.agent, &expectations)
    };
    match options.role {
        Role::Server => run("server", test_server),
        Role::Client => run("client", test_client),
        Role::Both => Ok(run("server", test_server)? & run("client", test_client)?),
    }
}

/// One run of the suite, in one role.
struct Run<'r> {
    suite: &'r Suite,
    adapter: &'static Adapter,
    cases: &'r [Glob],
    /// Cargo's.
    target: &'r Path,
    /// For logs and reports.
    folder: &'r Path,
}

/// The suite is the client of our server.
fn test_server(run: &Run) -> Result<()> {
    serve::build()?;
    let server = Server::start(run.adapter.serve, run.target, &run.folder.join("server.log"))?;
    let spec = run.spec("servers", json!([{ "agent": run.adapter.agent, "url": server.url() }]))?;
    run.suite.start("fuzzingclient", &spec, run.folder)?.wait(Instant::now() + TIME_LIMIT)
}

/// The suite is the server of our client.
fn test_client(run: &Run) -> Result<()> {
    let port = suite::free_port()?;
    let url = format!("ws://127.0.0.1:{port}");
    let spec = run.spec("url", json!(url))?;
    let mut wstest = run.suite.start("fuzzingserver", &spec, run.folder)?;
    wstest.wait_until_it_accepts(port)?;
    adapter::drive_client(run.adapter, url, run.folder, Instant::now() + TIME_LIMIT)
}

impl Run<'_> {
    /// Writes the suite's specification of the run, which names the peer under `key`; the file's path.
    fn spec(&self, key: &str, peer: Value) -> Result<PathBuf> {
        let cases: Vec<_> = self.cases.iter().map(Glob::as_str).collect();
        let spec = json!({ "outdir": self.folder, "cases": cases, key: peer });
        let path = self.folder.join("spec.json");
        fs::write(&path, format!("{spec:#}\n")).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}
