//! `sansocket serve`, in a process of its own.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{self, Running};

/// How long our server may take to listen.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Builds it.
pub(crate) fn build() -> Result<()> {
    process::run(process::cargo().args(["build", "--release", "--package", "sansocket-cli"]))
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
        let mut command = Command::new(target.join("release/sansocket"));
        command.args(["serve", "--bind", "127.0.0.1:0"]).args(arguments);
        command.stdout(Stdio::piped()).stderr(process::log(log)?);
        let mut running = Running::start(&mut command, None)?;
        let line = running.lines()?.recv_timeout(START_LIMIT).context("our server does not say where it listens")?;
        match line.strip_prefix("listening on ") {
            Some(url) => Ok(Self { url: url.to_owned(), running }),
            None => bail!("our server began with {line:?} instead of where it listens"),
        }
    }

    /// The process's number.
    pub(crate) fn process_id(&self) -> u32 {
        self.running.id()
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}
