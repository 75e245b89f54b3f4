//! The servers that are compared: how they are built and started.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::serve::{self, Server};
use crate::{folder, process};

/// The others that are written in Rust, a workspace of its own.
const MANIFEST: &str = "benches/servers/Cargo.toml";

/// Node's `ws`, and the native code for masking that its page recommends.
const WS: [(&str, &str); 2] = [("ws", "8.23.0"), ("bufferutil", "4.1.0")];

/// A server that can be started, again and again.
pub(crate) struct Candidate {
    /// Its library, with its version if it is not ours.
    pub(crate) name: String,
    command: Command,
}

impl Candidate {
    /// It runs until the return value is dropped.
    pub(crate) fn start(&mut self) -> Result<Server> {
        Server::launch(&mut self.command).with_context(|| format!("cannot start {}", self.name))
    }

    fn new(name: impl Into<String>, mut command: Command) -> Self {
        command.stderr(Stdio::null());
        Self { name: name.into(), command }
    }
}

/// The echo without WebSocket, which the others are measured by.
pub(super) fn tcp_echo(target: &Path) -> Result<Candidate> {
    process::run(process::cargo().args(["build", "--release", "--package", "sansocket-mio", "--example", "tcp_echo"]))?;
    let mut command = Command::new(target.join("release/examples/tcp_echo"));
    command.arg("127.0.0.1:0");
    Ok(Candidate::new("TCP echo", command))
}

/// `sansocket serve`, on each of its backends; mio first.
pub(super) fn ours(target: &Path) -> Result<Vec<Candidate>> {
    serve::build()?;
    let on = |backend| {
        let mut command = serve::command(target);
        // Deadlines are kept for every connection, but none comes while others have their turns.
        command.args(["--ping-interval", "3600", "--backend", backend]);
        Candidate::new(format!("sansocket, {backend}"), command)
    };
    Ok(vec![on("mio"), on("std")])
}

/// Those of other libraries in Rust.
pub(super) fn in_rust(target: &Path) -> Result<Vec<Candidate>> {
    let build = Peers::build(target)?;
    let own = [build.server("tungstenite", "", &[])?, build.server("tungstenite", ", 8 KiB", &["8192"])?];
    Ok(own.into_iter().chain(build.on_tokio()?).collect())
}

/// A TCP echo on tokio, ours on tokio, and those of others on tokio.
pub(crate) fn on_tokio(target: &Path) -> Result<Vec<Candidate>> {
    let build = Peers::build(target)?;
    let own = [("TCP echo, tokio", "tcp-echo"), ("sansocket, tokio", "sansocket-tokio")];
    let own = own.map(|(name, program)| Candidate::new(name, build.command(program)));
    Ok(own.into_iter().chain(build.on_tokio()?).collect())
}

/// What `benches/servers` has, built.
struct Peers {
    programs: PathBuf,
    versions: Value,
}

impl Peers {
    fn build(target: &Path) -> Result<Self> {
        let folder = target.join("servers");
        let build = ["build", "--release", "--locked", "--manifest-path", MANIFEST, "--target-dir"];
        process::run(process::cargo().args(build).arg(&folder))?;
        Ok(Self { programs: folder.join("release"), versions: versions()? })
    }

    fn command(&self, program: &str) -> Command {
        Command::new(self.programs.join(program))
    }

    fn server(&self, library: &str, remark: &str, arguments: &[&str]) -> Result<Candidate> {
        let packages = self.versions["packages"].as_array().context("cargo metadata names no packages")?;
        let package = packages.iter().find(|package| package["name"] == library);
        let version = package.and_then(|package| package["version"].as_str());
        let version = version.with_context(|| format!("{MANIFEST} does not depend on {library}"))?;
        let mut command = self.command(library);
        command.args(arguments);
        Ok(Candidate::new(format!("{library} {version}{remark}"), command))
    }

    fn on_tokio(&self) -> Result<[Candidate; 4]> {
        Ok([
            self.server("tokio-tungstenite", "", &[])?,
            self.server("tokio-tungstenite", ", 8 KiB", &["8192"])?,
            self.server("fastwebsockets", "", &[])?,
            self.server("tokio-websockets", "", &[])?,
        ])
    }
}

/// What Cargo knows of the others' packages.
fn versions() -> Result<Value> {
    let mut cargo = process::cargo();
    cargo.args(["metadata", "--format-version", "1", "--locked", "--manifest-path", MANIFEST]);
    let output = cargo.output().context("cannot run cargo metadata")?;
    serde_json::from_slice(&output.stdout).context("cargo metadata wrote no JSON")
}

/// Node's `ws`, which is installed if there is Node.
pub(super) fn ws(target: &Path) -> Result<Candidate> {
    let library = folder::npm(&target.join("servers/node"), &WS)?;
    let mut command = Command::new("node");
    command.env("NODE_PATH", library).arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches/servers/ws.cjs"));
    let names = WS.map(|(package, version)| format!("{package} {version}"));
    Ok(Candidate::new(names.join(" and "), command))
}
