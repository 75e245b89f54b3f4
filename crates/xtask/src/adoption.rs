//! `cargo xtask adoption`: what it costs to depend on us, in crates, seconds of building and bytes of program, beside others.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use sansocket_std::Message;

use crate::folder;
use crate::process::{self, Running};
use crate::report;

/// The echo servers' own workspace, from the project's root.
const MANIFEST: &str = "benches/adoption/Cargo.toml";

/// What is compared, by the names of the packages behind `adoption-`; ours is the first.
const CONTESTANTS: [Contestant; 4] = [
    Contestant { name: "sansocket", crates: &["sansocket", "sansocket-std"], speaks: Protocol::WebSocket },
    Contestant { name: "tungstenite", crates: &["tungstenite"], speaks: Protocol::WebSocket },
    Contestant { name: "fastwebsockets", crates: &["fastwebsockets", "hyper", "tokio"], speaks: Protocol::WebSocket },
    Contestant { name: "floor", crates: &[], speaks: Protocol::Tcp },
];

/// What ours may have at most: crates, time for a clean build, bytes of the program.
const GOALS: Costs = Costs { crates: 18, build: Duration::from_secs(4), program: 450_000 };

/// How long a server may take to listen.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How to measure, and what to do with it.
#[derive(Args)]
pub(crate) struct Options {
    /// How often each is built from nothing.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Writes the table into docs/performance.md.
    #[arg(long)]
    record: bool,
}

/// An echo server.
struct Contestant {
    name: &'static str,
    /// Which crates of its tree are named with their versions.
    crates: &'static [&'static str],
    speaks: Protocol,
}

enum Protocol {
    Tcp,
    WebSocket,
}

/// What it costs.
struct Costs {
    /// In the tree, the server itself left out.
    crates: usize,
    /// The median.
    build: Duration,
    /// Bytes.
    program: u64,
}

/// Measures, prints and records; whether ours is as cheap as it is to be.
pub(crate) fn run(options: &Options) -> Result<bool> {
    process::run(&mut on_echo_servers("fetch"))?;
    let target = folder::target()?.join("adoption");
    let trees = CONTESTANTS.iter().map(Contestant::tree).collect::<Result<Vec<_>>>()?;
    let programs = CONTESTANTS.iter().map(|it| it.program(&target)).collect::<Result<Vec<_>>>()?;
    let mut builds = [const { Vec::new() }; CONTESTANTS.len()];
    for _ in 0..options.rounds {
        for (contestant, builds) in CONTESTANTS.iter().zip(&mut builds) {
            builds.push(contestant.build(&target)?);
        }
    }
    let costs = trees.iter().zip(builds).zip(programs).map(|((tree, builds), program)| Costs {
        crates: tree.len() - 1,
        build: median(builds),
        program,
    });
    let costs: Vec<_> = costs.collect();
    let names = CONTESTANTS.iter().zip(&trees).map(|(contestant, tree)| contestant.title(tree));
    let table = table(&names.zip(&costs).collect::<Vec<_>>());
    let machine = report::machine();
    println!("{machine}\n\n{table}");
    let missed = costs[0].missed(&GOALS);
    for line in &missed {
        println!("missed: {line}");
    }
    if options.record {
        let page = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/performance.md"));
        let rounds = options.rounds;
        report::replace_section(page, "adoption", &format!("{machine}. Builds: median of {rounds}.\n\n{table}"))?;
    }
    Ok(missed.is_empty())
}

/// Cargo, with what it is to do with the echo servers.
fn on_echo_servers(command: &str) -> Command {
    let mut cargo = process::cargo();
    cargo.args([command, "--manifest-path", MANIFEST]);
    cargo
}

impl Contestant {
    fn package(&self) -> String {
        format!("adoption-{}", self.name)
    }

