//! Processes of others that do not outlive us.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// The wait between two looks at a foreign process.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// Cargo, the one that runs us.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    // What Cargo has told us of our own package would reach the build scripts of others, of which ring's then has all built anew.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Whether the command runs to its end and succeeds; what it says is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// An error says that the program is missing.
pub(crate) fn need(program: &str, arguments: &[&str]) -> Result<()> {
    let works = succeeds(Command::new(program).args(arguments));
    ensure!(works, "missing: `{program} {}` does not work here, and is needed", arguments.join(" "));
    Ok(())
}

/// Runs the command, which may speak to the user, and wants it to succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// As `run`, for what comes over a network: it is tried three times.
pub(crate) fn fetch(command: &mut Command) -> Result<()> {
    for pause in [5, 30] {
        match run(command) {
            Ok(()) => return Ok(()),
            Err(error) => eprintln!("{error:#}; once more in {pause} s"),
        }
        thread::sleep(Duration::from_secs(pause));
    }
    run(command)
}

/// A new file for what a process says.
pub(crate) fn log(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}

/// A process that is killed when it is dropped, and then cleaned up after.
pub(crate) struct Running {
    child: Child,
    clean_up: Option<Command>,
}

impl Running {
    /// Starts the command; `clean_up` ends what killing the process does not.
    pub(crate) fn start(command: &mut Command, clean_up: Option<Command>) -> Result<Self> {
        let child = command.stdin(Stdio::null()).spawn().with_context(|| format!("cannot run {command:?}"))?;
        Ok(Self { child, clean_up })
    }

    /// Starts a command that is told something now and then.
    pub(crate) fn start_with_input(command: &mut Command) -> Result<(Self, ChildStdin)> {
        let child = command.stdin(Stdio::piped()).spawn();
        let mut running = Self { child: child.with_context(|| format!("cannot run {command:?}"))?, clean_up: None };
        let input = running.child.stdin.take().context("a process has no stdin to be written to")?;
        Ok((running, input))
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The lines that the process says, if it was started with a pipe for them; once.
    pub(crate) fn lines(&mut self) -> Result<Receiver<String>> {
        Ok(lines_of(self.child.stdout.take().context("a process has no stdout to be read")?))
    }

    /// The lines of its standard error, likewise.
    pub(crate) fn error_lines(&mut self) -> Result<Receiver<String>> {
        Ok(lines_of(self.child.stderr.take().context("a process has no stderr to be read")?))
    }

    /// How the process ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("cannot look at a process")
    }

    /// Waits for the process to end; none: the deadline came first.
    pub(crate) fn wait(&mut self, deadline: Instant) -> Result<Option<ExitStatus>> {
        loop {
            match self.ended()? {
                None if Instant::now() < deadline => thread::sleep(LOOK),
                ended => return Ok(ended),
            }
        }
    }
}

fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (line, lines) = mpsc::channel();
    thread::spawn(move || {
        // Read to the end, whether somebody listens or not: a process stops at a full pipe.
        for said in BufReader::new(pipe).lines().map_while(Result::ok) {
            let _ = line.send(said);
        }
    });
    lines
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(command) = &mut self.clean_up {
            succeeds(command);
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_with_the_process() {
        let mut quick = Running::start(Command::new("sh").args(["-c", "exit 3"]), None).unwrap();
        let status = quick.wait(Instant::now() + Duration::from_secs(10)).unwrap().unwrap();
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn waiting_ends_at_the_deadline_and_the_drop_kills() {
        let start = Instant::now();
        let mut slow = Running::start(Command::new("sleep").arg("60"), None).unwrap();
        assert!(slow.wait(start + LOOK * 2).unwrap().is_none());
        drop(slow);
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
