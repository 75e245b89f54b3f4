//! `cargo xtask soak`: thousands of connections of all kinds, good and bad, against `sansocket serve`.
//!
//! Whatever comes back is checked; and when all have gone, the server has to hold what it has held after a warm-up with as many of the same kinds.
//! What each connection does follows from the seed; how far it gets, and beside whom, from the machine.

mod bundles;
mod deaths;
mod expected;
mod kind;
mod link;
mod page;
mod payload;
mod requests;
mod server;
mod session;
mod slot;
mod tally;
mod tolerance;
mod violations;
mod worker;

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::folder;
use page::{Outcome, Sample};
use server::Server;
use worker::Worker;

/// How long the load of the warm-up lasts: enough for each connection to do what it does at least once, but for what takes long by itself.
const WARM_UP: Duration = Duration::from_secs(10);

/// Descriptors that a process has besides its connections, with some to spare.
const OTHER_DESCRIPTORS: u64 = 100;

/// What to do.
#[derive(Args)]
pub(crate) struct Options {
    /// How long the load lasts, behind a warm-up.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// How many connections there are at a time. Each takes a file descriptor of this process and one of the server's.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=30_000))]
    connections: u32,
    /// What the server runs on: mio, std (which takes a thread for each connection) or tokio.
    #[arg(long, default_value = "mio")]
    backend: String,
    /// What all connections do follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes the result into docs/soak.md and docs/soak, too.
    #[arg(long)]
    write: bool,
}

/// Runs and tells; whether there was no fault.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let Options { minutes, connections, backend, seed, write } = options;
    let time = Duration::try_from_secs_f64(minutes * 60.0).context("--minutes")?;
    // The server inherits it.
    let limit = rlimit::increase_nofile_limit(u64::MAX).context("cannot raise the limit of open files")?;
    let needed = u64::from(*connections) + OTHER_DESCRIPTORS;
    ensure!(
        needed <= limit,
        "{connections} connections need {needed} open files, and the system allows {limit}; see `ulimit -Hn` and --connections"
    );
    Server::build()?;
    let target = folder::target()?;
    let folder = target.join("soak");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let log = folder.join("server.log");
    let mut soak = Soak { server: Server::start(backend, &target, &log)?, start: Instant::now(), samples: Vec::new() };
    let mut worker = Worker::new(soak.server.address(), *seed, *connections as usize)?;

    let fresh = soak.server.usage()?;
    soak.phase("warm-up", &mut worker, WARM_UP)?;
    let warm_up = worker.take_tally();
    let before = soak.server.rest(&fresh)?;
    soak.phase("load", &mut worker, time)?;
    let tally = worker.take_tally();
    let after = soak.server.rest(&fresh)?;

    let mut faults = [warm_up.faults, tally.faults.clone()].concat();
    let unnamed = warm_up.fault_count + tally.fault_count - faults.len() as u64;
    faults.extend((unnamed > 0).then(|| format!("{unnamed} more faults of connections")));
    faults.extend(tolerance::excess(&after, &tolerance::allowed(&fresh, &before)));
    let command =
        format!("cargo xtask soak --minutes {minutes} --connections {connections} --backend {backend} --seed {seed}");
    let (backend, connections, minutes) = (backend.clone(), *connections as usize, *minutes);
    let samples = soak.samples;
    let outcome = Outcome { command, backend, connections, minutes, tally, fresh, before, after, samples, faults };
    println!("{}", outcome.tables());
    println!("{}", outcome.write(&folder)?.display());
    if *write {
        println!("{}", outcome.write(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")))?.display());
    }
    for fault in &outcome.faults {
        println!("fault: {fault}");
    }
    let is_good = outcome.faults.is_empty();
    if is_good {
        // A line for each connection, which nobody needs now.
        fs::remove_file(&log).with_context(|| format!("cannot remove {}", log.display()))?;
    } else {
        println!("the server's log is {}", log.display());
    }
    Ok(is_good)
}

struct Soak {
    server: Server,
    start: Instant,
    samples: Vec<Sample>,
}

impl Soak {
    /// Puts the load on the server for some time, and takes a sample of it each second.
    fn phase(&mut self, name: &str, worker: &mut Worker, time: Duration) -> Result<()> {
        eprintln!("{name}: {time:?}");
        thread::scope(|scope| {
            let (tell, told) = mpsc::channel();
            let running = scope.spawn(move || worker.run(time, &tell));
            for interval in told {
                let usage = self.server.usage()?;
                let worker::Interval { connections, latencies } = interval;
                self.samples.push(Sample { at: self.start.elapsed(), connections, latencies, usage });
            }
            running.join().expect("the clients do not panic")
        })
    }
}
