//! `cargo xtask cpu`: how much processor time `sansocket serve` takes for each message, beside a TCP echo without WebSocket.
//!
//! Both get the same bytes from the same generator, in turns. What is compared is the time that the system has given each server's process,
//! so it matters little what else the machine does.

use std::fs;
use std::io::{self, Read, Write};
use std::net::ToSocketAddrs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use sansocket::deflate::Policy;
use sansocket::handshake::{ClientRequest, ResponseProgress, Uri};
use sansocket::{Client, Connection, Limits, Negotiated, RandomKeys, Server as ServerRole};

use crate::folder;
use crate::process::{self, Running};
use crate::serve::{self, Server};

/// Connections, bytes of a message, messages in flight on each connection, and the ratio that is aimed at.
const LOADS: [(usize, usize, usize, f64); 6] = [
    (10, 1 << 10, 1, 1.05),
    (100, 20, 1, 1.05),
    (200, 16 << 10, 1, 1.05),
    (500, 125, 1, 1.05),
    (10, 64 << 10, 1, 1.0),
    (100, 125, 16, 1.10),
];

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// What the server runs on.
    #[arg(long, default_value = "mio")]
    backend: String,
    /// How often each load is put on each server; the ratio is the median's.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// How many seconds each time.
    #[arg(long, default_value_t = 0.5)]
    seconds: f64,
}

/// Measures and prints a table. What is aimed at is shown and not checked: a machine that does other things is no judge.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let target = folder::target()?;
    serve::build()?;
    process::run(process::cargo().args(["build", "--release", "--package", "sansocket-mio", "--example", "tcp_echo"]))?;
    println!("| connections × bytes, in flight | ns per message | TCP echo | ratio | aim |");
    println!("|---|--:|--:|--:|--:|");
    for (connections, size, in_flight, aim) in LOADS {
        let server = Server::start(["--backend", &options.backend], &target, &target.join("cpu-server.log"))?;
        let (echo, address) = start_tcp_echo(&target)?;
        let mut ours = Load::open(server.url(), true, connections, size, in_flight)?;
        let mut raw = Load::open(&address, false, connections, size, in_flight)?;
        let time = Duration::from_secs_f64(options.seconds);
        let mut rounds = Vec::new();
        // The first is for caches and windows.
        for round in 0..=options.rounds {
            let one = (ours.run(time, server.process_id())?, raw.run(time, echo.id())?);
            if round > 0 {
                rounds.push(one);
            }
        }
        let ours = median(rounds.iter().map(|round| round.0));
        let raw = median(rounds.iter().map(|round| round.1));
        let ratio = median(rounds.iter().map(|round| round.0 / round.1));
        println!("| {connections} × {size}, {in_flight} | {ours:.0} | {raw:.0} | {ratio:.3} | {aim:.2} |");
    }
    Ok(true)
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn start_tcp_echo(target: &Path) -> Result<(Running, String)> {
    let mut command = Command::new(target.join("release/examples/tcp_echo"));
    command.arg("127.0.0.1:0").stdout(Stdio::piped());
    let mut running = Running::start(&mut command, None)?;
    let line = running.lines()?.recv_timeout(Duration::from_secs(10)).context("the TCP echo does not start")?;
    let address = line.strip_prefix("listening on ").context("the TCP echo does not say where it listens")?;
    Ok((running, address.to_owned()))
}

/// The processor time that a process has had, in nanoseconds.
fn cpu_time(process: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task")).context("cannot look at a process")? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let time: u64 = text.split(' ').next().context("no time")?.parse().context("schedstat")?;
        sum += time;
    }
    Ok(sum)
}

/// Connections that send a batch of messages and, once all of it has come back, the next.
struct Load {
    poll: Poll,
    peers: Vec<Peer>,
    /// The messages of a batch, as they are sent, and how many there are.
    batch: Vec<u8>,
    in_flight: usize,
    /// What comes back of it.
    answer_len: usize,
}

struct Peer {
    stream: TcpStream,
    /// How much of the batch is sent, and of the answer received.
    sent: usize,
    received: usize,
}

impl Load {
    fn open(place: &str, is_websocket: bool, connections: usize, size: usize, in_flight: usize) -> Result<Self> {
        let message = vec![b'x'; size];
        let (mut batch, mut answer) = (Vec::new(), Vec::new());
        let mut client = Connection::new(Client::new(RandomKeys), Negotiated::default(), Limits::DEFAULT);
        let mut server = Connection::new(ServerRole, Negotiated::default(), Limits::DEFAULT);
        for _ in 0..in_flight {
            client.send_binary(&message, &mut batch)?;
            server.send_binary(&message, &mut answer)?;
        }
        let answer_len = if is_websocket { answer.len() } else { batch.len() };
        let poll = Poll::new()?;
        let mut peers = Vec::new();
        for index in 0..connections {
            let stream =
                if is_websocket { open_websocket(place, &[])?.0 } else { std::net::TcpStream::connect(place)? };
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
            peers.push(Peer { stream, sent: batch.len(), received: 0 });
        }
        Ok(Self { poll, peers, batch, in_flight, answer_len })
    }

    /// Puts the load on a server for some time. The processor time for each message, in nanoseconds.
    fn run(&mut self, time: Duration, process: u32) -> Result<f64> {
        let before = cpu_time(process)?;
        let end = Instant::now() + time;
        let mut batches = 0;
        let mut busy = 0;
        for peer in &mut self.peers {
            (peer.sent, peer.received) = (0, 0);
            peer.write(&self.batch)?;
            busy += 1;
        }
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; 256 * 1024];
        while busy > 0 {
            self.poll.poll(&mut events, Some(Duration::from_secs(10)))?;
            ensure!(!events.is_empty(), "the server does not answer");
            let goes_on = Instant::now() < end;
            for event in &events {
                let peer = &mut self.peers[event.token().0];
                peer.write(&self.batch)?;
                // Idle ones get events, too.
                if peer.received == self.answer_len || !peer.read(&mut buffer, self.answer_len)? {
                    continue;
                }
                batches += 1;
                if goes_on {
                    (peer.sent, peer.received) = (0, 0);
                    peer.write(&self.batch)?;
                } else {
                    busy -= 1;
                }
            }
        }
        let messages = batches * self.in_flight;
        Ok((cpu_time(process)? - before) as f64 / messages as f64)
    }
}

impl Peer {
    fn write(&mut self, batch: &[u8]) -> Result<()> {
        while self.sent < batch.len() {
            match self.stream.write(&batch[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Whether the answer is whole.
    fn read(&mut self, buffer: &mut [u8], answer_len: usize) -> Result<bool> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => anyhow::bail!("the server has closed a connection"),
                Ok(count) => self.received += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
            // Fragments have headers of their own.
            if self.received >= answer_len {
                self.received = answer_len;
                return Ok(true);
            }
        }
    }
}

/// Performs the opening handshake, and offers compression by these policies.
pub(crate) fn open_websocket(url: &str, compression: &[Policy]) -> Result<(std::net::TcpStream, Negotiated)> {
    let uri = Uri::parse(url)?;
    let address = (uri.host(), uri.port()).to_socket_addrs()?.next().context("no address")?;
    let mut stream = std::net::TcpStream::connect(address)?;
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
            other => anyhow::bail!("the server has not let us in: {other:?}"),
        }
    }
}
