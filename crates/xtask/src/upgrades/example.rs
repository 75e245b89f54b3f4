//! The servers: examples that say where they listen, and what they do after that.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::process::{self, Running};

/// How long one may take to listen.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Builds them all, with compression.
pub(super) fn build() -> Result<()> {
    let mut cargo = process::cargo();
    cargo.args(["build", "--examples"]);
    for package in ["sansocket-hyper", "sansocket-axum", "sansocket-h2"] {
        cargo.args(["--package", package, "--features", &format!("{package}/deflate")]);
    }
    process::run(&mut cargo)
}

/// A server at a free port, which runs until this is dropped.
pub(super) struct Example {
    _running: Running,
    lines: Receiver<String>,
    url: String,
}

impl Example {
    /// Starts it, built into Cargo's folder `target`, with its log in `folder`.
    pub(super) fn start(name: &str, target: &Path, folder: &Path) -> Result<Self> {
        let mut command = Command::new(target.join("debug/examples").join(name));
        command.arg("127.0.0.1:0").stdout(Stdio::piped()).stderr(process::log(&folder.join(format!("{name}.log")))?);
        let mut running = Running::start(&mut command, None)?;
        let lines = running.lines()?;
        let line = lines.recv_timeout(START_LIMIT).with_context(|| format!("{name} does not say where it listens"))?;
        let url = line.strip_prefix("listening on ").with_context(|| format!("{name} began with {line:?}"))?.to_owned();
        Ok(Self { _running: running, lines, url })
    }

    /// Where it listens.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The next line that it says.
    pub(super) fn line(&self, deadline: Instant) -> Result<String> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.lines.recv_timeout(left).context("the server says nothing more within the time limit")
    }
}
