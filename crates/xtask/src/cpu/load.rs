//! The load: connections that send a batch of messages and have it back before they send the next.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{self, ToSocketAddrs};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use sansocket::deflate::Policy;
use sansocket::handshake::{ClientRequest, ResponseProgress, Uri};
use sansocket::{Client, Connection, Event, Limits, Negotiated, RandomKeys};

use super::time::Times;
use crate::serve::Server;

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is put on a server.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) connections: usize,
    /// How many of them wait for an answer at a time, each in its turn.
    pub(super) active: usize,
    /// Bytes of a message.
    pub(super) size: usize,
    /// How many messages such a connection sends at once.
    pub(super) in_flight: usize,
}

/// What came of a load.
pub(super) struct Run {
    /// The processor time that the server had.
    nanoseconds: u64,
    /// How many it has sent back.
    pub(super) messages: usize,
}

impl Run {
    /// Nanoseconds for each message.
    pub(super) fn time(&self) -> f64 {
        self.nanoseconds as f64 / self.messages as f64
    }
}

/// Connections to a server.
pub(super) struct Load {
    shape: Shape,
    process: u32,
    poll: Poll,
    peers: Vec<Peer>,
    /// The peers that have everything back; who has waited longest comes first.
    idle: VecDeque<usize>,
    /// What a connection sends.
    batch: Vec<u8>,
    /// What one read of any of them gives.
    buffer: Vec<u8>,
}

impl Load {
    /// Opens the connections, and has each get its first batch back, which is compared with what was sent.
    pub(super) fn open(server: &Server, shape: Shape) -> Result<Self> {
        let message: Vec<u8> = (0..shape.size).map(|at| (at % 251) as u8).collect();
        let mut batch = Vec::new();
        let mut client = Connection::new(Client::new(RandomKeys), Negotiated::default(), Limits::DEFAULT);
        for _ in 0..shape.in_flight {
            client.send_binary(&message, &mut batch)?;
        }
        let is_websocket = server.url().starts_with("ws://");
        let expected = if is_websocket { message.repeat(shape.in_flight) } else { batch.clone() };

        let poll = Poll::new()?;
        let mut buffer = vec![0; 256 * 1024];
        let mut peers = Vec::new();
        for index in 0..shape.connections {
            let (stream, mut answer) = if is_websocket {
                (open_websocket(server.url(), &[])?.0, Answer::websocket(shape))
            } else {
                (net::TcpStream::connect(server.url())?, Answer::raw(batch.len()))
            };
            stream.set_nodelay(true)?;
            check(&stream, &mut answer, &batch, &expected, &mut buffer)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
            peers.push(Peer { stream, answer, unsent: 0 });
        }
        let idle = (0..shape.connections).collect();
        Ok(Self { shape, process: server.process_id(), poll, peers, idle, batch, buffer })
    }

    /// Puts the load on the server for some time.
    pub(super) fn run(&mut self, time: Duration) -> Result<Run> {
        let before = Times::of(self.process)?;
        let end = Instant::now() + time;
        let mut batches = 0;
        for _ in 0..self.shape.active {
            self.send_next()?;
        }
        let mut events = Events::with_capacity(1024);
        while self.idle.len() < self.peers.len() {
            self.poll.poll(&mut events, Some(PATIENCE))?;
            ensure!(!events.is_empty(), "the server does not answer");
            let goes_on = Instant::now() < end;
            for event in &events {
                let Token(index) = event.token();
                let peer = &mut self.peers[index];
                peer.write(&self.batch)?;
                // Idle ones get events, too.
                if peer.answer.is_whole() || !peer.read(&mut self.buffer)? {
                    continue;
                }
                batches += 1;
                self.idle.push_back(index);
                if goes_on {
                    self.send_next()?;
                }
            }
        }
        let nanoseconds = Times::of(self.process)?.since(&before)?;
        Ok(Run { nanoseconds, messages: batches * self.shape.in_flight })
    }

    fn send_next(&mut self) -> Result<()> {
        let index = self.idle.pop_front().context("more connections are to be active than there are")?;
        let peer = &mut self.peers[index];
        peer.unsent = self.batch.len();
        peer.answer.expect_next();
        peer.write(&self.batch)
    }
}

/// Has the first batch of a connection, which still blocks, sent back.
fn check(
    mut stream: &net::TcpStream,
    answer: &mut Answer,
    batch: &[u8],
    expected: &[u8],
    buffer: &mut [u8],
) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    answer.expect_next();
    stream.write_all(batch)?;
    let mut received = Vec::new();
    while !answer.is_whole() {
        let count = stream.read(buffer).context("the server does not answer")?;
        ensure!(count > 0, "the server has closed a connection");
        answer.receive(&mut buffer[..count], |bytes| received.extend_from_slice(bytes))?;
    }
    ensure!(received == expected, "the server has sent back something else");
    Ok(())
}

/// A connection.
struct Peer {
    stream: TcpStream,
    answer: Answer,
    /// How many bytes of the batch the socket has not taken.
    unsent: usize,
}

