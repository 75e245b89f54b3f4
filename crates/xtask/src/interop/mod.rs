//! `cargo xtask interop`: our clients and our servers against other people's, directly and through proxies, with and without TLS.
//!
//! [`library`] names the others, [`peer`] installs and runs them, one of them in a [`page`], and [`proxies`] lie in between. [`ours`] is our side,
//! which [`object`] plays, too, also against our own server. [`case`] says what they do with each other and what both are to have seen
//! at the end, [`plan`] which cases there are, and [`table`] what a page tells of them. Every case has a connection of its own, and
//! nobody trusts what is not signed by the run's own authority ([`certificates`]).

mod case;
mod certificates;
mod compression;
mod library;
mod object;
mod ours;
mod page;
mod peer;
mod plan;
mod proxies;
mod table;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use serde_json::{Value, json};

use self::case::{Case, Face, Other, Role, What};
use self::certificates::Certificates;
pub(crate) use self::library::Library;
use self::ours::Ours;
pub(crate) use self::peer::{Peer, Playing};
use self::proxies::Proxies;
use crate::{folder, report, serve};

/// The page with the table of what was played, and the name of its section.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/conformance.md");
const SECTION: &str = "interop";

/// How many cases are played side by side. One keeps a single processor busy: its two sides take turns.
const AT_ONCE: usize = 3;

/// How long a case may take.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// How long the other side may take to see the end that one has seen.
const GRACE: Duration = Duration::from_secs(15);

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Whom to talk to, instead of everybody.
    #[arg(long)]
    peer: Option<Library>,
    /// Puts the table into `docs/conformance.md`, instead of comparing it with the one there.
    #[arg(long, conflicts_with = "peer")]
    write: bool,
}

/// Runs all cases of the peers that were asked for; whether all went well.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let libraries = options.peer.map_or(Library::ALL.to_vec(), |peer| vec![peer]);
    let target = folder::target()?;
    let folder = target.join("interop");
    serve::build()?;
    let logs = folder.join("logs");
    folder::empty(&logs)?;
    let certificates = Certificates::write(&folder.join("certificates"))?;
    let proxies = Proxies::start(&folder.join("proxies"))?;
    let peers =
        libraries.iter().map(|&library| Ok((library, Peer::ready(library, &folder)?))).collect::<Result<_>>()?;
    let run = Run { target, logs, certificates, proxies, peers };

    let mut cases: Vec<Case> = libraries.into_iter().flat_map(plan::with_library).collect();
    if options.peer.is_none() {
        cases.extend(plan::with_our_server());
    }
    let failed = run.play_all(&cases);
    println!("{} cases, {failed} failed", cases.len());
    if failed > 0 || options.peer.is_some() {
        return Ok(failed == 0);
    }

    let table = table::of(&cases)?;
    println!("{table}");
    if options.write {
        report::replace_section(Path::new(PAGE), SECTION, &table)?;
        return Ok(true);
    }
    let is_same = report::has_section(Path::new(PAGE), SECTION, &table)?;
    if !is_same {
        println!("docs/conformance.md has another table: run `cargo xtask interop --write`");
    }
    Ok(is_same)
}

/// What all cases share.
struct Run {
    /// Cargo's.
    target: PathBuf,
    logs: PathBuf,
    certificates: Certificates,
    proxies: Proxies,
    peers: Vec<(Library, Peer)>,
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
            (Other::Library(library), Role::Client) => {
                let ours = self.start_server(case)?;
                let url = self.proxies.url(case.via, &ours.url)?;
                let mut peer = self.peer(library)?.start(&case.told(&url, &self.certificates), &log)?;
                if stranger {
                    let error = peer.line(deadline)?["error"].to_string();
                    ensure!(error.contains("certificate"), "the peer was to refuse our certificate, and says {error}");
                    return Ok(());
                }
                if case.peer_waits() {
                    await_echoes(case, &mut peer, deadline)?;
                    ours.close()?;
                }
                judge(case, peer.line(deadline), ours.ending(soon()))?;
                peer.end(soon())
            }
            (Other::Library(library), Role::Server) => {
                let mut peer = self.peer(library)?.start(&case.told("", &self.certificates), &log)?;
                let port = peer.line(deadline)?["port"].as_u64().context("the peer names no port")?;
                let url = self.proxies.url(case.via, &format!("{}://127.0.0.1:{port}/", case.scheme()))?;
                let ours = Ours::client(case, url, &self.certificates)?;
                if case.peer_waits() {
                    await_echoes(case, &mut peer, deadline)?;
                }
                let ours = ours.ending(deadline);
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
        match case.face {
            Face::Adapter(adapter) if case.is_served() => {
                Ours::serve(case, adapter, &self.target, &self.log(case, "serve"), &self.certificates)
            }
            _ => Ours::server(case, &self.certificates),
        }
    }

    fn peer(&self, library: Library) -> Result<&Peer> {
        let found = self.peers.iter().find(|(of, _)| *of == library);
        found.map(|(_, peer)| peer).with_context(|| format!("{} is not ready", library.name()))
    }

    /// Where the process of a case logs.
    fn log(&self, case: &Case, process: &str) -> PathBuf {
        self.logs.join(format!("{}.{process}.log", case.file_name()))
    }
}

/// Waits until the peer says that all of its messages have come back.
fn await_echoes(case: &Case, peer: &mut Playing, deadline: Instant) -> Result<()> {
    let (says, expected) = (peer.line(deadline)?, json!({ "echoed": case.messages() }));
    ensure!(says == expected, "the peer says {says} instead of {expected}");
    Ok(())
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
