//! A page in Chromium, which plays all of its cases. They reach it over a WebSocket of its own, and so do its answers us.

use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sansocket_std::{AcceptOptions, OriginPolicy, Reader, Writer};
use serde_json::{Value, json};

use crate::chromium;
use crate::process::Running;

/// How long Chromium may take to open the page.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The page, which is open until this is dropped.
pub(crate) struct Page {
    _running: Running,
    control: Writer<TcpStream>,
    cases: Arc<Mutex<Cases>>,
}

/// The cases that were told.
#[derive(Default)]
struct Cases {
    last_id: u64,
    /// Where the lines go of those that the page plays.
    lines: HashMap<u64, Sender<String>>,
}

impl Page {
    /// Opens it, with the browser's files in the folder.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        chromium::find_or_install()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let port = listener.local_addr()?.port();
        let page = format!("file://{}?{port}", concat!(env!("CARGO_MANIFEST_DIR"), "/interop/page.html"));
        let running = chromium::open(&page, folder)?;

        let (opened, control) = mpsc::channel();
        thread::spawn(move || {
            // Whoever has waited too long is not there any more.
            let _ = opened.send(accept(&listener));
        });
        let Ok(control) = control.recv_timeout(START_LIMIT) else {
            bail!("Chromium does not open the page; see chromium.log in {}", folder.display())
        };
        let (reader, control) = control?;
        let cases = Arc::<Mutex<Cases>>::default();
        thread::spawn({
            let cases = Arc::clone(&cases);
            move || {
                let result = receive(reader, &cases);
                // Whoever waits for a line learns that none will come.
                lock(&cases).lines.clear();
                result
            }
        });
        Ok(Self { _running: running, control, cases })
    }

    /// Has it play a case; the lines that it says of it.
    pub(super) fn play(&self, told: &Value) -> Result<Receiver<String>> {
        let (line, lines) = mpsc::channel();
        let mut cases = lock(&self.cases);
        cases.last_id += 1;
        let id = cases.last_id;
        cases.lines.insert(id, line);
        drop(cases);
        self.control.send(json!({ "id": id, "told": told }).to_string().as_str())?;
        Ok(lines)
    }
}

fn accept(listener: &TcpListener) -> Result<(Reader<TcpStream>, Writer<TcpStream>)> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    // A page in a file is of no origin that could be named.
    Ok(AcceptOptions::new().origins(OriginPolicy::Any).accept(stream)?.split()?)
}

fn receive(mut control: Reader<TcpStream>, cases: &Mutex<Cases>) -> Result<()> {
    while let Some(message) = control.read()? {
        let said: Value = serde_json::from_slice(message.as_bytes())?;
        let id = said["id"].as_u64().context("the page names no case")?;
        if let Some(line) = lock(cases).lines.get(&id) {
            // Whoever has waited too long is not there any more.
            let _ = line.send(said["line"].to_string());
        }
    }
    Ok(())
}

fn lock(cases: &Mutex<Cases>) -> MutexGuard<'_, Cases> {
    cases.lock().unwrap_or_else(PoisonError::into_inner)
}
