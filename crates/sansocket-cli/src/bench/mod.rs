//! `sansocket bench`: what a server that echoes can do.

mod clients;
mod payload;
mod report;
mod tally;
mod target;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use sansocket_mio::{ClientRequest, Kind, Stream, TlsStream, Uri};

use self::clients::Clients;
use self::payload::Payload;
use self::report::Report;
use self::tally::Tally;
use self::target::Target;
use crate::trust::Trust;

/// The exit codes.
const EXIT_CODES: &str = "\
Exit codes:
  0  every message has come back as it was sent
  1  there were errors, or no connection could be opened
  2  wrong arguments";

/// Measures a server that echoes: its throughput, and how long each message takes to come back.
///
/// All connections are on one thread. Each keeps the same number of messages on their way, the next one leaving as soon as an echo has
/// arrived. Every echo's kind and length are verified, and the whole content of the first one on each connection.
///
/// Throughput is that of the echoes that have arrived in time. Latency is from the sending of a message to the arrival of its whole
/// echo; those echoes count, too, that arrive after the time, so that the slowest are not left out.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Bench {
    /// Where to connect to: ws://host[:port]/path or wss://host[:port]/path
    #[arg(value_parser = url)]
    url: String,

    /// How many connections are opened.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    connections: u32,

    /// How many messages each connection keeps on their way.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: u32,

    /// How long a message is.
    #[arg(long, value_name = "BYTES", default_value_t = 125, value_parser = clap::value_parser!(u32).range(..=1 << 30))]
    size: u32,

    /// For how long messages are sent, from the moment when all connections are open.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    duration: Duration,

    /// Sends text, not binary messages.
    #[arg(long)]
    text: bool,

    /// Prints one JSON object.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    trust: Trust,
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
        let uri = Uri::parse(&self.url).map_err(|error| anyhow!("{error}"))?;
        let tls = uri.is_secure().then(|| self.trust.connector()).transpose()?;
        let mut target = Target::find(&uri)?;
        let report = match tls {
            None => self.measure(&uri, &mut target, |target| target.connect()),
            Some(tls) => self.measure(&uri, &mut target, |target| {
                TlsStream::connect(&tls, target.connect()?, uri.host()).map_err(io::Error::other)
            }),
        }?;
        if self.json {
            println!("{}", report.to_json());
        } else {
            print!("{report}");
        }
        Ok(if report.errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn measure<S: Stream>(
        &self,
        uri: &Uri<'_>,
        target: &mut Target,
        dial: impl Fn(&mut Target) -> io::Result<S>,
    ) -> anyhow::Result<Report> {
        let kind = if self.text { Kind::Text } else { Kind::Binary };
        let payload = Payload::new(kind, self.size as usize, self.connections as usize);
        let mut clients = Clients::new(Tally::new(payload, self.in_flight as usize), self.connections as usize)?;
        let opened = clients.open(target, dial, &ClientRequest::new(uri));
        let measured = match opened {
            Ok(_) if clients.tally().open > 0 => Some(clients.measure(self.duration)?),
            _ => None,
        };
        // However it went, whoever is open gets a Close.
        clients.close()?;
        let opening = opened?;
        let tally = clients.into_tally();
        let errors = tally.errors.finish();
        let Some(elapsed) = measured else {
            bail!("there is no connection to be measured");
        };
        Ok(Report {
            connections: self.connections,
            opened: tally.opened,
            in_flight: self.in_flight,
            size: self.size,
            kind,
            opening,
            elapsed,
            messages: tally.messages,
            errors,
            latencies: tally.latencies,
        })
    }
}
