//! Runs the suite's `wstest`.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{self as std_process, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::process::{self, LOOK, Running};

/// How long the suite's server may take to accept connections.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The log of `wstest`, in its folder.
const LOG: &str = "wstest.log";

/// The suite, ready to run.
pub(super) enum Suite {
    /// In a folder of ours.
    Installed { python: Python, folder: PathBuf },
    /// In its own container.
    Container { image: &'static str },
}

/// A Python 2.7.
pub(super) struct Python {
    /// Which version pyenv is to take, if pyenv has to be told.
    pub(super) pyenv_version: Option<String>,
}

impl Python {
    /// The interpreter.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new("python2.7");
        if let Some(version) = &self.pyenv_version {
            command.env("PYENV_VERSION", version);
        }
        command
    }
}

impl Suite {
    /// Starts `wstest` in the mode, with its log in the folder, which the container sees under the same path.
    pub(super) fn start(&self, mode: &str, spec: &Path, folder: &Path) -> Result<WsTest> {
        let (mut command, clean_up) = match self {
            Self::Installed { python, folder } => {
                let mut command = python.command();
                command.env("PYTHONPATH", folder).arg(folder.join("bin/wstest"));
                (command, None)
            }
            Self::Container { image } => {
                let name = format!("sansocket-autobahn-{mode}-{}", std_process::id());
                let mut command = Command::new("docker");
                command.args(["run", "--rm", "--network=host", "--env=PYTHONUNBUFFERED=1", "--name", &name]);
                command.arg("--volume").arg(format!("{0}:{0}", folder.display())).args([image, "wstest"]);
                // Killing `docker run` leaves the container alone.
                let mut clean_up = Command::new("docker");
                clean_up.args(["rm", "--force", &name]);
                (command, Some(clean_up))
            }
        };
        // Unbuffered, because a log of a process that was killed is to be whole. Its web server is not wanted.
        command.env("PYTHONUNBUFFERED", "1").args(["--mode", mode, "--webport", "0", "--spec"]).arg(spec);
        let log = process::log(&folder.join(LOG))?;
        command.stdout(log.try_clone().context("cannot share a log")?).stderr(log);
        Running::start(&mut command, clean_up).map(WsTest)
    }
}

/// A `wstest` that runs until this is dropped.
pub(super) struct WsTest(Running);

impl WsTest {
    /// Waits until it has run all its cases.
    pub(super) fn wait(mut self, deadline: Instant) -> Result<()> {
        match self.0.wait(deadline)? {
            Some(status) => ensure!(status.success(), "wstest ended with {status}"),
            None => bail!("wstest has not ended within its time limit and was killed"),
        }
        Ok(())
    }

    /// Waits until it accepts connections.
    pub(super) fn wait_until_it_accepts(&mut self, port: u16) -> Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect_timeout(&address, LOOK).is_err() {
            if let Some(status) = self.0.ended()? {
                bail!("wstest ended with {status} before it accepted connections");
            }
            ensure!(Instant::now() < deadline, "wstest accepts no connections at port {port}");
            thread::sleep(LOOK);
        }
        Ok(())
    }
}

/// The cases that a `wstest` with its log in this folder has begun with, in order.
pub(super) fn cases_begun(folder: &Path) -> Vec<String> {
    // Not there yet: none has begun.
    let log = fs::read_to_string(folder.join(LOG)).unwrap_or_default();
    let begun = log.lines().filter_map(|line| line.strip_prefix("Running test case ID ")?.split(' ').next());
    begun.map(str::to_owned).collect()
}

/// A port that nobody listened at a moment ago.
pub(super) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr().context("no free port")?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_tells_which_cases_have_begun() {
        let folder = std::env::temp_dir().join(format!("sansocket-cases-begun-{}", std_process::id()));
        assert_eq!(cases_begun(&folder), [""; 0], "without a log");
        crate::folder::empty(&folder).unwrap();
        let log =
            "Cases = ['1.1.1']\nRunning test case ID 1.1.1 for agent x from peer y\nRunning test case ID 2.10 for";
        fs::write(folder.join(LOG), log).unwrap();
        assert_eq!(cases_begun(&folder), ["1.1.1", "2.10"]);
        crate::folder::remove(&folder).unwrap();
    }
}
