//! What compression costs: a compressed echo through the engine, beside the codec alone and yawc, and what the codec's settings do.
//!
//! ```sh
//! cargo bench --manifest-path benches/Cargo.toml --bench deflate              # everything, about four minutes
//! cargo bench --manifest-path benches/Cargo.toml --bench deflate -- echo      # one table
//! ROUNDS=101 cargo bench --manifest-path benches/Cargo.toml --bench deflate -- echo
//! cargo bench --manifest-path benches/Cargo.toml --bench deflate -- server    # only if it is asked for
//! ```
//!
//! An echo begins with a masked, compressed message in the kernel's place, has it whole and contiguous in between, and ends with a
//! compressed frame in a buffer that a socket could write. `codec` is what of this nobody can leave out: the same bytes inflated and
//! compressed by the same codec with the same settings, in buffers that are reused, without masks, frames and UTF-8.
//!
//! What is compared takes turns, a few milliseconds each; a table has medians over the rounds, and a ratio is the median of the
//! rounds' ratios. So it says something on a machine that does other things besides, where an absolute time does not.

mod codec;
mod ours;
mod samples;
mod server;
mod theirs;
mod wire;

use std::env;
use std::hint::black_box;
use std::time::Duration;

use sansocket::deflate::Config;
use sansocket_benches::{Median, Run, compare_in_step, medians};
use zlib_rs::{Deflate, DeflateConfig, Inflate};

use codec::{Codec, Compressor, Decompressor};
use ours::Sansocket;
use samples::Sample;
use server::{Kind, Server};
use theirs::Yawc;
use wire::{Sink, Stream};

/// How long one takes its turn, on average and at least.
const TURN: Duration = Duration::from_millis(5);

/// How long a server has its turn.
const LOOPBACK_TURN: Duration = Duration::from_millis(400);

/// How a message is compressed.
#[derive(Clone, Copy)]
struct Setting {
    takeover: bool,
    level: u8,
    memory_level: u8,
}

impl Setting {
    const fn default(takeover: bool) -> Self {
        // yawc's memory level is fixed.
        Self { takeover, level: Config::DEFAULT.level, memory_level: 8 }
    }

    fn name(self) -> &'static str {
        if self.takeover { "takeover" } else { "no takeover" }
    }
}

/// Takes compressed messages off a stream that never ends, and sends them back.
trait Echo {
    /// Echoes the next `count` messages, and shows each to `each`, whole and contiguous.
    fn echo(&mut self, count: usize, each: impl FnMut(&[u8]));
}

fn main() {
    let tables: [(&str, fn()); 6] = [
        ("echo", echo),
        ("level", levels),
        ("memory", memory_levels),
        ("threshold", threshold),
        ("reset", reset),
        ("server", servers),
    ];
    let wanted: Vec<String> = env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    for (name, table) in tables {
        // The last one needs a network, and Node.
        if (wanted.is_empty() && name != "server") || wanted.iter().any(|wanted| wanted == name) {
            table();
            println!();
        }
    }
}

fn echo() {
    println!("| echo | bytes, compressed | codec, ns | sansocket, ns | yawc, ns | sansocket / codec | yawc / codec |");
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for takeover in [false, true] {
        let setting = Setting::default(takeover);
        for sample in samples::all() {
            let stream = Stream::new(&sample, setting);
            check(&sample, setting, Sansocket::new);
            check(&sample, setting, Yawc::new);
            let ours = Sansocket::new(setting, &stream, Sink::default());
            let theirs = Yawc::new(setting, &stream, Sink::default());
            let [codec, ours, theirs] = compare([run(Codec::new(setting, &stream)), run(ours), run(theirs)]);
            println!(
                "| {}, {} | {} → {} | {:.0} | {:.0} | {:.0} | **{:.3}** | {:.3} |",
                sample.name,
                setting.name(),
                sample.len(),
                mean_len(&stream.compressed),
                codec.time,
                ours.time,
                theirs.time,
                ours.ratio,
                theirs.ratio,
            );
        }
    }
}

fn run<'r>(mut echo: impl Echo + 'r) -> Run<'r> {
    Box::new(move |count| {
        echo.echo(count as usize, |message| {
            black_box(message);
        });
    })
}

/// Looks whether what is received and what is sent is what was sent to it.
fn check<E: Echo>(sample: &Sample, setting: Setting, new: fn(Setting, &Stream, Sink) -> E) {
    let stream = Stream::new(sample, setting);
    let sink = Sink::keeping();
    let mut received = sample.messages.iter();
    new(setting, &stream, sink.clone()).echo(sample.messages.len(), |message| {
        assert!(received.next().is_some_and(|sent| sent.as_bytes() == message), "another message was received");
    });
    assert!(received.next().is_none(), "a message was not received");
    let echoed = sink.messages(setting, stream.longest);
    assert!(
        sample.messages.iter().map(String::as_bytes).eq(echoed.iter().map(|echoed| &echoed[..])),
        "another message was sent"
    );
}

fn levels() {
    settings("level", [1, 2, 3, 4, 6, 9], |setting, level| Setting { level, ..setting });
}

fn memory_levels() {
    settings("memory level", [1, 3, 5, 7, 8, 9], |setting, memory_level| Setting { memory_level, ..setting });
}

