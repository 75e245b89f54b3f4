//! The others: they are installed under the target folder, and play each case in a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::folder;
use crate::process::{self, Running};

/// The version of Python's `websockets`; it needs Python 3.11.
const WEBSOCKETS: &str = "17.4";

/// The version of Node's `ws`.
const WS: &str = "8.23.0";

/// An installed library, and the script that plays with it.
pub(crate) struct Peer {
    pub(super) name: &'static str,
    program: &'static str,
    script: &'static str,
    /// Tells the program where the library is.
    variable: &'static str,
    library: PathBuf,
}

impl Peer {
    /// `websockets`, which is found or installed in the folder.
    pub(super) fn python(folder: &Path) -> Result<Self> {
        let folder = folder.join("python");
        process::need("python3", &["--version"])?;
        if !folder.join(format!("websockets-{WEBSOCKETS}.dist-info")).is_dir() {
            process::need("python3", &["-m", "pip", "--version"])?;
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
            pip.env("PIP_ROOT_USER_ACTION", "ignore");
            folder::install(pip.arg(format!("websockets=={WEBSOCKETS}")).arg("--target"), &folder)?;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/peer.py");
        Ok(Self { name: "python", program: "python3", script, variable: "PYTHONPATH", library: folder })
    }

    /// `ws`, which is found or installed in the folder.
    pub(crate) fn node(folder: &Path) -> Result<Self> {
        let library = folder::npm(&folder.join("node"), &[("ws", WS)])?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/peer.cjs");
        Ok(Self { name: "node", program: "node", script, variable: "NODE_PATH", library })
    }

    /// Starts to play a case, with its log.
    pub(crate) fn start(&self, told: Value, log: &Path) -> Result<Playing> {
        let mut command = Command::new(self.program);
        command.env(self.variable, &self.library).arg(self.script).arg(told.to_string());
        command.stdout(Stdio::piped()).stderr(process::log(log)?);
        let mut running = Running::start(&mut command, None)?;
        Ok(Playing { lines: running.lines()?, running })
    }
}

/// A peer that plays a case, until this is dropped.
pub(crate) struct Playing {
    running: Running,
    lines: Receiver<String>,
}

impl Playing {
    /// The next line that it prints.
    pub(crate) fn line(&mut self, deadline: Instant) -> Result<Value> {
        let line = match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => bail!("it says nothing within its time limit"),
            Err(RecvTimeoutError::Disconnected) => bail!("it ended without a word"),
        };
        serde_json::from_str(&line).with_context(|| format!("it says {line:?}"))
    }

    /// Waits until it ends, which is to be by itself and in order.
    pub(crate) fn end(mut self, deadline: Instant) -> Result<()> {
        match self.running.wait(deadline)? {
            Some(status) => ensure!(status.success(), "the peer ended with {status}"),
            None => bail!("the peer has done its part, but does not end"),
        }
        Ok(())
    }
}
