//! Little data that becomes much: what is taken of memory is bounded by the limit on a message (RFC 6455, section 10.4).

use std::sync::OnceLock;

use allocation_counter::measure;
use sansocket::deflate::{Compress, Compressor, Decompressor, Pool};
use sansocket::{Connection, Event, Kind, Limits, Messages, ProtocolError, Role};
use sansocket_testkit::{BINARY, Side, TEXT};

use super::oracle::Unpacker;
use super::{FRESH, TAKEOVER, all_of, connection, fragments, limit, wire};

const MIB: usize = 1 << 20;
/// How much of zeros is compressed at a time.
const STEP: usize = MIB;

/// A gibibyte of zeros, compressed.
fn gibibyte() -> &'static [u8] {
    static GIBIBYTE: OnceLock<Vec<u8>> = OnceLock::new();
    GIBIBYTE.get_or_init(|| {
        let pool = Pool::default();
        let mut compressor = Compressor::new(TAKEOVER, true, &all_of(9, 8), &pool);
        let connection = connection(Side::Server, Some(TAKEOVER), Limits::DEFAULT);
        assert!(compressor.begin_part(Kind::Binary, b"", false, Compress::Always, &connection).unwrap());
        let zeros = vec![0; STEP];
        let [first, second, third] = [(); 3].map(|()| {
            let (mut part, mut packed) = (&zeros[..], Vec::new());
            while let Some(fragment) = compressor.compress(&mut part, false) {
                packed.extend_from_slice(fragment.as_bytes());
            }
            packed
        });
        // From then on, what goes before is always the same, and so is what comes of it.
        assert_eq!(second, third);
        let mut packed = first;
        (1..(1 << 30) / STEP).for_each(|_| packed.extend_from_slice(&second));
        packed.push(0);
        packed
    })
}

/// What came of a message.
#[derive(Debug, PartialEq)]
struct Outcome {
    failure: Option<ProtocolError>,
    /// Bytes of the message that were given.
    given: usize,
    /// The most that was held on the heap at once: by the decompressor, and for joining the message.
    peak: u64,
}

/// Receives `bytes` in reads of 16 KiB, and inflates and joins them as an adapter would.
fn receive(side: Side, limits: Limits, bytes: &[u8]) -> Outcome {
    let mut connection = connection(side, Some(FRESH), limits);
    let (mut buffer, mut scratch) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    let mut out = Vec::with_capacity(1000);
    let pool = Pool::default();
    let (mut given, mut held) = (0, 0);
    let taken = measure(|| {
        let mut decompressor = Decompressor::new(FRESH, side == Side::Server, &pool);
        let mut messages = Messages::new();
        messages.set_limit(limits.message);
        for read in bytes.chunks(buffer.len()) {
            let mut input = &mut buffer[..read.len()];
            input.copy_from_slice(read);
            while let Some(event) = connection.receive(&mut input, &mut out) {
                let Event::Compressed(mut piece) = event else { continue };
                while let Some(event) = decompressor.inflate(&mut piece, &mut scratch, &mut connection, &mut out) {
                    given += join(&mut messages, event, &mut connection, &mut out);
                }
            }
            if connection.failure().is_some() {
                break;
            }
        }
        held = messages.capacity() as u64;
    });
    assert!(held <= limits.message, "{held}");
    Outcome { failure: connection.failure(), given, peak: taken.bytes_max }
}

fn join<R: Role>(
    messages: &mut Messages,
    event: Event<'_>,
    connection: &mut Connection<R>,
    out: &mut Vec<u8>,
) -> usize {
    let Some(piece) = event.piece() else { return 0 };
    let len = piece.as_bytes().len();
    let joined = if piece.is_last() { messages.finish(piece).map(drop) } else { messages.append(piece) };
    if let Err(error) = joined {
        connection.fail(error, out);
    }
    len
}

