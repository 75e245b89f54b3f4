//! The command line tool `sansocket`.

mod connect;
mod serve;
mod trace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// WebSocket from the command line: a server that echoes, and a client.
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
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(serve) => serve.run().map(|()| ExitCode::SUCCESS),
        Command::Connect(connect) => connect.run(),
    };
    result.unwrap_or_else(|error| {
        eprintln!("sansocket: {error:#}");
        ExitCode::FAILURE
    })
}
