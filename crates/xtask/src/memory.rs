//! `cargo xtask memory`: how much memory `sansocket serve` takes for each connection.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use sansocket::deflate::{Compress, Compressor, Config, Decompressor, Policy, Pool};
use sansocket::{Client, Connection, Event, Limits, RandomKeys};

use crate::cpu::{self, open_websocket};
use crate::serve::{self, Server};
use crate::{folder, report};

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
    /// Measures servers on tokio instead: a TCP echo, ours, and those of other libraries.
    #[arg(long, conflicts_with_all = ["backend", "deflate", "takeover", "at_most"])]
    tokio: bool,
    /// Writes the result into docs/performance.md.
    #[arg(long, requires = "tokio")]
    record: bool,
    /// Compresses all messages, each by itself.
    #[arg(long)]
    deflate: bool,
    /// Lets messages refer to earlier ones, in both directions.
    #[arg(long, requires = "deflate")]
    takeover: bool,
    /// Fails above so many bytes per connection.
    #[arg(long, value_name = "BYTES")]
    at_most: Option<u64>,
}

impl Options {
    /// What the connections offer, and the server accepts.
    fn policy(&self) -> Option<Policy> {
        self.deflate.then_some(if self.takeover { Policy::TAKEOVER } else { Policy::DEFAULT })
    }
}

/// Measures and prints; whether it was at most what was asked for.
pub(crate) fn run(options: &Options) -> Result<bool> {
    // A connection is an open file of ours and one of the server's, and many systems begin with a low limit.
    rlimit::increase_nofile_limit(u64::MAX).context("cannot raise the limit of open files")?;
    let target = folder::target()?;
    if options.tokio {
        return run_on_tokio(options, &target);
    }
    serve::build()?;
    let most = (options.connections + 1).to_string();
    // Deadlines are kept for every connection, but none comes while others have their turns.
    let mut arguments = vec!["--backend", &options.backend, "--max-connections", &most, "--ping-interval", "3600"];
    arguments.extend(options.deflate.then_some("--deflate"));
    arguments.extend(options.takeover.then_some("--takeover"));
    let server = Server::start(arguments, &target, &target.join("memory-server.log"))?;
    let mut good = true;
    measure(&server, options, |what, per_connection| {
        println!("{per_connection} bytes per connection {what}");
        good &= options.at_most.is_none_or(|most| per_connection <= most);
    })?;
    Ok(good)
}

/// Measures those on tokio, one after another.
fn run_on_tokio(options: &Options, target: &Path) -> Result<bool> {
    let mut header = vec![String::new()];
    let mut lines = Vec::new();
    for mut candidate in cpu::on_tokio(target)? {
        eprintln!("{}", candidate.name);
        header.truncate(1);
        let mut line = vec![candidate.name.clone()];
        let at = candidate.name.clone();
        let server = candidate.start()?;
        measure(&server, options, |what, per_connection| {
            header.push(what.to_owned());
            line.push(report::number(per_connection as f64));
        })
        .context(at)?;
        lines.push(line);
    }
    let markdown = format!(
        "{}\nBytes for each of {} connections; {}.",
        report::table(&header, &lines),
        options.connections,
        report::machine()
    );
    println!("{markdown}");
    if options.record {
        let page = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/performance.md"));
        report::replace_section(page, "memory-tokio", &markdown)?;
    }
    Ok(true)
}

/// Opens the connections, and tells again and again how much memory each of them takes.
fn measure(server: &Server, options: &Options, mut tell: impl FnMut(&str, u64)) -> Result<()> {
    let resident = || resident_bytes(server.process_id());
    let fresh = resident()?;

    // What one connection takes for all of them: code that is loaded, buffers that are used for the first time.
    let pool = Pool::default();
    let connect = || Peer::connect(server.url(), options.policy(), &pool);
    let mut first = connect()?;
    SIZES.iter().try_for_each(|&size| first.echo(size))?;
    let base = resident()?;
    eprintln!("{fresh} bytes resident at the start, {base} with one connection that has echoed {SIZES:?} bytes");

    let count = options.connections;
    let mut peers = (0..count).map(|_| connect()).collect::<Result<Vec<_>>>()?;
    let per_connection = || Ok::<_, anyhow::Error>(resident()?.saturating_sub(base) / count as u64);
    // A server on tokio may still be at work for the last of them.
    peers.last_mut().map_or(Ok(()), |peer| peer.echo(1))?;
    tell("behind the handshake", per_connection()?);
    if !options.tokio {
        for size in SIZES {
            peers.iter_mut().try_for_each(|peer| peer.echo(size))?;
            tell(&format!("after {} each", report::size(size as u64)), per_connection()?);
        }
        return Ok(());
    }
    let [short, long] = SIZES;
    peers.iter_mut().try_for_each(|peer| peer.echo(short))?;
    tell(&format!("after {} each", report::size(short as u64)), per_connection()?);
    // Some keep all that they have ever needed: of all connections together, no machine has that.
    let (before, some) = (resident()?, (count / 10).max(1));
    peers.iter_mut().take(some).try_for_each(|peer| peer.echo(long))?;
    let more = resident()?.saturating_sub(before) / some as u64;
    tell(&format!("more for each that has got {}", report::size(long as u64)), more);
    Ok(())
}

