//! The project's own chores, as `cargo xtask <chore>`.

mod autobahn;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Runs Autobahn|Testsuite against an adapter and compares the results with the expected ones.
    Autobahn(autobahn::Options),
}

fn main() -> anyhow::Result<ExitCode> {
    let as_expected = match Arguments::parse().chore {
        Chore::Autobahn(options) => autobahn::run(&options)?,
    };
    Ok(if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
