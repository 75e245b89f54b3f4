//! `sansocket serve`, in a process of its own.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{self, Running};

/// How long a server may take to listen.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Builds it.
pub(crate) fn build() -> Result<()> {
    process::run(process::cargo().args(["build", "--release", "--package", "sansocket-cli"]))
}

/// It, built into Cargo's folder `target`, at a free port.
pub(crate) fn command(target: &Path) -> Command {
    let mut command = Command::new(target.join("release/sansocket"));
    command.args(["serve", "--bind", "127.0.0.1:0"]);
    command
}

/// A server at a free port, which runs until this is dropped.
pub(crate) struct Server {
    running: Running,
    url: String,
}

impl Server {
    /// Starts it, built into Cargo's folder `target`, with arguments besides the address, and its log.
    pub(crate) fn start<A: AsRef<OsStr>>(
        arguments: impl IntoIterator<Item = A>,
        target: &Path,
        log: &Path,
    ) -> Result<Self> {
        Self::launch(command(target).args(arguments).stderr(process::log(log)?))
    }

    /// Starts any server that begins with a line that says where it listens.
    pub(crate) fn launch(command: &mut Command) -> Result<Self> {
        let mut running = Running::start(command.stdout(Stdio::piped()), None)?;
        let line = running.lines()?.recv_timeout(START_LIMIT).context("the server does not say where it listens")?;
        match line.strip_prefix("listening on ") {
            Some(url) => Ok(Self { url: url.to_owned(), running }),
            None => bail!("the server began with {line:?} instead of where it listens"),
        }
    }

    /// The process's number.
    pub(crate) fn process_id(&self) -> u32 {
        self.running.id()
    }

    /// Tells it to stop, as a service manager would.
    pub(crate) fn stop(&self) -> Result<()> {
        process::run(Command::new("sh").args(["-c", "kill \"$0\"", &self.process_id().to_string()]))
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}
