//! The project's own chores, as `cargo xtask <chore>`.

mod adoption;
mod autobahn;
mod bench;
mod chart;
mod chromium;
mod cpu;
mod debian;
mod folder;
mod fuzz;
mod instructions;
mod interop;
mod lines;
mod memory;
mod process;
mod proofs;
mod report;
mod rfc_map;
mod serve;
mod soak;
mod sources;
mod upgrades;

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
    /// Measures what it costs to depend on us: crates, seconds of building, bytes of program.
    Adoption(adoption::Options),
    /// Runs Autobahn|Testsuite against an adapter and compares the results with the expected ones.
    Autobahn(autobahn::Options),
    /// Measures the engine beside its peers, and tells which goals it misses.
    Bench(bench::Options),
    /// Measures the processor time that a server takes for each message, beside a TCP echo.
    Cpu(cpu::Options),
    /// Runs the fuzz targets for a while, or packs the inputs that they kept.
    Fuzz(fuzz::Options),
    /// Counts the instructions that the engine takes for a message.
    Instructions(instructions::Options),
    /// Runs our clients and our servers against other libraries, directly and through proxies, with and without TLS.
    Interop(interop::Options),
    /// Measures the memory that a server takes for each connection.
    Memory(memory::Options),
    /// Checks that the pages on security and on complaints name tests that exist.
    Proofs,
    /// Writes which test proves which requirement of the RFCs, and checks that each of them exists.
    RfcMap(rfc_map::Options),
    /// Lets thousands of connections of all kinds loose on a server, and looks whether it answers as it should and holds nothing of them.
    Soak(soak::Options),
    /// Runs our adapters to HTTP libraries against Node's `ws`, and against Chromium over HTTP/2.
    Upgrades,
}

fn main() -> anyhow::Result<ExitCode> {
    let as_expected = match Arguments::parse().chore {
        Chore::Adoption(options) => adoption::run(&options)?,
        Chore::Autobahn(options) => autobahn::run(&options)?,
        Chore::Bench(options) => bench::run(&options)?,
        Chore::Cpu(options) => cpu::run(&options)?,
        Chore::Fuzz(options) => fuzz::run(&options)?,
        Chore::Instructions(options) => instructions::run(&options)?,
        Chore::Interop(options) => interop::run(&options)?,
        Chore::Memory(options) => memory::run(&options)?,
        Chore::Proofs => proofs::run()?,
        Chore::RfcMap(options) => rfc_map::run(&options)?,
        Chore::Soak(options) => soak::run(&options)?,
        Chore::Upgrades => upgrades::run()?,
    };
    Ok(if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
