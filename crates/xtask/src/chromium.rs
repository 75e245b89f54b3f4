//! A browser without a window.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::debian;
use crate::process::{self, Running};

/// Finds it, or installs Debian's.
pub(crate) fn find_or_install() -> Result<()> {
    debian::find_or_install("chromium", "--version", "chromium")
}

/// Opens the page. The browser's own files and its log lie in the folder.
pub(crate) fn open(page: &str, folder: &Path) -> Result<Running> {
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors", "--no-first-run"]);
    // It has no business anywhere else.
    command.args(["--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]);
    command.arg(format!("--user-data-dir={}", folder.join("chromium").display())).arg(page);
    command.stdout(Stdio::null()).stderr(process::log(&folder.join("chromium.log"))?);
    Running::start(&mut command, None)
}
