//! `sansocket bench`: what a server that echoes can do.

mod chart;
mod clients;
mod counts;
mod errors;
mod pace;
mod payload;
mod progress;
mod report;
mod tally;
mod target;
mod task;
mod timer;
mod under_way;
mod workers;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::anyhow;
use clap::error::ErrorKind;
use clap::{Args, ValueEnum};
use sansocket_mio::{ClientRequest, Kind, TlsStream, Uri};

use self::errors::Errors;
use self::pace::Pace;
use self::payload::Payload;
use self::report::Report;
use self::target::Target;
use self::task::Task;
use crate::compression::Compression;
use crate::trust::Trust;

/// The exit codes.
const EXIT_CODES: &str = "\
Exit codes:
  0  every message that was sent has come back as it was
  1  there were errors, or no connection could be opened
  2  wrong arguments";

/// Measures a server that echoes: its throughput, and how long each message takes to come back.
///
/// Each connection keeps the same number of messages on their way, the next one leaving as soon as an echo has arrived. So a server that
/// is slow gets fewer of them, and what it would have done to those is not seen. With --rate, messages are due at fixed times
/// instead, spread evenly over time and connections, and leave whether or not echoes have arrived. Every echo's kind and length are
/// verified, and the whole content of the first one on each connection.
///
/// Throughput is that of the echoes that have arrived in time. Latency is from the sending of a message to the arrival of its whole
/// echo; with --rate, it is from the moment when the message was due, so that whatever held it back can be seen. Those echoes count, too, that
/// arrive after the time, so that the slowest are not left out.
///
/// With --rate, a message that cannot leave when it is due waits: because 256 KiB wait for its connection's socket, because of
/// --in-flight, or because this program was late. Those that wait take no memory. What has not left when the time is over is never sent, and
/// counted, as is what was due on connections that are gone; where there is any of the former, true latencies are longer than those told. "Sent
/// late" says how long messages have waited. While the server keeps up, that is this program's own share of the latencies: about 0.1 ms
/// on Linux with a core to spare, a millisecond or more where timers are coarser, as on Windows.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Bench {
    /// Where to connect to: ws://host[:port]/path or wss://host[:port]/path
    #[arg(value_parser = url)]
    url: String,

    /// How many connections are opened, by all threads.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    connections: u32,

    /// Among how many threads connections are shared out, each with a loop of its own.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: u32,

    /// How many messages are due in a second, up to ten million, on all connections together. Without it, a message is due whenever an echo has arrived.
    #[arg(long, value_name = "MESSAGES_PER_SECOND", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: Option<u32>,

    /// How many messages each connection keeps on their way, 1 unless it is said; with --rate, how many it may have, any number unless it is
    /// said.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: Option<u32>,

    /// How long a message is.
    #[arg(long, value_name = "BYTES", default_value_t = 125, value_parser = clap::value_parser!(u32).range(..=1 << 30))]
    size: u32,

    /// For how long messages are sent, from the moment when all connections are open.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    duration: Duration,

    /// Sends text, not binary messages. Either is random, or something like JSON with --deflate, so that it can be compressed.
    #[arg(long)]
    text: bool,

    /// Shows a histogram of the latencies, too. JSON always has it.
    #[arg(long)]
    histogram: bool,

    /// Prints one JSON object.
    #[arg(long)]
    json: bool,

    /// When to tell, once a second, how it goes: auto is if the standard error, where it is told, is a terminal.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = When::Auto)]
    progress: When,

    #[command(flatten)]
    compression: Compression,

    #[command(flatten)]
    trust: Trust,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

fn url(text: &str) -> Result<String, String> {
    Uri::parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| String::from("not a number of seconds"))?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(Duration::ZERO) => Err(String::from("nothing can be measured in no time")),
        duration => duration.map_err(|error| error.to_string()),
    }
}

impl Bench {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        if self.threads > self.connections {
            let told = format!("{} threads cannot share {} connections\n", self.threads, self.connections);
            clap::Error::raw(ErrorKind::ArgumentConflict, told).exit();
        }
        let uri = Uri::parse(&self.url).map_err(|error| anyhow!("{error}"))?;
        let tls = uri.is_secure().then(|| self.trust.connector()).transpose()?;
        let target = Target::find(&uri)?;
        let in_flight = self.in_flight.or(self.rate.is_none().then_some(1));
        let pace = self.rate.map(|rate| Pace::new(rate, self.connections));
        let kind = if self.text { Kind::Text } else { Kind::Binary };
        let compression = self.compression.config();
        let task = Task {
            payload: Payload::new(kind, self.size as usize, self.connections as usize, compression.is_some()),
            connections: self.connections as usize,
            threads: self.threads as usize,
            pace,
            in_flight: in_flight.map_or(usize::MAX, |most| most as usize),
            duration: self.duration,
            compression,
            errors: Mutex::new(Errors::default()),
        };
        let shows_progress = match self.progress {
            When::Auto => io::stderr().is_terminal(),
            When::Always => true,
            When::Never => false,
        };
        let request = ClientRequest::new(&uri);
        let outcome = match tls {
            None => workers::run(&task, target, Target::connect, &request, shows_progress),
            Some(tls) => {
                let dial = |target: &mut Target| {
                    TlsStream::connect(&tls, target.connect()?, uri.host()).map_err(io::Error::other)
                };
                workers::run(&task, target, dial, &request, shows_progress)
            }
        }?;
        let report = Report {
            connections: self.connections,
            opened: outcome.opened,
            compressed: compression.map(|_| outcome.compressed),
            threads: self.threads,
            in_flight,
            pace,
            size: self.size,
            kind,
            opening: outcome.opening,
            elapsed: outcome.elapsed,
            counts: outcome.counts,
            errors: task.into_errors(),
            has_chart: self.histogram,
        };
        if self.json {
            println!("{}", report.to_json());
        } else {
            print!("{report}");
        }
        Ok(if report.errors.count() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
