//! Folders for what is installed and written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process;

/// Cargo's target folder of this workspace.
pub(crate) fn target() -> Result<PathBuf> {
    let metadata = process::cargo().args(["metadata", "--format-version", "1", "--no-deps"]).output();
    let metadata = metadata.context("cannot run cargo metadata")?;
    ensure!(metadata.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).context("cargo metadata wrote no JSON")?;
    let folder = metadata["target_directory"].as_str().context("cargo metadata names no target_directory")?;
    Ok(folder.into())
}

/// Makes the folder be there, with nothing in it.
pub(crate) fn empty(folder: &Path) -> Result<()> {
    remove(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// Makes the folder not be there.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

/// Runs a command that installs into a folder, its last argument. It gets one beside it first: an install that was interrupted has not
/// the right name.
pub(crate) fn install(command: &mut Command, folder: &Path) -> Result<()> {
    let partial = folder.with_extension("partial");
    println!("installing into {}", folder.display());
    empty(&partial)?;
    process::fetch(command.arg(&partial))?;
    remove(folder)?;
    fs::rename(&partial, folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// Python's packages, by names and versions, which are found or installed in the folder.
pub(crate) fn pip(folder: &Path, packages: &[(&str, &str)]) -> Result<()> {
    process::need("python3", &["--version"])?;
    let is_there = |(package, version): &(&str, &str)| folder.join(format!("{package}-{version}.dist-info")).is_dir();
    if !packages.iter().all(is_there) {
        process::need("python3", &["-m", "pip", "--version"])?;
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
        // A source of PycURL's would be built with whatever libcurl there is.
        pip.args(["--only-binary", ":all:"]).env("PIP_ROOT_USER_ACTION", "ignore");
        pip.args(packages.iter().map(|(package, version)| format!("{package}=={version}")));
        install(pip.arg("--target"), folder)?;
    }
    Ok(())
}

/// Node's packages, by names and versions, which are found or installed in the folder; where Node looks for them.
pub(crate) fn npm(folder: &Path, packages: &[(&str, &str)]) -> Result<PathBuf> {
    process::need("node", &["--version"])?;
    let library = folder.join("node_modules");
    let is_there = |&(package, version): &(&str, &str)| {
        let text = fs::read_to_string(library.join(package).join("package.json")).unwrap_or_default();
        serde_json::from_str::<Value>(&text).is_ok_and(|package| package["version"] == version)
    };
    if !packages.iter().all(is_there) {
        process::need("npm", &["--version"])?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]);
        npm.args(packages.iter().map(|(package, version)| format!("{package}@{version}")));
        install(npm.arg("--prefix"), folder)?;
    }
    Ok(library)
}
