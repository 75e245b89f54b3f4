//! `cargo xtask interop`: our clients and our server against other people's, with and without TLS.
//!
//! [`peer`] installs and runs the others, [`ours`] is our side, which [`object`] plays, too, also against our own server. [`case`] says
//! what they do with each other and what both are to have seen at the end, [`plan`] which cases there are. Every case has processes and a connection of its own, and nobody trusts what is not signed by the run's
//! own authority ([`certificates`]).

mod case;
mod certificates;
mod object;
mod ours;
mod peer;
mod plan;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::Value;

use self::case::{Case, Face, Other, Role, What};
use self::certificates::Certificates;
use self::ours::{Act, Ours};
pub(crate) use self::peer::Peer;
use crate::{folder, serve};

/// How many cases are played side by side. One keeps a single processor busy: its two sides take turns.
const AT_ONCE: usize = 3;

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
    /// `sansocket serve`, for the browser's object.
    Ours,
    All,
}

/// Runs all cases of the peers that were asked for; whether all went well.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let target = folder::target()?;
    let folder = target.join("interop");
    let peers = match options.peer {
        Choice::Python => vec![Peer::python(&folder)?],
        Choice::Node => vec![Peer::node(&folder)?],
        Choice::Ours => Vec::new(),
        Choice::All => vec![Peer::python(&folder)?, Peer::node(&folder)?],
    };
    serve::build()?;
    let logs = folder.join("logs");
    folder::empty(&logs)?;
    let certificates = Certificates::write(&folder.join("certificates"))?;
    let run = Run { target, logs, certificates };

    let mut cases: Vec<Case> = peers.iter().flat_map(plan::with_library).collect();
    if let Choice::Ours | Choice::All = options.peer {
        cases.extend(plan::with_our_server());
    }
    let failed = run.play_all(&cases);
    println!("{} cases, {failed} failed", cases.len());
    Ok(failed == 0)
}

/// What all cases share.
struct Run {
    /// Cargo's.
    target: PathBuf,
    logs: PathBuf,
    certificates: Certificates,
}

impl Run {
    /// Plays all cases and prints what comes of them, in order; how many have failed.
    fn play_all(&self, cases: &[Case]) -> usize {
        let mut failed = 0;
        thread::scope(|scope| {
            let mut cases = cases.iter();
            let mut playing = VecDeque::new();
            loop {
                while playing.len() < AT_ONCE
                    && let Some(case) = cases.next()
                {
                    playing.push_back((case, scope.spawn(|| self.play_timed(case))));
                }
                let Some((case, play)) = playing.pop_front() else { return failed };
                match play.join().unwrap_or_else(|_| Err(anyhow!("panicked"))) {
                    Ok(time) => println!("{case} ok, {:.1} s", time.as_secs_f64()),
                    Err(error) => {
                        failed += 1;
                        println!("{case} FAILED: {error:#}; see {}", self.log(case, "*").display());
                    }
                }
            }
        })
    }

    /// Plays one case; how long it took.
    fn play_timed(&self, case: &Case) -> Result<Duration> {
        let start = Instant::now();
        self.play(case, start + TIME_LIMIT)?;
        Ok(start.elapsed())
    }

    /// Plays one case; an error says what went wrong.
    fn play(&self, case: &Case, deadline: Instant) -> Result<()> {
        let soon = || deadline.min(Instant::now() + GRACE);
        let log = self.log(case, "peer");
        let stranger = case.what == What::Stranger;
        match (case.other, case.role) {
            (Other::Library(peer), Role::Client) => {
                let ours = self.start_server(case)?;
                let mut peer = peer.start(case.told(&ours.url, &self.certificates), &log)?;
                let theirs = peer.line(deadline);
                if stranger {
                    let error = theirs?["error"].to_string();
                    ensure!(error.contains("certificate"), "the peer was to refuse our certificate, and says {error}");
                    return Ok(());
                }
                judge(case, theirs, ours.ending(soon()))?;
                peer.end(soon())
            }
            (Other::Library(peer), Role::Server) => {
                let mut peer = peer.start(case.told("", &self.certificates), &log)?;
                let port = peer.line(deadline)?["port"].as_u64().context("the peer names no port")?;
                let url = format!("{}://127.0.0.1:{port}/", case.scheme());
                let ours = Ours::client(case, url, &self.certificates)?.ending(deadline);
                if stranger {
                    return refused(ours);
                }
                judge(case, peer.line(soon()), ours)?;
                peer.end(soon())
            }
            (Other::Serve(adapter), _) => {
                let server = Ours::serve(case, adapter, &self.target, &log, &self.certificates)?;
                let ours = Ours::client(case, server.url.clone(), &self.certificates)?.ending(deadline);
                if stranger {
                    return refused(ours);
                }
                judge(case, server.ending(soon()).map(Value::String), ours)
            }
        }
    }

    /// Our server: `sansocket serve`, or one in this process for what that does not do by itself.
    fn start_server(&self, case: &Case) -> Result<Ours> {
        match (case.face, case.what.our_act()) {
            (Face::Adapter(adapter), Act::Echo) => {
                Ours::serve(case, adapter, &self.target, &self.log(case, "serve"), &self.certificates)
            }
            (_, act) => Ours::server(case, act, &self.certificates),
        }
    }

    /// Where the process of a case logs.
    fn log(&self, case: &Case, process: &str) -> PathBuf {
        self.logs.join(format!("{}.{process}.log", case.file_name()))
    }
}

/// Our client knows nobody who has signed the server's certificate.
fn refused(ours: Result<String>) -> Result<()> {
    match ours {
        Err(error) if error.to_string().contains("unknown issuer") => Ok(()),
        other => bail!("our client was to refuse the peer's certificate: {other:?}"),
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
