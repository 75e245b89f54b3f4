//! Finds cargo-fuzz, or installs it under the target folder, and builds the targets with it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::target::project;
use crate::{folder, process};

/// The version of cargo-fuzz.
const VERSION: &str = "0.13.2";

/// Builds the targets; the folder with their programs.
pub(super) fn build(work: &Path, build_dir: &Path, names: &[String]) -> Result<PathBuf> {
    let host = host()?;
    let installed = work.join("cargo-fuzz").join(VERSION);
    if !installed.join("bin/cargo-fuzz").is_file() {
        let mut cargo = process::cargo();
        folder::install(cargo.args(["install", "cargo-fuzz", "--locked", "--version", VERSION, "--root"]), &installed)?;
    }
    // Cargo finds its subcommands on the PATH.
    let inherited = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([installed.join("bin")].into_iter().chain(env::split_paths(&inherited)))?;
    let one = if let [name] = names { Some(name) } else { None };
    let mut cargo = nightly("cargo");
    cargo.args(["fuzz", "build", "--target", &host, "--target-dir"]).arg(build_dir).args(one);
    process::run(cargo.env("PATH", path).current_dir(project()))?;
    Ok(build_dir.join(host).join("release"))
}

/// What the nightly toolchain builds for. An error says that there is none.
fn host() -> Result<String> {
    let output = nightly("rustc").arg("-vV").output().context("cannot run rustc")?;
    ensure!(
        output.status.success(),
        "missing: fuzzing needs a nightly toolchain, and `rustc +nightly -vV` does not work here. \
         `rustup toolchain install nightly` installs it."
    );
    let said = String::from_utf8(output.stdout)?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.with_context(|| format!("rustc names no host: {said}"))?.to_owned())
}

/// A program of the nightly toolchain. The one that runs us is another one, and has left its name in `CARGO`.
fn nightly(program: &str) -> Command {
    let mut command = Command::new(program);
    command.arg("+nightly").env_remove("CARGO").env_remove("RUSTC");
    command
}
