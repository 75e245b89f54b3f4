//! `cargo xtask fuzz`: the fuzz targets, each for a few seconds, in the corpus that was kept.
//!
//! [`install`] finds or installs cargo-fuzz and builds, [`target`] is one target and what it runs on, [`said`] reads what libFuzzer says
//! and [`corpora`] keeps what it found worth keeping.

mod corpora;
mod install;
mod said;
mod target;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::{fs, thread};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use self::said::Said;
use self::target::Target;
use crate::{folder, report};

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// How long each target runs, in seconds. Building comes before.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// A target to run; may be given again. Without it all are run.
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<String>,
    /// How many targets run side by side; as many as there are cores.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Instead of running, packs what the kept corpora reach beyond the seeds into `fuzz/corpora`.
    #[arg(long)]
    minimise: bool,
    /// Where the targets are built; `fuzz/build` in the target folder.
    #[arg(long, value_name = "FOLDER")]
    build_dir: Option<PathBuf>,
}

/// Builds and runs the targets; whether none of them found anything.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let names = names(&options.targets)?;
    let work = folder::target()?.join("fuzz");
    let build_dir = options.build_dir.clone().unwrap_or_else(|| work.join("build"));
    let programs = install::build(&work, &build_dir, &names)?;
    let targets = names.iter().map(|name| Target::new(name, &programs, &work)).collect::<Result<Vec<_>>>()?;
    let jobs = options.jobs.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);
    if options.minimise {
        for (target, kept) in targets.iter().zip(side_by_side(&targets, jobs, corpora::minimise)?) {
            println!("{}: {kept}", target.name);
        }
        return Ok(true);
    }
    println!("{} s each, {jobs} side by side", options.seconds);
    let said = side_by_side(&targets, jobs, |target| target.run(options.seconds))?;
    println!("\n{}", table(&targets, &said));
    let found = targets.iter().zip(&said).filter_map(|(target, said)| Some((&target.name, said.artifact.as_ref()?)));
    for (name, artifact) in found.clone() {
        println!("FOUND by {name}: {artifact} (fuzz/README.md tells how to read it)");
    }
    Ok(found.count() == 0)
}

/// The names of the targets that there are, or of those that are asked for.
fn names(asked: &[String]) -> Result<Vec<String>> {
    let folder = target::project().join("fuzz/fuzz_targets");
    let files = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let stem = |file: fs::DirEntry| Some(file.file_name().to_str()?.strip_suffix(".rs")?.to_owned());
    let mut names: Vec<_> = files.filter_map(|file| stem(file.ok()?)).collect();
    names.sort_unstable();
    if let Some(unknown) = asked.iter().find(|name| !names.contains(name)) {
        bail!("no target {unknown:?}; there are {}", names.join(", "));
    }
    names.retain(|name| asked.is_empty() || asked.contains(name));
    ensure!(!names.is_empty(), "no targets in {}", folder.display());
    Ok(names)
}

/// Does it to all targets, `jobs` at a time; the results are in the targets' order.
fn side_by_side<R: Send>(targets: &[Target], jobs: usize, act: impl Fn(&Target) -> Result<R> + Sync) -> Result<Vec<R>> {
    let waiting = Mutex::new(targets.iter().enumerate());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || std::iter::from_fn(next).map(|(at, target)| (at, act(target))).collect::<Vec<_>>();
    let mut done: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker has panicked")).collect()
    });
    done.sort_unstable_by_key(|&(at, _)| at);
    done.into_iter().map(|(_, result)| result).collect()
}

fn table(targets: &[Target], said: &[Said]) -> String {
    let header = ["target", "executions", "executions/s", "edges", "features", "corpus", "findings"];
    let row = |(target, said): (&Target, &Said)| {
        let found = u64::from(said.artifact.is_some());
        let numbers = [said.executions, said.per_second, said.edges, said.features, said.inputs, found];
        [target.name.clone()].into_iter().chain(numbers.map(|number| number.to_string())).collect()
    };
    let rows: Vec<_> = targets.iter().zip(said).map(row).collect();
    report::table(&header.map(str::to_owned), &rows)
}
