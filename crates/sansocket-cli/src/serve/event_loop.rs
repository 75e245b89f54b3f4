//! `sansocket serve --backend mio`: all connections on one thread, or shared out among several.

use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use sansocket_mio::{
    Answer, Closed, ConnectionId, Context, EndedBy, Handler, Listen, Message, OpenError, OriginPolicy, Request,
    SendError, Server, Settings, Stream, TlsAcceptor, TlsListener, TlsStream,
};
use sansocket_std::Direction;

use super::{FAREWELL, Serve};
use crate::trace::{Tracer, tracer};

/// Serves until it is told to stop.
pub(super) fn run(serve: &Serve, tls: Option<TlsAcceptor>) -> anyhow::Result<()> {
    let listeners = listen(serve.bind, serve.threads).with_context(|| format!("cannot listen on {}", serve.bind))?;
    let address = listeners[0].local_addr()?;
    let names = Names::of(serve.threads);
    match (tls, serve.trace) {
        (None, false) => run_on(serve, address, listeners, names),
        (None, true) => run_on(serve, address, Traced::listeners(listeners, &names), names),
        (Some(acceptor), trace) => {
            let listeners =
                listeners.into_iter().map(|listener| TlsListener::new(listener, acceptor.clone())).collect();
            match trace {
                false => run_on(serve, address, listeners, names),
                true => run_on(serve, address, Traced::listeners(listeners, &names), names),
            }
        }
    }
}

/// A listener for each thread, all on one address, among which the system shares out who connects (`SO_REUSEPORT`).
#[cfg(unix)]
fn listen(mut address: SocketAddr, threads: usize) -> anyhow::Result<Vec<TcpListener>> {
    use socket2::{Domain, Socket, Type};

    /// As many as mio lets wait, and the standard library.
    const BACKLOG: i32 = 1024;

    if threads == 1 {
        return Ok(vec![TcpListener::bind(address)?]);
    }
    let mut listeners = Vec::new();
    for _ in 0..threads {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into());
        // Port 0 is one that is free, and the same for all.
        address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(listeners)
}

#[cfg(not(unix))]
fn listen(address: SocketAddr, threads: usize) -> anyhow::Result<Vec<TcpListener>> {
    if threads > 1 {
        anyhow::bail!("this system does not share out connections among several threads (SO_REUSEPORT)");
    }
    Ok(vec![TcpListener::bind(address)?])
}

/// What connections are called: by their numbers, behind that of their loop if there are several.
#[derive(Clone)]
struct Names(Vec<String>);

impl Names {
    fn of(threads: usize) -> Self {
        Self(if threads == 1 { vec![String::new()] } else { (1..=threads).map(|at| format!("{at}")).collect() })
    }
}

fn run_on<L: Listen<Stream: HasPeer + Send> + Send + 'static>(
    serve: &Serve,
    address: SocketAddr,
    listeners: Vec<L>,
    names: Names,
) -> anyhow::Result<()> {
    let settings = Settings {
        limits: serve.limits(),
        timeouts: serve.timeouts(),
        compression: serve.compression.config(),
        ..Settings::DEFAULT
    };
    let most_connections = serve.max_connections.div_ceil(listeners.len());
    let mut servers = Vec::new();
    for (listener, name) in listeners.into_iter().zip(names.0) {
        let echo = Echo { name, origins: serve.origins.clone(), stream: PhantomData::<fn() -> L::Stream> };
        let mut server = Server::with_capacity(echo, settings, most_connections)?;
        server.listen(listener)?;
        servers.push(server);
    }
    stop_on_signal(&mut servers).context("cannot listen for Ctrl-C")?;
    serve.say_where(address);
    run_all(servers)
}

/// Runs each loop on a thread, the last one on this. When one fails, all end.
fn run_all<S: HasPeer + Send + 'static>(mut servers: Vec<Server<Echo<S>>>) -> anyhow::Result<()> {
    let handles: Vec<_> = servers.iter().map(Server::handle).collect();
    let run = |server: &mut Server<Echo<S>>| {
        let result = server.run();
        if result.is_err() {
            handles.iter().for_each(|handle| handle.shut_down(Duration::ZERO));
        }
        result
    };
    let Some(mut last) = servers.pop() else { return Ok(()) };
    thread::scope(|scope| {
        let threads: Vec<_> = servers.iter_mut().map(|server| scope.spawn(|| run(server))).collect();
        let result = run(&mut last);
        let results = threads.into_iter().map(|thread| thread.join().expect("a loop does not panic"));
        Ok(results.fold(result, Result::and)?)
    })
}

/// As [`on_signal`](super::on_signal), without a thread: in a process that has one only, every system call is a little cheaper.
#[cfg(unix)]
fn stop_on_signal<H: Handler + 'static>(servers: &mut [Server<H>]) -> io::Result<()> {
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::{flag, low_level::pipe};

    const SIGNALS: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];
    let is_stopping = Arc::new(AtomicBool::new(false));
    for signal in SIGNALS {
        // In this order: the first one passes here, the second one ends the process.
        flag::register_conditional_shutdown(signal, 130, Arc::clone(&is_stopping))?;
        flag::register(signal, Arc::clone(&is_stopping))?;
    }
    for server in servers {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        for signal in SIGNALS {
            pipe::register(signal, writer.try_clone()?)?;
        }
        server.watch(mio::net::UnixStream::from_std(reader), |_, _, connections| connections.shut_down(FAREWELL))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn stop_on_signal<H: Handler + 'static>(servers: &mut [Server<H>]) -> anyhow::Result<()> {
    let handles: Vec<_> = servers.iter().map(Server::handle).collect();
    super::on_signal(move || handles.iter().for_each(|handle| handle.shut_down(FAREWELL)))
}

