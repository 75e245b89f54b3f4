//! `cargo xtask interop`: our client and our server against other people's, with and without TLS.
//!
//! [`peer`] installs and runs the others, [`ours`] is our side, [`case`] says what they do with each other and what both are to
//! have seen at the end. Every case has processes and a connection of its own, and nobody trusts what is not signed by the run's
//! own authority ([`certificates`]).

mod case;
mod certificates;
mod ours;
mod peer;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::Value;

use self::case::{Case, Role, What};
use self::certificates::Certificates;
use self::ours::{Act, Ours};
use self::peer::Peer;
use crate::{folder, serve};

/// How long a case may take.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// How long the other side may take to see the end that one has seen.
const GRACE: Duration = Duration::from_secs(15);

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Whom to talk to.
    #[arg(long, default_value = "all")]
    peer: Choice,
}

/// The peers there are.
#[derive(Clone, Copy, ValueEnum)]
enum Choice {
    /// Python's `websockets`.
    Python,
    /// Node's `ws`.
    Node,
    All,
}

/// Runs all cases of the peers that were asked for; whether all went well.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let target = folder::target()?;
    let folder = target.join("interop");
    let peers = match options.peer {
        Choice::Python => vec![Peer::python(&folder)?],
        Choice::Node => vec![Peer::node(&folder)?],
        Choice::All => vec![Peer::python(&folder)?, Peer::node(&folder)?],
    };
    serve::build()?;
    let logs = folder.join("logs");
    folder::empty(&logs)?;
    let certificates = Certificates::write(&folder.join("certificates"))?;
    let run = Run { target, logs, certificates };

    let cases: Vec<Case> = peers.iter().flat_map(Case::all).collect();
    let (mut played, mut failed) = (0, 0);
    for case in &cases {
        for &backend in backends(case) {
            let start = Instant::now();
            played += 1;
            match run.play(case, backend, start + TIME_LIMIT) {
                Ok(()) => println!("{case} {backend} ok, {:.1} s", start.elapsed().as_secs_f64()),
                Err(error) => {
                    failed += 1;
                    println!("{case} {backend} FAILED: {error:#}; see {}", run.log(case, "*").display());
                }
            }
        }
    }
    println!("{played} cases, {failed} failed");
    Ok(failed == 0)
}

/// What our side of a case runs on.
fn backends(case: &Case) -> &'static [&'static str] {
    match (case.role, case.our_act()) {
        (Role::Client, Act::Echo) => &["mio", "std"],
        _ => &["std"],
    }
}

/// What all cases share.
struct Run {
    /// Cargo's.
    target: PathBuf,
    logs: PathBuf,
    certificates: Certificates,
}

impl Run {
    /// Plays one case; an error says what went wrong.
    fn play(&self, case: &Case, backend: &str, deadline: Instant) -> Result<()> {
        let soon = || deadline.min(Instant::now() + GRACE);
        let log = self.log(case, "peer");
        let stranger = case.what == What::Stranger;
        match case.role {
            Role::Client => {
                let ours = self.start_server(case, backend)?;
                let mut peer = case.peer.start(case.told(&ours.url, &self.certificates), &log)?;
                let theirs = peer.line(deadline);
                if stranger {
                    let error = theirs?["error"].to_string();
                    ensure!(error.contains("certificate"), "the peer was to refuse our certificate, and says {error}");
                    return Ok(());
                }
                judge(case, theirs, ours.ending(soon()))?;
                peer.end(soon())
            }
            Role::Server => {
                let mut peer = case.peer.start(case.told("", &self.certificates), &log)?;
                let port = peer.line(deadline)?["port"].as_u64().context("the peer names no port")?;
                let ours = Ours::client(case, port, &self.certificates)?.ending(deadline);
                if stranger {
                    match ours {
                        Err(error) if error.to_string().contains("unknown issuer") => return Ok(()),
                        other => bail!("our client was to refuse the peer's certificate: {other:?}"),
                    }
                }
                judge(case, peer.line(soon()), ours)?;
                peer.end(soon())
            }
        }
    }

    /// Our server: `sansocket serve`, or one in this process for what that does not do by itself.
    fn start_server(&self, case: &Case, backend: &str) -> Result<Ours> {
        match case.our_act() {
            Act::Echo => Ours::serve(case, backend, &self.target, &self.log(case, "serve"), &self.certificates),
            act => Ours::server(case, act, &self.certificates),
        }
    }

    /// Where the process of a case logs.
    fn log(&self, case: &Case, process: &str) -> PathBuf {
        self.logs.join(format!("{}.{process}.log", case.file_name()))
    }
}

/// Compares what both sides have seen with what they were to see.
fn judge(case: &Case, theirs: Result<Value>, ours: Result<String>) -> Result<()> {
    let mut wrong = String::new();
    match theirs {
        Ok(saw) if saw == case.their_view() => {}
        Ok(saw) => write!(wrong, "the peer saw {saw} instead of {}; ", case.their_view())?,
        Err(error) => write!(wrong, "the peer: {error:#}; ")?,
    }
    match ours {
        Ok(saw) if saw == case.our_view() => {}
        Ok(saw) => write!(wrong, "we saw `{saw}` instead of `{}`; ", case.our_view())?,
        Err(error) => write!(wrong, "our side: {error:#}; ")?,
    }
    ensure!(wrong.is_empty(), "{}", wrong.trim_end_matches("; "));
    Ok(())
}
