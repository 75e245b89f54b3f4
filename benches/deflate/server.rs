//! Whole servers, over loopback: what counts is the processor time that the system has given to a server's process.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use sansocket::deflate::{Decompressor, Policy, Pool};
use sansocket::handshake::{ClientRequest, ResponseProgress, Uri};
use sansocket::{Client, Connection, Limits, Messages, RandomKeys};

use crate::Setting;
use crate::samples::Sample;
use crate::wire::Stream;

/// `ws`, as it is installed.
const WS: &str = "8.23.0";

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Each has one message under way.
const CONNECTIONS: usize = 10;

/// The servers that are measured.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// `sansocket serve`, on this backend.
    Sansocket(&'static str),
    /// Node's.
    Ws,
}

/// Builds ours and installs theirs.
pub(crate) fn prepare() {
    let mut cargo = Command::new(env!("CARGO"));
    run(cargo.args(["build", "--release", "--package", "sansocket-cli"]).current_dir(ROOT));
    let folder = format!("{ROOT}/target/benches");
    if !Path::new(&folder).join("node_modules/ws").exists() {
        fs::create_dir_all(&folder).expect("Cargo's folder can be written");
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]);
        run(npm.arg(format!("ws@{WS}")).arg("--prefix").arg(folder));
    }
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(status.success(), "{command:?} ended with {status}");
}

/// A server, which runs until this is dropped, and what is put on it.
pub(crate) struct Server<'s> {
    child: Child,
    /// `ws` ends when this is closed.
    _stdin: Option<ChildStdin>,
    sample: &'s Sample,
    frames: Vec<&'s [u8]>,
    /// The message that is next.
    position: usize,
    peers: Vec<Peer>,
}

impl<'s> Server<'s> {
    pub(crate) fn start(kind: Kind, setting: Setting, sample: &'s Sample, stream: &'s Stream) -> Self {
        let Setting { takeover, level, memory_level } = setting;
        let mut command = match kind {
            Kind::Sansocket(backend) => {
                let mut command = Command::new(format!("{ROOT}/target/release/sansocket"));
                command.args(["serve", "--bind", "127.0.0.1:0", "--backend", backend, "--deflate"]);
                command.args(["--deflate-level", &level.to_string(), "--deflate-threshold", "0"]);
                command.args(takeover.then_some("--takeover"));
                command
            }
            Kind::Ws => {
                let no_takeover = !takeover;
                let mut command = Command::new("node");
                command.env("NODE_PATH", format!("{ROOT}/target/benches/node_modules"));
                command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/deflate/ws.cjs")).arg(format!(
                    "{{\"serverNoContextTakeover\":{no_takeover},\"clientNoContextTakeover\":{no_takeover},\
                     \"threshold\":0,\"zlibDeflateOptions\":{{\"level\":{level},\"memLevel\":{memory_level}}}}}"
                ));
                command
            }
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let stdin = child.stdin.take();
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is a pipe")).read_line(&mut line).expect("a server speaks");
        let url = line.trim_end().strip_prefix("listening on ").expect("a server says where it listens");
        let peers = (0..CONNECTIONS).map(|_| Peer::open(url, takeover)).collect();
        Self { child, _stdin: stdin, sample, frames: stream.frames(), position: 0, peers }
    }

    /// Has messages echoed for some time. The processor time that the server has taken for each, in nanoseconds.
    pub(crate) fn run(&mut self, time: Duration) -> f64 {
        let before = self.processor_time();
        let end = Instant::now() + time;
        let mut count = 0;
        while Instant::now() < end {
            for peer in &mut self.peers {
                peer.stream.write_all(self.frames[self.position]).expect("the server reads");
            }
            for peer in &mut self.peers {
                peer.receive(self.sample.messages[self.position].as_bytes());
            }
            self.position = (self.position + 1) % self.frames.len();
            count += self.peers.len();
        }
        (self.processor_time() - before) as f64 / count as f64
    }

    fn processor_time(&self) -> u64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("the server runs");
        let time = |thread: fs::DirEntry| -> u64 {
            let text = fs::read_to_string(thread.path().join("schedstat")).expect("the thread is there");
            text.split(' ').next().and_then(|time| time.parse().ok()).expect("schedstat begins with the time")
        };
        threads.map(|thread| time(thread.expect("the server runs"))).sum()
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client, with the engine.
struct Peer {
    stream: TcpStream,
    connection: Connection<Client<RandomKeys>>,
    decompressor: Decompressor,
    messages: Messages,
    buffer: Vec<u8>,
    scratch: Vec<u8>,
}

impl Peer {
    fn open(url: &str, takeover: bool) -> Self {
        let uri = Uri::parse(url).expect("the server's URL is valid");
        let address = (uri.host(), uri.port()).to_socket_addrs().expect("the server has an address").next();
        let mut stream = TcpStream::connect(address.expect("the server has an address")).expect("the server listens");
        stream.set_nodelay(true).expect("a socket can be set");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket can be set");
        let policy = [if takeover { Policy::TAKEOVER } else { Policy::DEFAULT }];
        let mut request = Vec::new();
        let request_line = ClientRequest::new(&uri).compression(&policy);
        let mut handshake = request_line.start([7; 16], &mut request).expect("the request is valid");
        stream.write_all(&request).expect("the server reads");
        let mut head = Vec::new();
        let negotiated = loop {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("the server answers");
            head.push(byte[0]);
            match handshake.receive(&head) {
                ResponseProgress::Incomplete => {}
                ResponseProgress::Accepted(response) => break response.negotiated(),
                other => panic!("the server has not let us in: {other:?}"),
            }
        };
        let parameters = negotiated.compression().expect("the server compresses");
        assert_eq!((parameters.server.takeover, parameters.client.takeover), (takeover, takeover));
        Self {
            stream,
            connection: Connection::new(Client::new(RandomKeys), negotiated, Limits::DEFAULT),
            decompressor: Decompressor::new(parameters, false, &Pool::default()),
            messages: Messages::new(),
            buffer: vec![0; 64 << 10],
            scratch: vec![0; 64 << 10],
        }
    }

    /// Reads until a message is there, which has to be `expected`, and compressed.
    fn receive(&mut self, expected: &[u8]) {
        let Self { stream, connection, decompressor, messages, buffer, scratch } = self;
        let mut out = Vec::new();
        loop {
            let count = stream.read(buffer).expect("the server answers");
            assert!(count > 0, "the server has gone");
            let mut input = &mut buffer[..count];
            while let Some(event) = connection.receive(&mut input, &mut out) {
                let sansocket::Event::Compressed(mut piece) = event else { panic!("{event:?}") };
                while let Some(event) = decompressor.inflate(&mut piece, scratch, connection, &mut out) {
                    let part = event.piece().expect("the server sends what is right");
                    if part.is_last() {
                        let message = messages.finish(part).expect("there is memory");
                        assert!(message.as_bytes() == expected, "another message came back");
                        assert!(input.is_empty(), "more came back than was sent");
                        return;
                    }
                    messages.append(part).expect("there is memory");
                }
            }
        }
    }
}
