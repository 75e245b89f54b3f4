//! `cargo xtask memory`: how much memory `sansocket serve` takes for each connection.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use anyhow::{Context, Result, ensure};
use clap::Args;
use sansocket::{Client, Connection, Event, Limits, Negotiated, RandomKeys};

use crate::cpu::open_websocket;
use crate::folder;
use crate::serve::{self, Server};

/// The sizes of the messages that each connection gets echoed, one after another.
const SIZES: [usize; 2] = [1 << 10, 1 << 20];

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// How many connections are opened. Each takes a file descriptor of this process and one of the server's.
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// What the server runs on.
    #[arg(long, default_value = "mio")]
    backend: String,
    /// Fails above so many bytes per connection.
    #[arg(long, value_name = "BYTES")]
    at_most: Option<u64>,
}

/// Measures and prints; whether it was at most what was asked for.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let target = folder::target()?;
    serve::build()?;
    let most = (options.connections + 1).to_string();
    // Deadlines are kept for every connection, but none comes while others have their turns.
    let arguments = ["--backend", &options.backend, "--max-connections", &most, "--ping-interval", "3600"];
    let server = Server::start(arguments, &target, &target.join("memory-server.log"))?;
    let resident = || resident_bytes(server.process_id());
    let fresh = resident()?;

    // What one connection takes for all of them: code that is loaded, buffers that are used for the first time.
    let mut first = Peer::connect(server.url())?;
    SIZES.iter().try_for_each(|&size| first.echo(size))?;
    let base = resident()?;
    println!("{fresh} bytes resident at the start, {base} with one connection that has echoed {SIZES:?} bytes");

    let count = options.connections;
    let mut peers = (0..count).map(|_| Peer::connect(server.url())).collect::<Result<Vec<_>>>()?;
    let mut good = true;
    let mut report = |what: &str| -> Result<()> {
        let per_connection = resident()?.saturating_sub(base) / count as u64;
        println!("{per_connection} bytes per connection {what}");
        good &= options.at_most.is_none_or(|most| per_connection <= most);
        Ok(())
    };
    report("behind the handshake")?;
    for size in SIZES {
        peers.iter_mut().try_for_each(|peer| peer.echo(size))?;
        report(&format!("once each, one after another, has got {size} bytes echoed"))?;
    }
    Ok(good)
}

/// What the system has given a process, in bytes.
fn resident_bytes(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).context("no line Rss")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().context("Rss")?;
    Ok(kilobytes * 1024)
}

/// A client that holds no buffer.
struct Peer {
    stream: TcpStream,
    engine: Connection<Client<RandomKeys>>,
}

impl Peer {
    fn connect(url: &str) -> Result<Self> {
        let stream = open_websocket(url)?;
        let engine = Connection::new(Client::new(RandomKeys), Negotiated::default(), Limits::DEFAULT);
        Ok(Self { stream, engine })
    }

    fn echo(&mut self, size: usize) -> Result<()> {
        let message = vec![b'x'; size];
        let mut out = Vec::new();
        self.engine.send_binary(&message, &mut out)?;
        let mut writer = self.stream.try_clone()?;
        // A server that has sent a lot waits for it to be read.
        thread::scope(|scope| {
            let written = scope.spawn(move || writer.write_all(&out));
            self.receive(size)?;
            written.join().expect("the writer does not panic").context("cannot write")
        })
    }

    fn receive(&mut self, size: usize) -> Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        let mut replies = Vec::new();
        let mut received = 0;
        loop {
            let count = self.stream.read(&mut buffer)?;
            ensure!(count > 0, "the server has gone");
            let mut input = &mut buffer[..count];
            while let Some(event) = self.engine.receive(&mut input, &mut replies) {
                let Event::Binary(piece) = event else { anyhow::bail!("not an echo: {event:?}") };
                received += piece.as_bytes().len();
                ensure!(piece.as_bytes().iter().all(|&byte| byte == b'x'), "not what was sent");
                if piece.is_last() {
                    ensure!(received == size, "{received} bytes of {size}");
                    return Ok(());
                }
            }
        }
    }
}