/// What a compressor takes for a message, and makes of it.
fn settings<const N: usize>(name: &str, values: [u8; N], with: fn(Setting, u8) -> Setting) {
    println!("| {name}: ns, bytes |{}", values.map(|value| format!(" {value} |")).concat());
    println!("|---|{}", "--:|".repeat(N));
    for takeover in [false, true] {
        for sample in samples::all() {
            let settings = values.map(|value| with(Setting::default(takeover), value));
            let times = compare(settings.map(|setting| compress(Compressor::new(setting), &sample)));
            let cells: String = settings
                .iter()
                .zip(times)
                .map(|(&setting, median)| {
                    format!(" {:.0}, {} |", median.time, mean_len(&Stream::new(&sample, setting).compressed))
                })
                .collect();
            println!("| {}, {} |{cells}", sample.name, Setting::default(takeover).name());
        }
    }
}

fn compress(mut compressor: Compressor, sample: &Sample) -> Run<'_> {
    let mut messages = sample.messages.iter().cycle();
    Box::new(move |count| {
        for message in messages.by_ref().take(count as usize) {
            black_box(compressor.compress(message.as_bytes()));
        }
    })
}

/// From what length on it pays to compress.
fn threshold() {
    println!("| JSON | compressed | saved | compressing, ns | inflating, ns | compressing, ns per byte saved |");
    println!("|---|--:|--:|--:|--:|--:|");
    for takeover in [false, true] {
        let setting = Setting::default(takeover);
        for len in [32, 64, 96, 128, 192, 256, 384, 512, 1024, 2048] {
            let sample = samples::json("", len);
            let stream = Stream::new(&sample, setting);
            let compressor = Compressor::new(setting);
            let [deflate, inflate] = compare([compress(compressor, &sample), inflate(setting, &stream)]);
            let after = mean_len(&stream.compressed);
            let saved = len as f64 - after as f64;
            println!(
                "| {len} B, {} | {after} | {:.0} % | {:.0} | {:.0} | {:.0} |",
                setting.name(),
                100.0 * saved / len as f64,
                deflate.time,
                inflate.time,
                deflate.time / saved,
            );
        }
    }
}

fn inflate<'r>(setting: Setting, stream: &Stream) -> Run<'r> {
    let mut decompressor = Decompressor::new(setting.takeover, stream.longest);
    let messages = stream.tailed();
    let mut position = 0;
    Box::new(move |count| {
        for _ in 0..count {
            black_box(decompressor.inflate(&messages[position]));
            position = (position + 1) % messages.len();
        }
    })
}

/// What a message pays for a codec that has forgotten the last one.
fn reset() {
    let config = || DeflateConfig {
        level: Config::DEFAULT.level.into(),
        window_bits: -15,
        mem_level: Config::DEFAULT.memory_level.into(),
        ..DeflateConfig::default()
    };
    let (mut deflate, mut inflate) = (Deflate::new_with_config(config()), Inflate::new(false, 15));
    println!("| codec | reset, ns | made, ns |");
    println!("|---|--:|--:|");
    println!(
        "| compressor | {:.0} | {:.0} |",
        nanoseconds(|| black_box(&mut deflate).reset()),
        nanoseconds(|| drop(black_box(Deflate::new_with_config(config())))),
    );
    println!(
        "| decompressor | {:.0} | {:.0} |",
        nanoseconds(|| black_box(&mut inflate).reset(false)),
        nanoseconds(|| drop(black_box(Inflate::new(false, 15)))),
    );
}

fn nanoseconds(mut once: impl FnMut()) -> f64 {
    let [median] = compare([Box::new(|count| (0..count).for_each(|_| once()))]);
    median.time
}

/// What a compressed echo takes of the processor in a server of ours and in Node's `ws`, kernel included.
fn servers() {
    server::prepare();
    println!("| server | mio, ns | std, ns | ws, ns | std / mio | ws / mio |");
    println!("|---|--:|--:|--:|--:|--:|");
    for takeover in [false, true] {
        let setting = Setting::default(takeover);
        for sample in samples::all() {
            let stream = Stream::new(&sample, setting);
            let mut servers = [Kind::Sansocket("mio"), Kind::Sansocket("std"), Kind::Ws]
                .map(|kind| Server::start(kind, setting, &sample, &stream));
            let mut round = || servers.each_mut().map(|server| server.run(LOOPBACK_TURN)).to_vec();
            // The first ones are for caches and compilers.
            round();
            round();
            let [mio, std, ws] = array(medians(&(0..rounds(7)).map(|_| round()).collect::<Vec<_>>()));
            println!(
                "| {}, {} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} |",
                sample.name,
                setting.name(),
                mio.time,
                std.time,
                ws.time,
                std.ratio,
                ws.ratio,
            );
        }
    }
}

fn mean_len(messages: &[Vec<u8>]) -> usize {
    messages.iter().map(Vec::len).sum::<usize>() / messages.len()
}

/// Runs all in turns, equally often.
fn compare<const N: usize>(runs: [Run<'_>; N]) -> [Median; N] {
    array(compare_in_step(runs.into(), TURN, rounds(41)))
}

/// How many rounds, unless `ROUNDS` says otherwise.
fn rounds(default: usize) -> usize {
    env::var("ROUNDS").map_or(default, |rounds| rounds.parse().expect("ROUNDS is a number"))
}

fn array<const N: usize>(medians: Vec<Median>) -> [Median; N] {
    medians.try_into().expect("one for each that was compared")
}
