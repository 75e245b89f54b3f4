//! The others at work: they are installed under the target folder, and play each case in a process of its own, a browser in a page.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::library::Library;
use super::page::Page;
use crate::folder;
use crate::process::{self, Running};

/// Python's packages; they need Python 3.11. `wsproto` needs `h11`.
const PIP: [(&str, &str); 4] = [("websockets", "17.4"), ("wsproto", "1.3.2"), ("h11", "0.16.0"), ("pycurl", "7.49.0")];

/// Node's packages. This `undici` is content with Node 20.
const NPM: [(&str, &str); 2] = [("ws", "8.23.0"), ("undici", "7.30.2")];

/// Another implementation, ready to play.
pub(crate) enum Peer {
    /// A program with a script.
    Script {
        program: &'static str,
        script: &'static str,
        /// Tells the program where its libraries are.
        variable: &'static str,
        libraries: PathBuf,
    },
    Page(Page),
}

macro_rules! script {
    ($name:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/interop/", $name)
    };
}

impl Peer {
    /// Finds it in the folder, or installs it there.
    pub(crate) fn ready(library: Library, folder: &Path) -> Result<Self> {
        let python = |script| {
            let libraries = folder.join("python");
            folder::pip(&libraries, &PIP)?;
            Ok(Self::Script { program: "python3", script, variable: "PYTHONPATH", libraries })
        };
        let node = |script| {
            let libraries = folder::npm(&folder.join("node"), &NPM)?;
            Ok(Self::Script { program: "node", script, variable: "NODE_PATH", libraries })
        };
        match library {
            Library::Websockets => python(script!("websockets_peer.py")),
            Library::Wsproto => python(script!("wsproto_peer.py")),
            Library::Curl => python(script!("curl_peer.py")),
            Library::Ws => node(script!("ws_peer.cjs")),
            Library::Undici => node(script!("undici_peer.cjs")),
            Library::Chromium => Ok(Self::Page(Page::open(folder)?)),
        }
    }

    /// Starts to play a case, with its log.
    pub(crate) fn start(&self, told: &Value, log: &Path) -> Result<Playing> {
        match self {
            Self::Script { program, script, variable, libraries } => {
                let mut command = Command::new(program);
                command.env(variable, libraries).arg(script).arg(told.to_string());
                // A file's compiled form would lie beside it, among ours.
                command.env("PYTHONDONTWRITEBYTECODE", "1");
                command.stdout(Stdio::piped()).stderr(process::log(log)?);
                let mut running = Running::start(&mut command, None)?;
                Ok(Playing { lines: running.lines()?, running: Some(running) })
            }
            Self::Page(page) => Ok(Playing { lines: page.play(told)?, running: None }),
        }
    }
}

/// A peer that plays a case, until this is dropped.
pub(crate) struct Playing {
    /// Its process, if it has one of its own.
    running: Option<Running>,
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

    /// Waits until its process ends, which is to be by itself and in order.
    pub(crate) fn end(self, deadline: Instant) -> Result<()> {
        let Some(mut running) = self.running else { return Ok(()) };
        match running.wait(deadline)? {
            Some(status) => ensure!(status.success(), "the peer ended with {status}"),
            None => bail!("the peer has done its part, but does not end"),
        }
        Ok(())
    }
}
