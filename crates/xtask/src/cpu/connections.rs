//! How the processor time of a message grows with the number of connections.
//!
//! The load stays the same: so many messages are on their way at a time, on the connections that have waited longest, so a wake-up of the server
//! finds as many with 10 connections as with 10,000. What the system itself takes more for sockets that it has not touched for long is what the
//! TCP echo takes more; what we add to that has a goal.

use std::path::Path;

use anyhow::{Context, Result};

use super::load::{Load, Shape};
use super::servers::{self, Candidate};
use super::turns::Turns;
use super::{Options, docs, tell};
use crate::report;

const COUNTS: [usize; 4] = [10, 100, 1_000, 10_000];

/// Messages on their way, one on a connection.
const ACTIVE: usize = 10;

/// Bytes of a message.
const SIZE: usize = 125;

/// How many times as much as with the fewest connections a message may take, the system's part left out.
const GOAL: f64 = 1.10;

/// Measures `sansocket serve` on mio and the TCP echo; whether the goal was reached.
pub(super) fn run(options: &Options, target: &Path) -> Result<bool> {
    let mut candidates = vec![servers::tcp_echo(target)?];
    candidates.extend(servers::ours(target)?.into_iter().take(1));
    let servers = candidates.iter_mut().map(Candidate::start).collect::<Result<Vec<_>>>()?;
    let turn = |index: usize| {
        let (server, connections) = (index % 2, COUNTS[index / 2]);
        let shape = Shape { connections, active: ACTIVE, size: SIZE, in_flight: 1 };
        let at = || format!("{}, {connections} connections", candidates[server].name);
        // Opened anew: all of them at once would be more open files than many systems allow.
        let mut load = Load::open(&servers[server], shape).with_context(at)?;
        load.run(options.seconds / 2).with_context(at)?;
        Ok(load.run(options.seconds).with_context(at)?.time())
    };
    let turns = Turns::take(COUNTS.len() * 2, options.rounds, turn)?;
    let markdown = format!("{}\n{}", markdown(&turns), options.how(&[]));
    if options.record {
        report::replace_section(&docs("performance.md"), "connections", &markdown)?;
    }
    Ok(tell(&markdown, &missed(&turns)))
}

/// Which of the turns were the TCP echo's, and which ours, at so many connections.
const fn indices(count: usize) -> (usize, usize) {
    (2 * count, 2 * count + 1)
}

/// How much more we take than with the fewest connections, by how much more the TCP echo takes.
fn growth(turns: &Turns, count: usize) -> f64 {
    let ((least_echo, least_ours), (echo, ours)) = (indices(0), indices(count));
    turns.median_of(|round| round(ours) / round(echo) / (round(least_ours) / round(least_echo)))
}

fn missed(turns: &Turns) -> Vec<String> {
    let growths = COUNTS.iter().enumerate().map(|(index, count)| (count, growth(turns, index)));
    let missed = growths.filter(|(_, growth)| *growth > GOAL);
    missed.map(|(count, growth)| format!("{count} connections: {growth:.3}, and the goal is {GOAL:.2}")).collect()
}

fn markdown(turns: &Turns) -> String {
    let header = [
        "connections",
        "sansocket, mio, ns",
        "TCP echo, ns",
        "ours ÷ ours with 10",
        "echo ÷ echo with 10",
        "one ÷ the other",
    ];
    let line = |index: usize| {
        let (echo, ours) = indices(index);
        vec![
            COUNTS[index].to_string(),
            report::number(turns.median(ours)),
            report::number(turns.median(echo)),
            format!("{:.2}", turns.ratio(ours, indices(0).1)),
            format!("{:.2}", turns.ratio(echo, indices(0).0)),
            format!("{:.2}", growth(turns, index)),
        ]
    };
    let lines: Vec<_> = (0..COUNTS.len()).map(line).collect();
    report::table(&header.map(str::to_owned), &lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The echo takes twice as long with 10,000 connections, ours so many times.
    fn turns(ours: f64) -> Turns {
        let times = [100.0, 110.0, 100.0, 110.0, 150.0, 165.0, 200.0, 110.0 * ours];
        Turns::take(times.len(), 1, |index| Ok(times[index])).unwrap()
    }

    #[test]
    fn growing_as_the_system_does_reaches_the_goal() {
        assert_eq!(growth(&turns(2.0), 3), 1.0);
        assert_eq!(missed(&turns(2.19)), [""; 0]);
    }

    #[test]
    fn growing_by_more_misses_it_and_is_named() {
        assert_eq!(missed(&turns(2.5)), ["10000 connections: 1.250, and the goal is 1.10"]);
    }
}
