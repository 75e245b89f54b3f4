//! `cargo xtask cpu`: how much processor time an echo server takes for each message, beside a TCP echo without WebSocket.
//!
//! All get the same bytes from the same generator ([`load`]), in turns ([`turns`]). What is compared is the time that the system has given each
//! server's process ([`time`]), so it matters little what else the machine does, and how fast the generator is.

mod connections;
mod load;
mod servers;
mod system_calls;
mod table;
mod time;
mod turns;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

pub(crate) use self::load::open_websocket;
use self::load::{Load, Shape};
use self::servers::Candidate;
pub(crate) use self::servers::on_tokio;
use self::table::{Goals, Table};
use self::turns::Turns;
use crate::{folder, report};

/// What is put on each server. The goals are for `sansocket serve` on mio.
const ROWS: [Row; 6] = [
    Row { connections: 10, size: 1 << 10, in_flight: 1, goal: 1.02 },
    Row { connections: 100, size: 20, in_flight: 1, goal: 1.02 },
    Row { connections: 200, size: 16 << 10, in_flight: 1, goal: 1.03 },
    Row { connections: 500, size: 125, in_flight: 1, goal: 1.03 },
    Row { connections: 10, size: 64 << 10, in_flight: 1, goal: 0.99 },
    Row { connections: 100, size: 125, in_flight: 16, goal: 1.10 },
];

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// Measures servers of other libraries, too.
    #[arg(long, group = "what")]
    peers: bool,
    /// Measures servers on tokio beside a TCP echo on tokio instead: ours, and those of other libraries.
    #[arg(long, group = "what")]
    tokio: bool,
    /// Measures how the time grows with the number of connections instead, under the same load.
    #[arg(long, group = "what")]
    connections: bool,
    /// Counts the system calls of each server instead, those of other libraries included, with strace.
    #[arg(long, group = "what")]
    system_calls: bool,
    /// Writes the result into docs/performance.md.
    #[arg(long, requires = "what")]
    record: bool,
    /// How often each server has its turn; what counts is the median.
    #[arg(long, default_value = "31", value_parser = rounds)]
    rounds: usize,
    /// How many seconds a turn takes.
    #[arg(long, value_name = "SECONDS", default_value = "0.25", value_parser = seconds)]
    seconds: Duration,
}

fn rounds(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&rounds| rounds > 0).ok_or_else(|| "not a number of rounds".into())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| String::from("not a number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// A load, and how many times the processor time of a TCP echo a message may take.
#[derive(Clone, Copy)]
struct Row {
    connections: usize,
    /// Bytes of a message.
    size: usize,
    /// Messages, for each connection.
    in_flight: usize,
    goal: f64,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, size, in_flight, .. } = self;
        write!(f, "{connections} × {}", report::size(*size as u64))?;
        if *in_flight > 1 { write!(f, ", {in_flight} in flight") } else { Ok(()) }
    }
}

/// Measures and prints; whether all goals were reached.
pub(crate) fn run(options: &Options) -> Result<bool> {
    // A connection is an open file of ours and one of the server's, and many systems begin with a low limit.
    rlimit::increase_nofile_limit(u64::MAX).context("cannot raise the limit of open files")?;
    let target = folder::target()?;
    if options.connections {
        return connections::run(options, &target);
    }
    if options.system_calls {
        return system_calls::run(options, &target);
    }
    let (candidates, remarks, goals, section) = if options.tokio {
        (servers::on_tokio(&target)?, Vec::new(), Goals::TOKIO, "servers-tokio")
    } else {
        let (candidates, remarks) = candidates(&target, options.peers)?;
        (candidates, remarks, Goals::MIO, "servers")
    };
    let table = measure(options, candidates, goals)?;
    let markdown = format!("{}\n{}", table.markdown(), options.how(&remarks));
    if options.record {
        let mut text = markdown.clone();
        for (name, chart) in table.charts() {
            let name = format!("{section}{name}.svg");
            chart.write(&docs("performance").join(&name))?;
            text += &format!("\n\n![{}](performance/{name})", chart.title);
        }
        report::replace_section(&docs("performance.md"), section, &text)?;
    }
    Ok(tell(&markdown, &table.missed()))
}

/// Prints what was measured and the goals that were missed; whether there are none.
fn tell(markdown: &str, missed: &[String]) -> bool {
    println!("{markdown}");
    for goal in missed {
        println!("missed: {goal}");
    }
    missed.is_empty()
}

impl Options {
    /// How it was measured, for those who read the result.
    fn how(&self, remarks: &[String]) -> String {
        let Self { rounds, seconds, .. } = self;
        let mut text = format!("Medians of {rounds} turns of {} s; {}.", seconds.as_secs_f64(), report::machine());
        for remark in remarks {
            text += &format!(" {remark}.");
        }
        text
    }
}

fn docs(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")).join(path)
}

/// Those to be measured, and who is missing: the TCP echo, ours, and the others if they are wanted.
fn candidates(target: &Path, peers: bool) -> Result<(Vec<Candidate>, Vec<String>)> {
    let mut candidates = vec![servers::tcp_echo(target)?];
    candidates.extend(servers::ours(target)?);
    let mut remarks = Vec::new();
    if peers {
        candidates.extend(servers::in_rust(target)?);
        match servers::ws(target) {
            Ok(ws) => candidates.push(ws),
            Err(error) => remarks.push(format!("Node's ws was left out: {error:#}")),
        }
    }
    Ok((candidates, remarks))
}

fn measure(options: &Options, mut candidates: Vec<Candidate>, goals: Goals) -> Result<Table> {
    let mut rows = Vec::new();
    for row in ROWS {
        eprintln!("{row}");
        let Row { connections, size, in_flight, .. } = row;
        let shape = Shape { connections, active: connections, size, in_flight };
        let servers = candidates.iter_mut().map(Candidate::start).collect::<Result<Vec<_>>>()?;
        let at = |index: usize| format!("{}, {row}", candidates[index].name);
        let loads = servers.iter().enumerate();
        let loads = loads.map(|(index, server)| Load::open(server, shape).with_context(|| at(index)));
        let mut loads = loads.collect::<Result<Vec<_>>>()?;
        let turn = |index: usize| Ok(loads[index].run(options.seconds).with_context(|| at(index))?.time());
        rows.push((row, Turns::take(candidates.len(), options.rounds, turn)?));
    }
    let servers = candidates.into_iter().map(|candidate| candidate.name).collect();
    Ok(Table { servers, rows, goals })
}
