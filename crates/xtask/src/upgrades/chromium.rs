//! A browser. It opens WebSockets over HTTP/2 where the page has come over a connection whose server has enabled the extended CONNECT (RFC 8441).

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::TIME_LIMIT;
use super::example::Example;
use crate::process::{self, Running};

/// What the page is to report, behind the `?` of its last request.
const REPORT: &str = "echoed=6&of=6&code=1000&wasClean=true&extension=permessage-deflate";

/// Finds Chromium on the PATH, or installs Debian's.
pub(super) fn find_or_install() -> Result<()> {
    let is_there = || process::succeeds(Command::new("chromium").arg("--version"));
    if is_there() {
        return Ok(());
    }
    println!("installing chromium by apt-get");
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        process::run(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null()))
    };
    apt_get(&["update"])
        .and_then(|()| apt_get(&["install", "--yes", "--no-install-recommends", "chromium"]))
        .context("Chromium is needed: looked for `chromium` on the PATH, and tried to install Debian's package")?;
    ensure!(is_there(), "`chromium --version` does not work here");
    Ok(())
}

/// Opens the page of the server, whose script opens a WebSocket, and waits for its report.
pub(super) fn open_page(server: Example, folder: &Path) -> Result<()> {
    let page = server.url().replace("wss://", "https://") + "/";
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors", "--no-first-run"]);
    // It has no business anywhere else.
    command.args(["--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]);
    command.arg(format!("--user-data-dir={}", folder.join("chromium").display())).arg(&page);
    command.stdout(Stdio::null()).stderr(process::log(&folder.join("chromium.log"))?);
    let _running = Running::start(&mut command, None)?;

    let deadline = Instant::now() + TIME_LIMIT;
    let mut connected = false;
    loop {
        let line = server.line(deadline)?;
        // With a path: an ordinary CONNECT has none.
        connected |= line == format!("CONNECT {page}");
        if let Some(report) = line.strip_prefix(&format!("GET {page}report?")) {
            ensure!(connected, "the page has reported, but the server has seen no extended CONNECT");
            ensure!(report == REPORT, "the page reported {report} instead of {REPORT}");
            return Ok(());
        }
    }
}
