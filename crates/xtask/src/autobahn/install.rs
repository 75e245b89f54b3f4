//! Finds the suite, or installs it under the target folder.
//!
//! It is written for Python 2.7, so that is what it runs with; where there is none, in its own container.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::suite::{Python, Suite};
use crate::folder::remove;
use crate::process;

/// The suite's version.
const VERSION: &str = "25.10.1";

/// The suite's own container.
const IMAGE: &str = "crossbario/autobahn-testsuite:25.10.1";

/// The suite, ready to run; `folder` is where it is or will be installed.
pub(super) fn find_or_install(folder: &Path) -> Result<Suite> {
    let installed = folder.join("testsuite");
    let whole = is_whole(&installed);
    let probe: &[&str] = if whole { &["-c", "pass"] } else { &["-m", "pip", "--version"] };
    let Some(python) = python(probe) else { return container() };
    if !whole {
        install(&python, folder, &installed)?;
    }
    Ok(Suite::Installed { python, folder: installed })
}

/// Whether this version of the suite is there.
fn is_whole(installed: &Path) -> bool {
    installed.join(format!("autobahntestsuite-{VERSION}.dist-info")).is_dir()
}

/// Python 2.7 on the PATH, or else the newest that pyenv has, if it can run this.
fn python(probe: &[&str]) -> Option<Python> {
    let can = |python: &Python| process::succeeds(python.command().args(probe));
    let on_path = Python { pyenv_version: None };
    if can(&on_path) {
        return Some(on_path);
    }
    let versions = Command::new("pyenv").args(["versions", "--bare"]).output().ok()?;
    let versions = String::from_utf8(versions.stdout).ok()?;
    let newest = versions.lines().map(str::trim).rfind(|version| version.starts_with("2.7."))?;
    Some(Python { pyenv_version: Some(newest.to_owned()) }).filter(can)
}

/// Installs into a folder beside it first: an install that was interrupted has not the right name.
fn install(python: &Python, folder: &Path, installed: &Path) -> Result<()> {
    let partial = folder.join("testsuite.partial");
    println!("installing Autobahn|Testsuite {VERSION} into {}", installed.display());
    remove(&partial)?;
    let package = format!("autobahntestsuite=={VERSION}");
    process::fetch(python.command().args(["-m", "pip", "install", "--quiet", "--target"]).arg(&partial).arg(package))?;
    // With `--target` nobody reads the .pth file that makes `zope` a package.
    let zope = partial.join("zope/__init__.py");
    fs::write(&zope, "").with_context(|| format!("cannot write {}", zope.display()))?;
    remove(installed)?;
    fs::rename(&partial, installed).with_context(|| format!("cannot make {}", installed.display()))
}

/// The suite in its container, fetched if need be.
fn container() -> Result<Suite> {
    if !process::succeeds(Command::new("docker").arg("info")) {
        bail!(
            "Autobahn|Testsuite needs Python 2.7 or Docker. Looked for: `python2.7` with pip on the PATH, \
             a 2.7 with pip among `pyenv versions --bare`, and a Docker for which `docker info` works \
             (to run {IMAGE})."
        );
    }
    if !process::succeeds(Command::new("docker").args(["image", "inspect", IMAGE])) {
        process::fetch(Command::new("docker").args(["pull", IMAGE]))?;
    }
    Ok(Suite::Container { image: IMAGE })
}