struct Echo<S> {
    /// Its loop's, nothing if there is only one.
    name: String,
    origins: Vec<String>,
    stream: PhantomData<fn() -> S>,
}

impl<S> Echo<S> {
    /// What a connection is called.
    fn id(&self, id: ConnectionId) -> String {
        format!("{}{id}", self.name)
    }
}

impl<S: HasPeer> Handler for Echo<S> {
    type Stream = S;
    type Data = ();

    fn request(&mut self, _: &mut Context<'_, Self>, request: &Request<'_>) -> Answer {
        let origins: Vec<&str> = self.origins.iter().map(String::as_str).collect();
        let policy = if origins.is_empty() { OriginPolicy::Any } else { OriginPolicy::Only(&origins) };
        Answer::accept_from(request, policy)
    }

    fn open(&mut self, cx: &mut Context<'_, Self>) {
        log!("{} open {}", self.id(cx.id()), cx.stream().peer());
    }

    fn message(&mut self, cx: &mut Context<'_, Self>, message: Message<'_>) {
        let sent = cx.send(message);
        debug_assert!(matches!(sent, Ok(_) | Err(SendError::Closing | SendError::NoRoom)));
    }

    fn close(&mut self, cx: &mut Context<'_, Self>, closed: &Closed<'_>) {
        let id = self.id(cx.id());
        match (closed.ending.by(), closed.error) {
            (EndedBy::Local, _) => log!("{id} closed by us"),
            (EndedBy::Peer, _) if closed.ending.code() == 1005 => log!("{id} closed by the client: no code"),
            (EndedBy::Peer, _) => {
                log!("{id} closed by the client: {} {:?}", closed.ending.code(), closed.reason);
            }
            (EndedBy::Failure(error), _) => log!("{id} the peer violated the protocol: {error}"),
            (_, Some(error)) => log!("{id} {}: {error}", closed.ending),
            (_, None) => log!("{id} {}: the stream ended without a Close", closed.ending),
        }
    }

    fn not_opened(&mut self, cx: &mut Context<'_, Self>, error: OpenError) {
        log!("{} {} {error}", self.id(cx.id()), cx.stream().peer());
    }
}

/// A stream that knows who is at its other end.
trait HasPeer: Stream {
    fn peer(&self) -> String;
}

impl HasPeer for TcpStream {
    fn peer(&self) -> String {
        self.peer_addr().map_or_else(|_| String::from("?"), |peer| peer.to_string())
    }
}

impl HasPeer for TlsStream<TcpStream> {
    fn peer(&self) -> String {
        self.stream().peer()
    }
}

/// A listener or a stream whose frames are shown.
struct Traced<T, W> {
    inner: T,
    watch: W,
}

/// How many connections were accepted, and what their loop is called.
struct Accepted(u64, String);

/// Shows the frames of one connection, behind the heads of its opening handshake.
struct Watch {
    tracer: Box<dyn Tracer>,
    received: Head,
    sent: Head,
}

/// How much of the blank line that ends a head was seen.
struct Head(usize);

impl Head {
    /// What of `bytes` lies behind the head.
    fn skip<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        const END: &[u8] = b"\r\n\r\n";
        for (at, byte) in bytes.iter().enumerate() {
            if self.0 == END.len() {
                return &bytes[at..];
            }
            self.0 = if *byte == END[self.0] { self.0 + 1 } else { usize::from(*byte == END[0]) };
        }
        &[]
    }
}

impl Watch {
    fn received(&mut self, bytes: &[u8]) {
        match self.received.skip(bytes) {
            [] => {}
            frames => (self.tracer)(Direction::Received, frames),
        }
    }

    fn sent(&mut self, bytes: &[u8]) {
        match self.sent.skip(bytes) {
            [] => {}
            frames => (self.tracer)(Direction::Sent, frames),
        }
    }
}

impl<L: Listen> Traced<L, Accepted> {
    fn listeners(listeners: Vec<L>, names: &Names) -> Vec<Self> {
        let traced = |(inner, name): (L, &String)| Self { inner, watch: Accepted(0, name.clone()) };
        listeners.into_iter().zip(&names.0).map(traced).collect()
    }
}

impl<L: Listen> Listen for Traced<L, Accepted> {
    type Stream = Traced<L::Stream, Watch>;

    fn accept(&mut self) -> io::Result<Self::Stream> {
        let inner = self.inner.accept()?;
        // As the loop counts them.
        self.watch.0 += 1;
        let tracer = Box::new(tracer(format!("{}#{} ", self.watch.1, self.watch.0)));
        Ok(Traced { inner, watch: Watch { tracer, received: Head(0), sent: Head(0) } })
    }
}

impl<S: HasPeer> HasPeer for Traced<S, Watch> {
    fn peer(&self) -> String {
        self.inner.peer()
    }
}

impl<S: Read> Read for Traced<S, Watch> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.watch.received(&buffer[..count]);
        Ok(count)
    }
}

impl<S: Write> Write for Traced<S, Watch> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.watch.sent(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<S: Stream> Stream for Traced<S, Watch> {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.inner.shutdown_write()
    }

    fn is_connected(&mut self) -> io::Result<bool> {
        self.inner.is_connected()
    }

    fn short_read_is_last(&self) -> bool {
        self.inner.short_read_is_last()
    }

    fn short_write_is_last(&self) -> bool {
        // What is gathered is written slice by slice here.
        false
    }

    fn set_nodelay(&mut self) -> io::Result<()> {
        self.inner.set_nodelay()
    }
}

impl<T: Source, W> Source for Traced<T, W> {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.inner.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.inner.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.inner.deregister(registry)
    }
}
