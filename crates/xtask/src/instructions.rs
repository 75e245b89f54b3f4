//! `cargo xtask instructions`: how many instructions the engine takes for a message, counted by Valgrind. No clock is asked, so a busy machine does no harm.
//!
//! The counts in `instructions.txt` are what `--check` compares with. Another compiler or another processor's features can change them a little; a change
//! of the engine that does has a reason, or is mended.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{debian, folder, process};

/// How many more instructions than recorded are still no regression: a part of them, and some, because the C library copies by what the processor can.
const TOLERANCE: f64 = 0.1;
const SOME: f64 = 5.0;

/// How many messages the shorter run has, and how many bytes of payload the longer one has more, so that all cases take about as long.
const FEW: u64 = 64;
const BYTES: u64 = 4 << 20;

/// What to do with the counts.
#[derive(Args)]
pub(crate) struct Options {
    /// Fails if a case takes more instructions than recorded.
    #[arg(long, conflicts_with = "record")]
    check: bool,
    /// Records the counts.
    #[arg(long)]
    record: bool,
}

/// Counts, and prints a table; whether all is as it should be.
pub(crate) fn run(options: &Options) -> Result<bool> {
    // Another instruction set has other counts.
    ensure!(cfg!(target_arch = "x86_64"), "the counts are those of x86-64");
    debian::find_or_install("valgrind", "--version", "valgrind")?;
    let mut build = process::cargo();
    build.args(["build", "--release", "--package", "sansocket-testkit", "--example", "instructions"]);
    process::run(&mut build)?;
    let program = folder::target()?.join("release/examples/instructions");
    let recorded = read_recorded()?;
    let mut good = true;
    let mut record = String::from(HEADER);
    println!("{:<32} {:>10} {:>10}", "case", "now", "recorded");
    for case in cases(&program)? {
        let now = per_message(&program, &case)?;
        let before = recorded.get(&case).copied();
        writeln!(record, "{case} {now:.1}")?;
        let verdict = match before {
            None => "new",
            Some(before) if now > before * (1.0 + TOLERANCE) + SOME => "more than recorded",
            Some(before) if now < before * (1.0 - TOLERANCE) - SOME => "less: record it",
            Some(_) => "",
        };
        good &= !matches!(verdict, "new" | "more than recorded");
        println!(
            "{case:<32} {now:>10.1} {:>10} {verdict}",
            before.map_or(String::new(), |before| format!("{before:.1}"))
        );
    }
    if options.record {
        let path = recorded_path();
        fs::write(&path, record).with_context(|| format!("cannot write {}", path.display()))?;
        return Ok(true);
    }
    if options.check && !good {
        println!("more instructions than recorded: mend it, or say why and run `cargo xtask instructions --record`");
    }
    Ok(good || !options.check)
}

const HEADER: &str = "\
# Instructions for a message, by Valgrind: `cargo xtask instructions --record` writes this, `--check` compares with it.
";

fn recorded_path() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt").into()
}

fn read_recorded() -> Result<BTreeMap<String, f64>> {
    let text = fs::read_to_string(recorded_path()).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (case, count) = line.split_once(' ').with_context(|| format!("no case and count: {line:?}"))?;
            Ok((case.to_owned(), count.parse().with_context(|| format!("no number: {line:?}"))?))
        })
        .collect()
}

fn cases(program: &Path) -> Result<Vec<String>> {
    let output = Command::new(program).output().with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(output.status.success(), "{} ended with {}", program.display(), output.status);
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

/// Instructions for one more message: what is done once is in both runs.
fn per_message(program: &Path, case: &str) -> Result<f64> {
    let size: u64 = case.rsplit('/').next().and_then(|size| size.parse().ok()).context("a case ends with a size")?;
    let few = Counted::run(program, case, FEW)?;
    let many = Counted::run(program, case, FEW + BYTES / size.max(256))?;
    Ok((many.instructions - few.instructions) as f64 / (many.messages - few.messages) as f64)
}

/// What a run has done, and what it took.
struct Counted {
    messages: u64,
    instructions: u64,
}

impl Counted {
    fn run(program: &Path, case: &str, messages: u64) -> Result<Self> {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        let output = valgrind.arg(program).arg(case).arg(messages.to_string()).stdin(Stdio::null()).output();
        let output = output.context("cannot run valgrind")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "valgrind ended with {}: {said}", output.status);
        let collected = said.lines().find_map(|line| line.split("Collected : ").nth(1)).unwrap_or_default();
        let instructions = collected.trim().parse().with_context(|| format!("valgrind has not counted: {said}"))?;
        let done = String::from_utf8_lossy(&output.stdout);
        let messages = done.trim().parse().with_context(|| format!("{} says {done:?}", program.display()))?;
        Ok(Self { messages, instructions })
    }
}