/// What the system has given a process, in bytes.
pub(crate) fn resident_bytes(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).context("no line Rss")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().context("Rss")?;
    Ok(kilobytes * 1024)
}

/// A client that holds no buffer.
struct Peer {
    stream: TcpStream,
    /// `None`: the server speaks no WebSocket.
    engine: Option<Connection<Client<RandomKeys>>>,
    /// How messages are compressed, if they are.
    codecs: Option<(Compressor, Decompressor)>,
}

impl Peer {
    fn connect(url: &str, policy: Option<Policy>, pool: &Pool) -> Result<Self> {
        if !url.starts_with("ws://") {
            return Ok(Self { stream: TcpStream::connect(url)?, engine: None, codecs: None });
        }
        let (stream, negotiated) = open_websocket(url, policy.as_slice())?;
        let codecs = negotiated.compression().map(|parameters| {
            let compressor = Compressor::new(parameters, false, &Config::DEFAULT, pool);
            (compressor, Decompressor::new(parameters, false, pool))
        });
        ensure!(codecs.is_some() == policy.is_some(), "the server does not compress");
        let engine = Some(Connection::new(Client::new(RandomKeys), negotiated, Limits::DEFAULT));
        Ok(Self { stream, engine, codecs })
    }

    fn echo(&mut self, size: usize) -> Result<()> {
        let message = vec![b'x'; size];
        let mut out = Vec::new();
        match (&mut self.engine, &mut self.codecs) {
            (Some(engine), Some((compressor, _))) => {
                compressor.send(&message[..], Compress::Always, engine, &mut out)?;
            }
            (Some(engine), None) => engine.send_binary(&message, &mut out)?,
            (None, _) => out.clone_from(&message),
        }
        let mut writer = self.stream.try_clone()?;
        // A server that has sent a lot waits for it to be read.
        thread::scope(|scope| {
            let written = scope.spawn(move || writer.write_all(&out));
            self.receive(size)?;
            written.join().expect("the writer does not panic").context("cannot write")
        })
    }

    fn receive(&mut self, size: usize) -> Result<()> {
        let Some(engine) = &mut self.engine else {
            let mut echo = vec![0; size];
            self.stream.read_exact(&mut echo)?;
            ensure!(echo.iter().all(|&byte| byte == b'x'), "not what was sent");
            return Ok(());
        };
        let mut buffer = vec![0; 64 * 1024];
        let mut scratch = vec![0; 64 * 1024];
        let mut replies = Vec::new();
        let mut echo = Echo { size, received: 0 };
        let mut is_whole = false;
        while !is_whole {
            let count = self.stream.read(&mut buffer)?;
            ensure!(count > 0, "the server has gone");
            let mut input = &mut buffer[..count];
            while let Some(event) = engine.receive(&mut input, &mut replies) {
                match (event, &mut self.codecs) {
                    (Event::Compressed(mut piece), Some((_, decompressor))) => {
                        while let Some(event) = decompressor.inflate(&mut piece, &mut scratch, engine, &mut replies) {
                            is_whole = echo.take(event)?;
                        }
                    }
                    (event, None) => is_whole = echo.take(event)?,
                    (event, Some(_)) => bail!("not compressed: {event:?}"),
                }
            }
        }
        Ok(())
    }
}

/// A message on its way back.
struct Echo {
    size: usize,
    received: usize,
}

impl Echo {
    /// Takes a piece of it; whether that is the last.
    fn take(&mut self, event: Event<'_>) -> Result<bool> {
        let Event::Binary(piece) = event else { bail!("not an echo: {event:?}") };
        self.received += piece.as_bytes().len();
        ensure!(piece.as_bytes().iter().all(|&byte| byte == b'x'), "not what was sent");
        ensure!(!piece.is_last() || self.received == self.size, "{} bytes of {}", self.received, self.size);
        Ok(piece.is_last())
    }
}
