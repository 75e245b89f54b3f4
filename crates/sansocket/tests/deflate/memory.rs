//! What compression takes of memory, against the table in the docs.

use allocation_counter::measure;
use sansocket::deflate::{Compress, Compressor, Decompressor, Parameters, Pool};
use sansocket::{Event, Kind, Limits};
use sansocket_testkit::{Side, TEXT};

use super::{FRESH, Receiver, Sender, TAKEOVER, all_of, connection, fragments, same, wire};

/// Bytes that a compressor holds with these settings.
fn compressor_bytes(parameters: Parameters, memory_level: u8) -> u64 {
    let pool = Pool::default();
    let mut connection = connection(Side::Server, Some(parameters), Limits::DEFAULT);
    let mut out = Vec::with_capacity(1000);
    let mut compressor = Compressor::new(parameters, true, &all_of(6, memory_level), &pool);
    let taken = measure(|| {
        compressor.send_part(Kind::Text, b"Hello", false, Compress::Always, &mut connection, &mut out).unwrap();
    });
    assert!(!compressor.is_idle());
    taken.bytes_current.unsigned_abs()
}

fn decompressor_bytes(parameters: Parameters) -> u64 {
    let pool = Pool::default();
    let mut connection = connection(Side::Client, Some(parameters), Limits::DEFAULT);
    let (mut out, mut scratch) = (Vec::with_capacity(1000), [0; 4096]);
    let mut bytes = wire(Side::Client, &fragments(TEXT, &[&b"\xF2\x48\xCD"[..], b"\xC9\xC9\x07\x00"])[..1]);
    let mut decompressor = Decompressor::new(parameters, false, &pool);
    let Some(Event::Compressed(mut piece)) = connection.receive(&mut &mut bytes[..], &mut out) else { panic!() };
    let taken =
        measure(|| while decompressor.inflate(&mut piece, &mut scratch, &mut connection, &mut out).is_some() {});
    assert!(!decompressor.is_idle());
    taken.bytes_current.unsigned_abs()
}

/// What a compressor takes in KiB, rounded up: a row for each number of window bits from 9, a column for each memory level from 1.
///
/// 16 KiB of it are room for a frame.
const COMPRESSOR: [[u64; 9]; 7] = [
    [151, 152, 153, 157, 164, 178, 206, 262, 374],
    [153, 154, 155, 159, 166, 180, 208, 264, 376],
    [157, 158, 159, 163, 170, 184, 212, 268, 380],
    [165, 166, 167, 171, 178, 192, 220, 276, 388],
    [181, 182, 183, 187, 194, 208, 236, 292, 404],
    [213, 214, 215, 219, 226, 240, 268, 324, 436],
    [277, 278, 279, 283, 290, 304, 332, 388, 500],
];

/// What a decompressor takes in KiB, rounded up, whatever the window.
const DECOMPRESSOR: u64 = 47;

fn kib(bytes: u64) -> u64 {
    bytes.div_ceil(1024)
}

#[test]
fn a_compressor_takes_as_much_memory_as_the_docs_say() {
    let measured: Vec<Vec<_>> = (9..=15)
        .map(|bits| (1..=9).map(|memory_level| kib(compressor_bytes(same(bits, true), memory_level))).collect())
        .collect();
    assert_eq!(measured, COMPRESSOR);
    // A borrowed one is no other; and what level it is of does not matter.
    assert_eq!(kib(compressor_bytes(FRESH, 8)), COMPRESSOR[6][7]);
}

#[test]
fn a_decompressor_takes_as_much_memory_as_the_docs_say() {
    for bits in 8..=15 {
        for takeover in [false, true] {
            assert_eq!(kib(decompressor_bytes(same(bits, takeover))), DECOMPRESSOR);
        }
    }
}

#[test]
fn the_docs_have_this_table() {
    let docs = include_str!("../../../../docs/compression.md");
    let mut table = String::from(
        "| window bits | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for (bits, row) in (9..).zip(COMPRESSOR) {
        let cells: Vec<_> = row.iter().map(ToString::to_string).collect();
        table += &format!("| {bits} | {} |\n", cells.join(" | "));
    }
    assert!(docs.contains(&table), "docs/compression.md lacks this table:\n{table}");
    let sentence = format!("A decompressor takes {DECOMPRESSOR} KiB");
    assert!(docs.contains(&sentence), "docs/compression.md lacks: {sentence}");
}

#[test]
fn between_messages_a_connection_without_takeover_holds_nothing() {
    for (side, (parameters, held)) in
        Side::BOTH.into_iter().flat_map(|side| [(side, (FRESH, false)), (side, (TAKEOVER, true))])
    {
        let pool = Pool::default();
        let mut sender = Sender::with(side, parameters, &all_of(6, 8), &pool);
        let mut receiver = Receiver::with(side.other(), parameters, Limits::DEFAULT, &pool);
        // Once, so that the pool has what it keeps.
        let mut warm = Sender::with(side, FRESH, &all_of(6, 8), &pool);
        let mut other = Receiver::with(side.other(), FRESH, Limits::DEFAULT, &pool);
        other.feed_frames(&warm.send("Hello", Compress::Always).frames()).expect_text("Hello");
        let taken = measure(|| {
            let frames = sender.send("Hello", Compress::Always).frames();
            receiver.feed_frames(&frames).recorder.received().clear();
        });
        let bytes = taken.bytes_current;
        assert_eq!(bytes > 10_000, held, "{bytes}");
        assert_eq!((sender.compressor.is_idle(), receiver.decompressor.is_idle()), (!held, !held));
    }
}

#[test]
fn messages_take_no_memory_once_there_is_a_codec() {
    for parameters in [FRESH, TAKEOVER] {
        let pool = Pool::default();
        let mut connection = connection(Side::Server, Some(parameters), Limits::DEFAULT);
        let mut compressor = Compressor::new(parameters, true, &all_of(6, 8), &pool);
        let mut out = Vec::with_capacity(100_000);
        compressor.send("Hello", Compress::Always, &mut connection, &mut out).unwrap();
        let text = "Hello, ".repeat(1000);
        let taken = measure(|| {
            for _ in 0..20 {
                compressor.send(&text, Compress::Auto, &mut connection, &mut out).unwrap();
                out.clear();
            }
        });
        assert_eq!((taken.count_total, taken.bytes_total), (0, 0));
    }
}
