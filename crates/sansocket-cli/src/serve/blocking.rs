//! `sansocket serve --backend std`: a thread for each connection.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use sansocket_std::deflate::Config;
use sansocket_std::{
    AcceptOptions, CloseCode, EndedBy, Error, Limits, OriginPolicy, Reader, SplitStream, Timeouts, TlsAcceptor,
    TlsStream, WebSocket, Writer,
};

use super::{FAREWELL, Serve};
use crate::trace::tracer;

/// How long a thread waits after an accept that has failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until it is told to stop.
pub(super) fn run(serve: &Serve, tls: Option<TlsAcceptor>) -> anyhow::Result<()> {
    let listener = TcpListener::bind(serve.bind).with_context(|| format!("cannot listen on {}", serve.bind))?;
    let address = listener.local_addr()?;
    let server = Arc::new(Server {
        origins: serve.origins.clone(),
        tls,
        trace: serve.trace,
        limits: serve.limits(),
        timeouts: serve.timeouts(),
        compression: serve.compression.config(),
        ..Server::default()
    });
    stop_on_signal(Arc::clone(&server), address)?;
    serve.say_where(address);

    for (id, stream) in (1..).zip(listener.incoming()) {
        if server.stopping.load(Ordering::SeqCst) {
            break;
        }
        match stream {
            Ok(stream) => {
                server.wait_for_less_than(serve.max_connections);
                server.threads.fetch_add(1, Ordering::SeqCst);
                let server = Arc::clone(&server);
                let thread = thread::Builder::new().spawn({
                    let server = Arc::clone(&server);
                    move || server.serve(id, stream)
                });
                if let Err(error) = thread {
                    log!("#{id} no thread: {error}");
                    server.leave();
                }
            }
            // Too many open files, say: they may be closed in a while.
            Err(error) => {
                log!("cannot accept: {error}");
                thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
    server.say_goodbye();
    Ok(())
}

/// Ctrl-C, or the end of the service: no more connections are accepted, and a Close goes to every client. A second one ends at once.
fn stop_on_signal(server: Arc<Server>, address: SocketAddr) -> anyhow::Result<()> {
    super::on_signal(move || {
        server.stopping.store(true, Ordering::SeqCst);
        // It may be waiting for a connection to end; under the lock, so that it does not miss this.
        drop(server.connections());
        server.closed.notify_all();
        // The loop above waits for a connection: it gets one.
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
            ip => ip,
        };
        drop(TcpStream::connect((ip, address.port())));
    })
}

/// What the threads of all connections share.
#[derive(Debug, Default)]
struct Server {
    origins: Vec<String>,
    tls: Option<TlsAcceptor>,
    trace: bool,
    limits: Limits,
    timeouts: Timeouts,
    compression: Option<Config>,
    stopping: AtomicBool,
    /// How many connections there are, those included that are being opened.
    threads: AtomicUsize,
    /// The connections that are open, by their numbers.
    open: Mutex<HashMap<u64, Writer<TcpStream>>>,
    closed: Condvar,
}

impl Server {
    fn wait_for_less_than(&self, most: usize) {
        let is_full = |_: &mut HashMap<u64, Writer<TcpStream>>| {
            self.threads.load(Ordering::SeqCst) >= most && !self.stopping.load(Ordering::SeqCst)
        };
        drop(self.closed.wait_while(self.connections(), is_full));
    }

    /// A connection has gone.
    fn leave(&self) {
        let open = self.connections();
        self.threads.fetch_sub(1, Ordering::SeqCst);
        drop(open);
        self.closed.notify_all();
    }

    fn serve(&self, id: u64, stream: TcpStream) {
        // Also if it panics: its place is another client's then.
        let _gone = Gone(self, id);
        self.serve_one(id, stream);
    }

    fn serve_one(&self, id: u64, stream: TcpStream) {
        let peer = stream.peer_addr().map_or_else(|_| String::from("?"), |peer| peer.to_string());
        match self.accept(id, stream) {
            Ok((reader, writer)) => {
                log!("#{id} open {peer}");
                self.connections().insert(id, writer.clone());
                if self.stopping.load(Ordering::SeqCst) {
                    let _ = writer.start_close(CloseCode::GOING_AWAY, "");
                }
                let ending = echo(reader, &writer);
                // Told first: once no connection is left, a server that is stopping is gone.
                log!("#{id} {ending}");
            }
            Err(error) => log!("#{id} {peer} {error}"),
        }
    }

    fn accept(&self, id: u64, stream: TcpStream) -> anyhow::Result<(Reader<TcpStream>, Writer<TcpStream>)> {
        let origins: Vec<&str> = self.origins.iter().map(String::as_str).collect();
        let policy = if origins.is_empty() { OriginPolicy::Any } else { OriginPolicy::Only(&origins) };
        let mut options = AcceptOptions::new().origins(policy).limits(self.limits).timeouts(self.timeouts);
        if let Some(config) = self.compression {
            options = options.compression(config);
        }
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            Some(tls) => self.split(id, options.accept(TlsStream::accept(tls, stream)?)?)?,
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

/// A connection that ends with this.
struct Gone<'s>(&'s Server, u64);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.connections().remove(&self.1);
        self.0.leave();
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
