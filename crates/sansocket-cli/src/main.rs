//! The command line tool `sansocket`.

/// Writes a line to the standard error. That nobody reads it any more, or that a disk is full, is no reason to serve nobody any more: `eprintln!` panics
/// then.
macro_rules! log {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($line)*);
    }};
}

mod bench;
mod compression;
mod connect;
mod seconds;
mod serve;
mod trace;
mod trust;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// WebSocket from the command line: a server that echoes, a client, and a measurement of servers.
#[derive(Debug, Parser)]
#[command(name = "sansocket", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Connect(connect::Connect),
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(serve) => serve.run().map(|()| ExitCode::SUCCESS),
        Command::Connect(connect) => connect.run(),
        Command::Bench(bench) => bench.run(),
    };
    result.unwrap_or_else(|error| {
        eprintln!("sansocket: {error:#}");
        ExitCode::FAILURE
    })
}
