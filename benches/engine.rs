//! What one message costs in the engine, beside tungstenite with the same bytes.
//!
//! ```sh
//! cargo bench --manifest-path benches/Cargo.toml                             # everything, about nine minutes
//! cargo bench --manifest-path benches/Cargo.toml -- receive/server/mixed    # some
//! READ_BUFFER=16384 cargo bench --manifest-path benches/Cargo.toml -- 'receive/.*/sansocket'
//! ```
//!
//! One iteration of criterion is one message, so the time that it prints is the time per message; the throughput counts payload.
//! Cases are named `direction/role/content/engine/size`; the role is that of the measured side. `tungstenite` has its default
//! configuration, buffers of 128 KiB; `tungstenite-8k` has buffers of 8 KiB, ours have 64 KiB.
//!
//! `receive` begins with bytes in the kernel's place and ends with a contiguous message, of which nothing is looked at. The copy
//! out of that place is a part of it: it refills the buffer in which we unmask, and tungstenite reads from the same stream. A
//! message that a read has cut is joined in memory that is reused. `send` begins with a payload and ends with frames in a buffer
//! that a socket could write.

mod ours;
mod theirs;
mod wire;

use std::env;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use sansocket::{Client, RandomKeys, Role, Server, Text};
use tungstenite::protocol::{Role as Side, WebSocketConfig};

use wire::{Payload, Wire};

const SIZES: [usize; 5] = [16, 125, 1 << 10, 16 << 10, 1 << 20];

/// How much we read at a time, unless `READ_BUFFER` says otherwise, and how much we collect before it is written; in bytes.
const BUFFER: usize = 64 << 10;

/// Takes messages off a stream that never ends.
trait Receive {
    /// Gives the next `count` messages to `each`, whole and contiguous.
    fn receive(&mut self, count: u64, each: impl FnMut(&[u8]));
}

/// Puts messages into a buffer, and the buffer, whenever it is full, into a sink.
trait Send {
    fn send(&mut self, payload: Payload, count: u64);

    /// Empties the buffer as well and gives everything that was written. From then on the sink keeps nothing.
    fn written(&mut self) -> Vec<u8>;
}

fn main() {
    let criterion = Criterion::default().without_plots();
    let criterion = criterion.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    let mut criterion = criterion.configure_from_args();
    receive(&mut criterion, "receive/server", Side::Server, || Server);
    receive(&mut criterion, "receive/client", Side::Client, || Client::new(RandomKeys));
    send(&mut criterion, "send/server", Side::Server, || Server);
    send(&mut criterion, "send/client", Side::Client, || Client::new(RandomKeys));
    criterion.final_summary();
}

fn receive<R: Role>(criterion: &mut Criterion, name: &str, side: Side, role: fn() -> R) {
    let read_buffer = env::var("READ_BUFFER").map_or(BUFFER, |bytes| bytes.parse().expect("READ_BUFFER is a number"));
    for (content, payloads) in [
        ("binary", SIZES.map(Payload::binary)),
        ("ascii", SIZES.map(Payload::ascii)),
        ("mixed", SIZES.map(Payload::mixed)),
    ] {
        let mut group = criterion.benchmark_group(format!("{name}/{content}"));
        for payload in payloads {
            let wire = || Wire::carrying(payload, side);
            // A text that is found to be ASCII while it is unmasked costs a further pass only if it is looked at as a `str`.
            if content == "ascii" {
                let ours = ours::Receiver::new(role(), wire(), read_buffer, |_| {});
                measure_receive(&mut group, "sansocket-as_bytes", payload, ours);
            }
            let ours = ours::Receiver::new(role(), wire(), read_buffer, look_as_str);
            measure_receive(&mut group, "sansocket", payload, ours);
            for (engine, config) in theirs::configs() {
                let theirs = theirs::Receiver::new(side, wire(), config);
                measure_receive(&mut group, engine, payload, theirs);
            }
        }
    }
}

fn measure_receive(
    group: &mut BenchmarkGroup<'_, WallTime>,
    engine: &str,
    payload: Payload,
    mut receiver: impl Receive,
) {
    check(payload, checked_count(payload), &mut receiver);
    measure(group, engine, payload, |count| {
        receiver.receive(count, |message| {
            black_box(message);
        });
    });
}

fn look_as_str(text: &Text<'_>) {
    black_box(text.as_str());
}

fn send<R: Role>(criterion: &mut Criterion, name: &str, side: Side, role: fn() -> R) {
    for (content, payloads) in [("binary", SIZES.map(Payload::binary)), ("text", SIZES.map(Payload::mixed))] {
        let mut group = criterion.benchmark_group(format!("{name}/{content}"));
        for payload in payloads {
            measure_send(&mut group, "sansocket", payload, side, ours::Sender::new(role(), BUFFER));
            for (engine, config) in theirs::configs() {
                let theirs = theirs::Sender::new(side, config);
                measure_send(&mut group, engine, payload, side, theirs);
            }
        }
    }
}

fn measure_send(
    group: &mut BenchmarkGroup<'_, WallTime>,
    engine: &str,
    payload: Payload,
    side: Side,
    mut sender: impl Send,
) {
    // What either engine has sent is for tungstenite to receive, and it is nothing else.
    let count = checked_count(payload);
    sender.send(payload, count);
    let wire = Wire::repeating(sender.written());
    assert_eq!(wire.len() as u64, count * wire::frame_len(payload, side));
    let peer = match side {
        Side::Server => Side::Client,
        Side::Client => Side::Server,
    };
    check(payload, count, &mut theirs::Receiver::new(peer, wire, WebSocketConfig::default()));
    measure(group, engine, payload, |count| sender.send(payload, count));
}

/// As many messages as fill every buffer a few times.
fn checked_count(payload: Payload) -> u64 {
    (2 << 20) / payload.as_bytes().len() as u64 + 1
}

fn check(payload: Payload, count: u64, receiver: &mut impl Receive) {
    let (mut messages, mut bytes, mut last) = (0, 0, Vec::new());
    receiver.receive(count, |message| {
        messages += 1;
        bytes += message.len() as u64;
        last.clear();
        last.extend_from_slice(message);
    });
    let payload = payload.as_bytes();
    assert_eq!((messages, bytes), (count, count * payload.len() as u64));
    assert!(last == payload, "the last message has another content");
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, engine: &str, payload: Payload, mut run: impl FnMut(u64)) {
    let size = payload.as_bytes().len();
    group.throughput(Throughput::Bytes(size as u64));
    group.bench_function(BenchmarkId::new(engine, size), |bencher| {
        bencher.iter_custom(|count| {
            let start = Instant::now();
            run(count);
            start.elapsed()
        });
    });
}