impl Peer {
    fn write(&mut self, batch: &[u8]) -> Result<()> {
        while self.unsent > 0 {
            match self.stream.write(&batch[batch.len() - self.unsent..]) {
                Ok(count) => self.unsent -= count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Whether the answer is whole now.
    fn read(&mut self, buffer: &mut [u8]) -> Result<bool> {
        while !self.answer.is_whole() {
            match self.stream.read(buffer) {
                Ok(0) => bail!("the server has closed a connection"),
                Ok(count) => self.answer.receive(&mut buffer[..count], |_| {})?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}

/// What comes back of a batch, held against what has to.
struct Answer {
    /// None: the bytes themselves are echoed.
    engine: Option<Connection<Client<RandomKeys>>>,
    progress: Progress,
}

impl Answer {
    fn websocket(Shape { size, in_flight: messages, .. }: Shape) -> Self {
        let engine = Connection::new(Client::new(RandomKeys), Negotiated::default(), Limits::DEFAULT);
        Self { engine: Some(engine), progress: Progress { size, messages, missing: 0, received: 0 } }
    }

    /// All bytes are one message.
    fn raw(size: usize) -> Self {
        Self { engine: None, progress: Progress { size, messages: 1, missing: 0, received: 0 } }
    }

    fn expect_next(&mut self) {
        self.progress.missing = self.progress.messages;
    }

    fn is_whole(&self) -> bool {
        self.progress.missing == 0
    }

    /// Takes what was read, and shows the payload of it.
    fn receive(&mut self, mut input: &mut [u8], mut show: impl FnMut(&[u8])) -> Result<()> {
        let Some(engine) = &mut self.engine else {
            show(input);
            let is_last = self.progress.received + input.len() >= self.progress.size;
            return self.progress.take(input.len(), is_last);
        };
        let mut replies = Vec::new();
        while let Some(event) = engine.receive(&mut input, &mut replies) {
            let Event::Binary(piece) = event else { bail!("the server has sent {event:?}") };
            show(piece.as_bytes());
            self.progress.take(piece.as_bytes().len(), piece.is_last())?;
        }
        Ok(())
    }
}

/// How much of an answer is there.
struct Progress {
    /// The length of a message, and how many a batch has.
    size: usize,
    messages: usize,
    /// How many messages are to come, and how many bytes of the first of them are there.
    missing: usize,
    received: usize,
}

impl Progress {
    fn take(&mut self, count: usize, is_last: bool) -> Result<()> {
        ensure!(self.missing > 0, "the server has sent more than it got");
        self.received += count;
        if is_last {
            ensure!(self.received == self.size, "{} bytes came back of a message of {}", self.received, self.size);
            self.received = 0;
            self.missing -= 1;
        }
        Ok(())
    }
}

/// Performs the opening handshake, and offers compression by these policies.
pub(crate) fn open_websocket(url: &str, compression: &[Policy]) -> Result<(net::TcpStream, Negotiated)> {
    let uri = Uri::parse(url)?;
    let address = (uri.host(), uri.port()).to_socket_addrs()?.next().context("no address")?;
    let mut stream = net::TcpStream::connect(address)?;
    let mut request = Vec::new();
    let mut handshake = ClientRequest::new(&uri).compression(compression).start([7; 16], &mut request)?;
    stream.write_all(&request)?;
    let mut head = Vec::new();
    let mut chunk = [0; 512];
    loop {
        let count = stream.read(&mut chunk)?;
        ensure!(count > 0, "the server has gone");
        head.extend_from_slice(&chunk[..count]);
        match handshake.receive(&head) {
            ResponseProgress::Incomplete => {}
            ResponseProgress::Accepted(response) => return Ok((stream, response.negotiated())),
            other => bail!("the server has not let us in: {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use sansocket::Server as ServerRole;

    use super::*;

    const SHAPE: Shape = Shape { connections: 1, active: 1, size: 5, in_flight: 2 };

    fn framed(messages: &[&[u8]]) -> Vec<u8> {
        let mut server = Connection::new(ServerRole, Negotiated::default(), Limits::DEFAULT);
        let mut out = Vec::new();
        for message in messages {
            server.send_binary(message, &mut out).unwrap();
        }
        out
    }

    fn error(answer: &mut Answer, bytes: &mut [u8]) -> String {
        answer.receive(bytes, |_| {}).unwrap_err().to_string()
    }

    #[test]
    fn an_answer_is_whole_when_all_messages_are_there_however_they_are_cut() {
        let mut bytes = framed(&[b"hello", b"world"]);
        let mut answer = Answer::websocket(SHAPE);
        answer.expect_next();
        let mut payload = Vec::new();
        for byte in bytes.chunks_mut(1) {
            assert!(!answer.is_whole());
            answer.receive(byte, |bytes| payload.extend_from_slice(bytes)).unwrap();
        }
        assert!(answer.is_whole());
        assert_eq!(payload, b"helloworld");
    }

    #[test]
    fn a_message_of_another_length_is_an_error() {
        for wrong in [&b"hell"[..], b"hello!"] {
            let mut answer = Answer::websocket(SHAPE);
            answer.expect_next();
            let error = error(&mut answer, &mut framed(&[wrong]));
            assert!(error.ends_with("came back of a message of 5"), "{error}");
        }
    }

    #[test]
    fn more_than_was_sent_is_an_error() {
        let mut answer = Answer::websocket(SHAPE);
        answer.expect_next();
        let error = error(&mut answer, &mut framed(&[b"hello", b"world", b"again"]));
        assert_eq!(error, "the server has sent more than it got");
    }

    #[test]
    fn what_is_not_binary_is_an_error() {
        let mut answer = Answer::websocket(SHAPE);
        answer.expect_next();
        let error = error(&mut answer, &mut [0x81, 5, b'h', b'e', b'l', b'l', b'o']);
        assert!(error.starts_with("the server has sent Text"), "{error}");
    }

    #[test]
    fn plain_bytes_are_counted() {
        let mut answer = Answer::raw(5);
        answer.expect_next();
        answer.receive(&mut [0; 4], |_| {}).unwrap();
        assert!(!answer.is_whole());
        answer.receive(&mut [0; 1], |_| {}).unwrap();
        assert!(answer.is_whole());
        answer.expect_next();
        assert_eq!(error(&mut answer, &mut [0; 6]), "6 bytes came back of a message of 5");
    }
}
