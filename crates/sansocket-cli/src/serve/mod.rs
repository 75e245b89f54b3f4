//! `sansocket serve`: sends every message back.

#[cfg(feature = "allocations")]
mod allocations;
mod blocking;
mod event_loop;
mod tasks;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{Args, ValueEnum};
use sansocket::{Limits, Timeouts};
use sansocket_mio::TlsAcceptor;

use crate::compression::Compression;
use crate::seconds::{Seconds, seconds};

/// How long clients get to answer the server's Close.
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs a server that echoes every message, until Ctrl-C.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9001")]
    bind: SocketAddr,

    /// What the server runs on: all connections on few threads, by mio or by tokio, or a thread for each.
    #[arg(long, value_enum, default_value_t = Backend::Mio)]
    backend: Backend,

    /// Among how many threads connections are shared out: with the backend mio, each has a loop of its own; with std, each connection has one anyway.
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = threads)]
    threads: usize,

    /// Lets in pages of this origin only, such as https://example.com; may be repeated. Without it, every page may connect.
    #[arg(long = "origin", value_name = "ORIGIN")]
    origins: Vec<String>,

    /// How many connections there may be at once, shared out equally among threads. Who comes then has to wait.
    #[arg(long, value_name = "NUMBER", default_value_t = 65_536)]
    max_connections: usize,

    /// How many bytes a message may have.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::DEFAULT.message)]
    max_message: u64,

    /// After how many seconds of silence a client is asked with a ping whether it is still there; 0 for never.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    ping_interval: Seconds,

    /// After how many seconds without a message a connection is closed; 0 for never.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    idle_timeout: Seconds,

    #[command(flatten)]
    compression: Compression,

    /// Serves wss:// with this chain of certificates, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of the first certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Shows every frame on the standard error, in one line.
    #[arg(long)]
    trace: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Backend {
    Mio,
    Std,
    Tokio,
}

fn threads(text: &str) -> Result<usize, String> {
    /// More would share a core many times over.
    const MOST: usize = 1024;
    match text.parse() {
        Ok(threads @ 1..=MOST) => Ok(threads),
        _ => Err(format!("not a number of threads, from 1 to {MOST}")),
    }
}

impl Serve {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if self.backend == Backend::Std && self.threads > 1 {
            let told =
                "--threads is for the backends mio and tokio: with std, each connection has a thread of its own\n";
            clap::Error::raw(ErrorKind::ArgumentConflict, told).exit();
        }
        if self.backend == Backend::Tokio && self.trace {
            let told = "--trace is for the backends mio and std\n";
            clap::Error::raw(ErrorKind::ArgumentConflict, told).exit();
        }
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some(read_acceptor(certificate, key)?),
            _ => None,
        };
        #[cfg(feature = "allocations")]
        allocations::tell_when_asked().context("no thread")?;
        match self.backend {
            Backend::Mio => event_loop::run(&self, tls),
            Backend::Std => blocking::run(&self, tls),
            Backend::Tokio => tasks::run(&self, tls),
        }
    }

    fn limits(&self) -> Limits {
        Limits { message: self.max_message, ..Limits::DEFAULT }
    }

    fn timeouts(&self) -> Timeouts {
        Timeouts { ping: self.ping_interval.0, idle: self.idle_timeout.0, ..Timeouts::DEFAULT }
    }

    /// Tells that the server listens. Whoever has started it may be waiting for this line.
    fn say_where(&self, address: SocketAddr) {
        let scheme = if self.tls_cert.is_some() { "wss" } else { "ws" };
        println!("listening on {scheme}://{address}");
    }
}

fn read_acceptor(certificate: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let names = || format!("cannot serve with {} and {}", certificate.display(), key.display());
    TlsAcceptor::from_pem(&read(certificate)?, &read(key)?).with_context(names)
}

/// Ctrl-C, or the end of the service: calls `stop`. A second one ends at once.
fn on_signal(mut stop: impl FnMut() + Send + 'static) -> anyhow::Result<()> {
    let is_stopping = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        if is_stopping.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        stop();
    })
    .context("cannot listen for Ctrl-C")
}