    /// Names and versions of all crates that are built for it, its own among them.
    fn tree(&self) -> Result<BTreeSet<String>> {
        let mut cargo = on_echo_servers("tree");
        cargo.args(["--package", &self.package(), "--edges", "normal,build", "--prefix", "none"]);
        let output = cargo.output().context("cannot run cargo tree")?;
        ensure!(output.status.success(), "cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(distinct(&String::from_utf8(output.stdout)?))
    }

    fn title(&self, tree: &BTreeSet<String>) -> String {
        let is_named = |it: &&String| it.split(' ').next().is_some_and(|name| self.crates.contains(&name));
        match tree.iter().filter(is_named).map(String::as_str).collect::<Vec<_>>() {
            named if named.is_empty() => "TCP, the standard library alone".to_owned(),
            named => named.join(", "),
        }
    }

    /// Builds a small program, looks whether it works, and gives its size in bytes.
    fn program(&self, target: &Path) -> Result<u64> {
        let package = self.package();
        let mut cargo = on_echo_servers("build");
        cargo.args(["--package", &package, "--profile", "small", "--target-dir"]).arg(target);
        process::run(&mut cargo)?;
        let path = target.join("small").join(&package);
        self.check(&path).with_context(|| format!("{package} does not echo"))?;
        Ok(path.metadata().with_context(|| format!("cannot look at {}", path.display()))?.len())
    }

    fn check(&self, program: &Path) -> Result<()> {
        let mut server = Running::start(Command::new(program).stdout(Stdio::piped()), None)?;
        let address = server.lines()?.recv_timeout(START_LIMIT).context("it does not say where it listens")?;
        match self.speaks {
            Protocol::Tcp => {
                let mut stream = TcpStream::connect(address)?;
                stream.write_all(b"hello")?;
                let mut echo = [0; 5];
                stream.read_exact(&mut echo)?;
                ensure!(echo == *b"hello", "it has sent {echo:?}");
            }
            Protocol::WebSocket => {
                let mut socket = sansocket_std::connect(&format!("ws://{address}/"))?;
                socket.send("hello")?;
                let echo = socket.read()?;
                ensure!(echo == Some(Message::Text("hello")), "it has sent {echo:?}");
            }
        }
        Ok(())
    }

    /// How long a build takes for which nothing is there but the sources.
    fn build(&self, target: &Path) -> Result<Duration> {
        let clean = target.join("clean");
        folder::remove(&clean)?;
        let mut cargo = on_echo_servers("build");
        cargo.args(["--offline", "--quiet", "--release", "--package", &self.package(), "--target-dir"]).arg(&clean);
        let start = Instant::now();
        process::run(&mut cargo)?;
        let taken = start.elapsed();
        folder::remove(&clean)?;
        Ok(taken)
    }
}

impl Costs {
    /// Which goals are missed, a line each.
    fn missed(&self, goals: &Self) -> Vec<String> {
        let [seconds, goal] = [self, goals].map(|it| it.build.as_secs_f64());
        let lines = [
            (self.crates > goals.crates).then(|| format!("{} crates, wanted are {}", self.crates, goals.crates)),
            (seconds > goal).then(|| format!("a clean build takes {seconds:.1} s, wanted are {goal:.1}")),
            (self.program > goals.program).then(|| {
                format!("the program has {} kB, wanted are {}", kilobytes(self.program), kilobytes(goals.program))
            }),
        ];
        lines.into_iter().flatten().collect()
    }
}

/// The lines of `cargo tree` without repetitions.
fn distinct(tree: &str) -> BTreeSet<String> {
    let crates = tree.lines().filter(|line| !line.is_empty());
    crates.map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ").replace(" v", " ")).collect()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn table(all: &[(String, &Costs)]) -> String {
    let header = ["an echo server on", "crates", "clean build, s", "program, kB"].map(str::to_owned);
    let rows = all.iter().map(|(name, costs)| {
        let (seconds, program) = (costs.build.as_secs_f64(), kilobytes(costs.program));
        vec![name.clone(), costs.crates.to_string(), format!("{seconds:.1}"), program.to_string()]
    });
    report::table(&header, &rows.collect::<Vec<_>>())
}

/// The next higher one: what is a byte too many shows.
fn kilobytes(bytes: u64) -> u64 {
    bytes.div_ceil(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_counted_once_for_each_version() {
        let tree = "\
echo v0.0.0 (/some/where)
a v1.0.0
b v2.0.0 (proc-macro)
a v1.0.0 (*)

a v0.9.0
";
        let crates: Vec<_> = distinct(tree).into_iter().collect();
        assert_eq!(crates, ["a 0.9.0", "a 1.0.0", "b 2.0.0", "echo 0.0.0"]);
    }

    #[test]
    fn a_goal_is_missed_above_it_and_each_is_named() {
        assert_eq!(GOALS.missed(&GOALS), [""; 0]);
        let more = Costs { crates: 19, build: Duration::from_millis(4100), program: 450_001 };
        assert_eq!(
            more.missed(&GOALS),
            [
                "19 crates, wanted are 18",
                "a clean build takes 4.1 s, wanted are 4.0",
                "the program has 451 kB, wanted are 450"
            ]
        );
    }

    #[test]
    fn a_table_has_a_row_for_each() {
        let costs = Costs { crates: 27, build: Duration::from_millis(9040), program: 653_200 };
        assert_eq!(
            table(&[("tungstenite 0.30.0".into(), &costs)]),
            "\
| an echo server on  | crates | clean build, s | program, kB |
|--------------------|-------:|---------------:|------------:|
| tungstenite 0.30.0 |     27 |            9.0 |         654 |
"
        );
    }
}
