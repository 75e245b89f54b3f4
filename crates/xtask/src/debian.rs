//! Programs that Debian packages.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::process;

/// Finds the program on the PATH, or installs its package; `version` makes it say its version.
pub(crate) fn find_or_install(program: &str, version: &str, package: &str) -> Result<()> {
    let is_there = || process::succeeds(Command::new(program).arg(version));
    if is_there() {
        return Ok(());
    }
    println!("installing {package} by apt-get");
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        // Somebody else may be installing something.
        command.args(["-o", "DPkg::Lock::Timeout=300"]).args(arguments);
        process::fetch(command.env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null()))
    };
    apt_get(&["update"])
        .and_then(|()| apt_get(&["install", "--yes", "--no-install-recommends", package]))
        .with_context(|| {
            format!("{program} is needed: looked for it on the PATH, and tried to install Debian's package `{package}`")
        })?;
    ensure!(is_there(), "`{program} {version}` does not work here");
    Ok(())
}
