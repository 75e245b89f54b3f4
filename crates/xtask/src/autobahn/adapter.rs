//! What the suite is run against: an adapter's server, in `sansocket serve`, and its client, in this process.

use std::fs::File;
use std::io::Write;
use std::net::ToSocketAddrs;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use mio::net::TcpStream;
use sansocket_mio::{ClientRequest, Closed, Handler, Message, OpenError, OwnedMessage, Server, Settings, Uri};
use sansocket_std::ConnectOptions;
use sansocket_std::deflate::Config;

use super::cases::{ALL_CASES, WITHOUT_COMPRESSION};
use crate::process;

/// A way to use the engine, and how to test it.
#[derive(Debug)]
pub(super) struct Adapter {
    /// In our arguments and folders.
    pub(super) name: &'static str,
    /// In the suite's reports.
    pub(super) agent: &'static str,
    /// What `sansocket serve` is told besides the address.
    pub(super) serve: &'static [&'static str],
    /// The cases to run where nothing else is said.
    pub(super) cases: &'static str,
    client: Client,
}

/// Connects to the URL, gives each message to the function and sends back what it returns, until the connection ends.
type Client = fn(url: &str, answer: &mut dyn FnMut(OwnedMessage) -> Option<OwnedMessage>) -> Result<()>;

/// Those there are.
const ADAPTERS: &[Adapter] = &[
    Adapter {
        name: "std",
        agent: "sansocket-std",
        serve: &["--backend", "std", "--deflate"],
        cases: WITHOUT_COMPRESSION,
        client: std_client,
    },
    Adapter {
        name: "mio",
        agent: "sansocket-mio",
        serve: &["--backend", "mio", "--deflate"],
        cases: ALL_CASES,
        client: mio_client,
    },
    Adapter {
        name: "tokio",
        agent: "sansocket-tokio",
        serve: &["--backend", "tokio", "--deflate"],
        cases: WITHOUT_COMPRESSION,
        client: tokio_client,
    },
];

impl Adapter {
    /// The adapter of this name.
    pub(super) fn named(name: &str) -> Result<&'static Self> {
        let found = ADAPTERS.iter().find(|adapter| adapter.name == name);
        found.with_context(|| {
            let names: Vec<_> = ADAPTERS.iter().map(|adapter| adapter.name).collect();
            format!("there is: {}", names.join(", "))
        })
    }
}

/// Runs the client through all cases of a fuzzing server, with its log in the folder.
///
/// The client works in a thread of its own, because nothing else would stop it at the deadline.
pub(super) fn drive_client(adapter: &'static Adapter, url: String, folder: &Path, deadline: Instant) -> Result<()> {
    let log = process::log(&folder.join("client.log"))?;
    let (done, received) = mpsc::channel();
    thread::spawn(move || done.send(run_all_cases(adapter, &url, log)));
    match received.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => bail!("the cases have not ended within their time limit"),
        Err(mpsc::RecvTimeoutError::Disconnected) => bail!("our client panicked"),
    }
}

fn run_all_cases(adapter: &Adapter, url: &str, mut log: File) -> Result<()> {
    let mut count = None;
    (adapter.client)(&format!("{url}/getCaseCount"), &mut |message| {
        count = Some(message);
        None
    })
    .context("getCaseCount")?;
    let count: u32 = match count {
        Some(OwnedMessage::Text(count)) => count.parse().context("getCaseCount")?,
        other => bail!("getCaseCount gave {other:?}"),
    };
    let agent = adapter.agent;
    for case in 1..=count {
        // Most violations are errors here, and the suite judges them. Only who looks for a reason needs them.
        if let Err(error) = (adapter.client)(&format!("{url}/runCase?case={case}&agent={agent}"), &mut Some) {
            writeln!(log, "runCase {case}: {error:#}").context("cannot write client.log")?;
        }
    }
    (adapter.client)(&format!("{url}/updateReports?agent={agent}"), &mut |_| None).context("updateReports")
}

/// The client of `sansocket-std`.
fn std_client(url: &str, answer: &mut dyn FnMut(OwnedMessage) -> Option<OwnedMessage>) -> Result<()> {
    let mut ws = ConnectOptions::new().compression(Config::DEFAULT).connect(url)?;
    while let Some(message) = ws.read_owned()? {
        if let Some(message) = answer(message) {
            ws.queue(&message)?;
        }
    }
    Ok(())
}

/// The client of `sansocket-mio`.
fn mio_client(url: &str, answer: &mut dyn FnMut(OwnedMessage) -> Option<OwnedMessage>) -> Result<()> {
    let uri = Uri::parse(url)?;
    let address = (uri.host(), uri.port()).to_socket_addrs()?.next().context("the host has no address")?;
    let stream = TcpStream::connect(address)?;
    let settings = Settings { compression: Some(Config::DEFAULT), ..Settings::default() };
    let mut server = Server::with_capacity(MioClient { answer, result: None }, settings, 1)?;
    server.connections().connect(stream, &ClientRequest::new(&uri))?;
    while !server.connections().is_empty() {
        server.run_once(None)?;
    }
    server.handler().result.take().context("the connection was not opened")?
}

/// The client of `sansocket-tokio`.
fn tokio_client(url: &str, answer: &mut dyn FnMut(OwnedMessage) -> Option<OwnedMessage>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let options = sansocket_tokio::ConnectOptions::new().compression(Config::DEFAULT);
        let mut ws = options.connect(url).await?;
        while let Some(message) = ws.read_owned().await? {
            if let Some(message) = answer(message) {
                ws.queue(&message).await?;
            }
        }
        Ok(())
    })
}

/// The one connection of a loop.
struct MioClient<'a> {
    answer: &'a mut dyn FnMut(OwnedMessage) -> Option<OwnedMessage>,
    result: Option<Result<()>>,
}

impl Handler for MioClient<'_> {
    type Stream = TcpStream;
    type Data = ();

    fn message(&mut self, cx: &mut sansocket_mio::Context<'_, Self>, message: Message<'_>) {
        if let Some(message) = (self.answer)(message.to_owned()) {
            let _ = cx.send(&message);
        }
    }

    fn close(&mut self, _: &mut sansocket_mio::Context<'_, Self>, closed: &Closed<'_>) {
        self.result = Some(if closed.ending.is_clean() { Ok(()) } else { Err(anyhow!("{}", closed.ending)) });
    }

    fn not_opened(&mut self, _: &mut sansocket_mio::Context<'_, Self>, error: OpenError) {
        self.result = Some(Err(anyhow!("{error}")));
    }
}
