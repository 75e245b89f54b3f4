//! One target, and what it runs on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::corpora;
use super::said::Said;
use crate::process::{self, Running};

/// How long a run may take beyond its time: it goes through all the inputs that there are first.
const GRACE: Duration = Duration::from_secs(300);

/// An input that takes so long is a finding.
const INPUT_LIMIT: Duration = Duration::from_secs(20);

/// The project's root.
pub(super) fn project() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A target that was built.
pub(super) struct Target {
    /// Its name, and that of everything it has.
    pub(super) name: String,
    /// A folder for what is written on the way.
    pub(super) work: PathBuf,
    program: PathBuf,
}

impl Target {
    /// Makes the folders that it writes to, and unpacks its corpus.
    pub(super) fn new(name: &str, programs: &Path, work: &Path) -> Result<Self> {
        let target = Self { name: name.to_owned(), work: work.join("run").join(name), program: programs.join(name) };
        for folder in [&target.work, &target.kept(), &project().join(target.artifacts())] {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        corpora::unpack(&target)?;
        Ok(target)
    }

    /// Where libFuzzer keeps the inputs that reach something new.
    pub(super) fn kept(&self) -> PathBuf {
        self.own("corpus")
    }

    /// Where the inputs are unpacked that were packed into the project.
    pub(super) fn unpacked(&self) -> PathBuf {
        self.work.join("unpacked")
    }

    /// The folders of inputs that are written by hand.
    pub(super) fn written(&self) -> impl Iterator<Item = PathBuf> {
        ["seeds", "regressions"].map(|folder| self.own(folder)).into_iter().filter(|folder| folder.is_dir())
    }

    /// The target's part of a folder beside the targets.
    fn own(&self, folder: &str) -> PathBuf {
        project().join("fuzz").join(folder).join(&self.name)
    }

    /// The words of its inputs, if they have any: libFuzzer takes one dictionary.
    fn words(&self) -> Result<Option<String>> {
        let dictionaries: &[_] = match &*self.name {
            "differential" => &["connection", "request", "response"],
            "inflate" => &["connection"],
            name => &[name],
        };
        let paths = dictionaries.iter().map(|name| project().join(format!("fuzz/dictionaries/{name}.dict")));
        let paths: Vec<_> = paths.filter(|path| path.is_file()).collect();
        let read = |path: &PathBuf| fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
        let words = paths.iter().map(read).collect::<Result<Vec<_>>>()?.concat();
        Ok((!words.is_empty()).then_some(words))
    }

    /// From the project's root.
    fn artifacts(&self) -> String {
        format!("fuzz/artifacts/{}/", self.name)
    }

    /// Its program in the project's root. What it says goes to the log.
    pub(super) fn command(&self, log: &Path) -> Result<Command> {
        let mut command = Command::new(&self.program);
        command.current_dir(project()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(process::log(log)?);
        Ok(command)
    }

    /// Runs it for so many seconds.
    pub(super) fn run(&self, seconds: u32) -> Result<Said> {
        let log = self.work.join("log");
        let mut command = self.command(&log)?;
        // libFuzzer writes to the first folder alone.
        command.arg(self.kept()).args(self.written()).arg(self.unpacked());
        command.arg(format!("-artifact_prefix={}", self.artifacts())).arg("-print_final_stats=1");
        command.arg(format!("-max_total_time={seconds}")).arg(format!("-timeout={}", INPUT_LIMIT.as_secs()));
        if let Some(words) = self.words()? {
            let dictionary = self.work.join("dictionary");
            fs::write(&dictionary, words).with_context(|| format!("cannot write {}", dictionary.display()))?;
            command.arg(format!("-dict={}", dictionary.display()));
        }
        let limit = Duration::from_secs(seconds.into()) + GRACE;
        let ended = Running::start(&mut command, None)?.wait(Instant::now() + limit)?;
        let text = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
        let said = Said::read(&String::from_utf8_lossy(&text));
        match ended {
            Some(status) if status.success() || said.artifact.is_some() => {}
            Some(status) => bail!("{} ended with {status} and has found nothing; see {}", self.name, log.display()),
            None => bail!("{} does not end; see {}", self.name, log.display()),
        }
        println!("{}: {} executions", self.name, said.executions);
        Ok(said)
    }
}

/// The files of a folder, without those that are hidden.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_hidden = |path: &PathBuf| path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| !is_hidden(path));
    Ok(paths)
}
