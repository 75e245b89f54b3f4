//! `sansocket serve`: sends every message back.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use sansocket_std::{
    AcceptOptions, CloseCode, EndedBy, Error, OriginPolicy, Reader, SplitStream, TlsAcceptor, WebSocket, Writer,
};

use crate::trace::tracer;

/// How long clients get to answer the server's Close, and how long a thread waits after an accept that has failed.
const FAREWELL: Duration = Duration::from_secs(5);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Runs a server that echoes every message, until Ctrl-C.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9001")]
    bind: SocketAddr,

    /// Lets in pages of this origin only, such as https://example.com; may be repeated. Without it, every page may connect.
    #[arg(long = "origin", value_name = "ORIGIN")]
    origins: Vec<String>,

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

impl Serve {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let listener = TcpListener::bind(self.bind).with_context(|| format!("cannot listen on {}", self.bind))?;
        let address = listener.local_addr()?;
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some(read_acceptor(certificate, key)?),
            _ => None,
        };
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        let server = Arc::new(Server { origins: self.origins, tls, trace: self.trace, ..Server::default() });
        stop_on_signal(Arc::clone(&server), address)?;
        println!("listening on {scheme}://{address}");

        for (id, stream) in (1..).zip(listener.incoming()) {
            if server.stopping.load(Ordering::SeqCst) {
                break;
            }
            match stream {
                Ok(stream) => {
                    let server = Arc::clone(&server);
                    thread::Builder::new()
                        .spawn(move || server.serve(id, stream))
                        .map(drop)
                        .unwrap_or_else(|error| eprintln!("#{id} no thread: {error}"));
                }
                // Too many open files, say: they may be closed in a while.
                Err(error) => {
                    eprintln!("cannot accept: {error}");
                    thread::sleep(ACCEPT_PAUSE);
                }
            }
        }
        server.say_goodbye();
        Ok(())
    }
}

fn read_acceptor(certificate: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let names = || format!("cannot serve with {} and {}", certificate.display(), key.display());
    TlsAcceptor::from_pem(&read(certificate)?, &read(key)?).with_context(names)
}

/// Ctrl-C, or the end of the service: no more connections are accepted, and a Close goes to every client. A second one ends at once.
fn stop_on_signal(server: Arc<Server>, address: SocketAddr) -> anyhow::Result<()> {
    ctrlc::set_handler(move || {
        if server.stopping.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        // The loop above waits for a connection: it gets one.
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
            ip => ip,
        };
        drop(TcpStream::connect((ip, address.port())));
    })
    .context("cannot listen for Ctrl-C")
}

/// What the threads of all connections share.
#[derive(Debug, Default)]
struct Server {
    origins: Vec<String>,
    tls: Option<TlsAcceptor>,
    trace: bool,
    stopping: AtomicBool,
    /// The connections that are open, by their numbers.
    open: Mutex<HashMap<u64, Writer<TcpStream>>>,
    closed: Condvar,
}

impl Server {
    fn serve(&self, id: u64, stream: TcpStream) {
        let peer = stream.peer_addr().map_or_else(|_| String::from("?"), |peer| peer.to_string());
        match self.accept(id, stream) {
            Ok((reader, writer)) => {
                eprintln!("#{id} open {peer}");
                self.connections().insert(id, writer.clone());
                if self.stopping.load(Ordering::SeqCst) {
                    let _ = writer.start_close(CloseCode::GOING_AWAY, "");
                }
                let ending = echo(reader, &writer);
                // Told first: once no connection is left, a server that is stopping is gone.
                eprintln!("#{id} {ending}");
                self.connections().remove(&id);
                self.closed.notify_all();
            }
            Err(error) => eprintln!("#{id} {peer} {error}"),
        }
    }

    fn accept(&self, id: u64, stream: TcpStream) -> anyhow::Result<(Reader<TcpStream>, Writer<TcpStream>)> {
        let origins: Vec<&str> = self.origins.iter().map(String::as_str).collect();
        let policy = if origins.is_empty() { OriginPolicy::Any } else { OriginPolicy::Only(&origins) };
        let options = AcceptOptions::new().origins(policy);
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            Some(tls) => self.split(id, options.accept(tls.accept(stream)?)?)?,
            None => self.split(id, options.accept(stream)?)?,
        })
    }

    fn split<S: SplitStream<Raw = TcpStream>>(
        &self,
        id: u64,
        ws: WebSocket<S>,
    ) -> io::Result<(Reader<TcpStream>, Writer<TcpStream>)> {
        if self.trace { ws.split_traced(tracer(format!("#{id} "))) } else { ws.split() }
    }

    /// Closes every connection, and waits until all have ended, for a while.
    fn say_goodbye(&self) {
        for writer in self.connections().values() {
            let writer = writer.clone();
            // A client that does not read must not keep the others waiting.
            thread::spawn(move || writer.start_close(CloseCode::GOING_AWAY, "the server shuts down"));
        }
        drop(self.closed.wait_timeout_while(self.connections(), FAREWELL, |open| !open.is_empty()));
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<u64, Writer<TcpStream>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Echoes until the end, and says how that came.
fn echo(mut reader: Reader<TcpStream>, writer: &Writer<TcpStream>) -> String {
    let result = loop {
        match reader.read() {
            // What is queued leaves before the next read blocks: many messages, one write.
            Ok(Some(message)) => match writer.queue(message) {
                Ok(()) | Err(Error::Send(_)) => {}
                Err(error) => break Err(error),
            },
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    match (result, reader.ending().map(|ending| ending.by())) {
        (Err(error), _) => error.to_string(),
        (Ok(()), Some(EndedBy::Local)) => String::from("closed by us"),
        (Ok(()), _) => match reader.peer_close() {
            Some((Some(code), reason)) => format!("closed by the client: {code} {reason:?}"),
            _ => String::from("closed by the client: no code"),
        },
    }
}
