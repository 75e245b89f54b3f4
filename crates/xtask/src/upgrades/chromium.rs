//! A browser. It opens WebSockets over HTTP/2 where the page has come over a connection whose server has enabled the extended CONNECT (RFC 8441).

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};

use super::TIME_LIMIT;
use super::example::Example;
use crate::chromium;

/// What the page is to report, behind the `?` of its last request.
const REPORT: &str = "echoed=6&of=6&code=1000&wasClean=true&extension=permessage-deflate";

/// Opens the page of the server, whose script opens a WebSocket, and waits for its report.
pub(super) fn open_page(server: Example, folder: &Path) -> Result<()> {
    let page = server.url().replace("wss://", "https://") + "/";
    let _running = chromium::open(&page, folder)?;

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
