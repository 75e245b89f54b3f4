//! The server, and what it holds.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdin, Stdio};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::violations::MESSAGE_LIMIT;
use crate::process::{self, LOOK, Running};
use crate::{memory, serve};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it may take to let go of what has gone: more than its own limit for the end of a connection.
const REST: Duration = Duration::from_secs(20);

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    /// Bytes.
    pub(super) resident: u64,
    /// Live allocations, and their bytes.
    pub(super) allocations: u64,
    pub(super) allocated: u64,
    pub(super) descriptors: u64,
    pub(super) threads: u64,
}

pub(super) struct Server {
    running: Running,
    input: ChildStdin,
    lines: Receiver<String>,
    address: SocketAddr,
}

impl Server {
    /// Builds it with what tells allocations.
    pub(super) fn build() -> Result<()> {
        let arguments = ["build", "--release", "--package", "sansocket-cli", "--features", "allocations"];
        process::run(process::cargo().args(arguments))
    }

    pub(super) fn start(backend: &str, target: &Path, log: &Path) -> Result<Self> {
        let mut command = serve::command(target);
        command.args(["--backend", backend, "--deflate", "--takeover", "--ping-interval", "5", "--max-message"]);
        command.arg(MESSAGE_LIMIT.to_string()).stdout(Stdio::piped()).stderr(process::log(log)?);
        // What is freed goes back to the system where it can, so that resident memory tells something: by itself, glibc gives up to 64 MiB back only
        // once more than that is free, as soon as long blocks were freed.
        command.envs([("MALLOC_TRIM_THRESHOLD_", "131072"), ("MALLOC_MMAP_THRESHOLD_", "131072")]);
        let (mut running, input) = Running::start_with_input(&mut command)?;
        let lines = running.lines()?;
        let line = lines.recv_timeout(PATIENCE).context("the server does not say where it listens")?;
        let address = line.strip_prefix("listening on ws://").and_then(|address| address.parse().ok());
        let address = address.with_context(|| format!("the server began with {line:?} instead of where it listens"))?;
        Ok(Self { running, input, lines, address })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it holds now.
    pub(super) fn usage(&mut self) -> Result<Usage> {
        let process = self.running.id();
        if let Some(status) = self.running.ended()? {
            anyhow::bail!("the server has ended: {status}");
        }
        self.input.write_all(b"\n").context("the server cannot be asked")?;
        let line = self.lines.recv_timeout(PATIENCE).context("the server does not tell its allocations")?;
        let (allocations, allocated) = allocations(&line).with_context(|| format!("{line:?} are no allocations"))?;
        let entries = |folder: &str| {
            let path = format!("/proc/{process}/{folder}");
            Ok::<_, anyhow::Error>(fs::read_dir(&path).with_context(|| format!("cannot read {path}"))?.count() as u64)
        };
        Ok(Usage {
            resident: memory::resident_bytes(process)?,
            allocations,
            allocated,
            descriptors: entries("fd")?,
            threads: entries("task")?,
        })
    }

    /// What it holds once it has no more descriptors and threads than `before`, or has had the time to.
    pub(super) fn rest(&mut self, before: &Usage) -> Result<Usage> {
        let deadline = Instant::now() + REST;
        loop {
            let usage = self.usage()?;
            let is_at_rest = usage.descriptors <= before.descriptors && usage.threads <= before.threads;
            if is_at_rest || deadline <= Instant::now() {
                return Ok(usage);
            }
            thread::sleep(LOOK);
        }
    }
}

/// What the server answers with.
fn allocations(line: &str) -> Option<(u64, u64)> {
    let (allocations, bytes) = line.split_once(' ')?;
    Some((allocations.parse().ok()?, bytes.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_are_two_numbers() {
        assert_eq!(allocations("12 3456"), Some((12, 3456)));
        assert_eq!(["", "12", "12 x", "listening on ws://127.0.0.1:1"].map(allocations), [None; 4]);
    }
}