#[test]
fn the_bomb_is_what_it_seems() {
    let bomb = gibibyte();
    assert!((MIB..MIB + MIB / 20).contains(&bomb.len()), "{}", bomb.len());
    let mut packed = bomb[..(3 * bomb.len() * STEP) >> 30].to_vec();
    packed.truncate(packed.len() - 10);
    let unpacked = Unpacker::new().unpack(&packed);
    assert!(unpacked.len() > 2 * STEP && unpacked.iter().all(|&byte| byte == 0), "{}", unpacked.len());
}

/// The whole bomb in one frame, and in ten.
fn bombs(side: Side) -> [Vec<u8>; 2] {
    let bomb = gibibyte();
    let in_ten: Vec<_> = bomb.chunks(bomb.len().div_ceil(10)).collect();
    [wire(side, &fragments(BINARY, &[bomb])), wire(side, &fragments(TEXT, &in_ten))]
}

#[test]
fn rfc6455_10_4_a_bomb_is_stopped_at_the_limit() {
    for side in Side::BOTH {
        for bytes in bombs(side) {
            for most in [MIB as u64, 3 << 20] {
                let outcome = receive(side, limit(most), &bytes);
                assert_eq!(outcome.failure, Some(ProtocolError::MessageTooBig));
                assert!(outcome.given as u64 <= most && outcome.given as u64 + (16 << 10) > most, "{outcome:?}");
            }
        }
    }
    // With the default limits too.
    let [bytes, _] = bombs(Side::Client);
    let outcome = receive(Side::Client, Limits::DEFAULT, &bytes);
    assert_eq!((outcome.failure, outcome.given <= 64 * MIB), (Some(ProtocolError::MessageTooBig), true));
}

#[test]
fn rfc6455_10_4_a_bomb_longer_than_the_limit_on_the_wire_is_stopped_by_its_header() {
    let [one, ten] = bombs(Side::Client);
    // 800 KB and an eighth are less than the bomb.
    let outcome = receive(Side::Client, limit(800_000), &one);
    assert_eq!(outcome, Outcome { failure: Some(ProtocolError::MessageTooBig), given: 0, peak: 0 });
    let outcome = receive(Side::Client, limit(800_000), &ten);
    assert_eq!(outcome.failure, Some(ProtocolError::MessageTooBig));
    assert!(outcome.given <= 800_000);
}

/// What a decompressor takes, see `memory.rs`, and a little for the pool.
const CODEC: u64 = 48 << 10;

#[test]
fn rfc6455_10_4_a_bomb_takes_no_more_memory_than_the_limit_allows() {
    for side in Side::BOTH {
        for bytes in bombs(side) {
            // `Messages` doubles its memory until it is at the limit. While it moves, this counter sees the old and the new.
            for (most, old_and_new) in [
                (MIB, MIB / 2 + MIB),
                (2 * MIB, MIB + 2 * MIB),
                (MIB + 1, MIB + MIB + 1),
                (MIB + MIB / 2, MIB + MIB + MIB / 2),
            ] {
                let outcome = receive(side, limit(most as u64), &bytes);
                let bound = old_and_new as u64 + CODEC;
                assert!(outcome.peak <= bound, "{outcome:?} for {most}");
            }
        }
    }
}

#[test]
fn rfc6455_10_4_a_bomb_that_is_not_joined_takes_a_decompressor_and_no_more() {
    let mut connection = connection(Side::Client, Some(FRESH), limit(8 << 20));
    let pool = Pool::default();
    let (mut scratch, mut out) = (vec![0; 16 * 1024], Vec::with_capacity(1000));
    let [mut bytes, _] = bombs(Side::Client);
    let mut given = 0;
    let taken = measure(|| {
        let mut decompressor = Decompressor::new(FRESH, false, &pool);
        let mut input = &mut bytes[..];
        while let Some(event) = connection.receive(&mut input, &mut out) {
            let Event::Compressed(mut piece) = event else { continue };
            while let Some(event) = decompressor.inflate(&mut piece, &mut scratch, &mut connection, &mut out) {
                given += event.piece().map_or(0, |piece| piece.as_bytes().len());
            }
        }
    });
    assert!(given > 7 * MIB && taken.bytes_max <= CODEC, "{given}, {taken:?}");
}
