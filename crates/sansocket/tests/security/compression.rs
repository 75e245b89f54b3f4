//! Compressed messages: little that becomes much, and what is written where.

use std::sync::OnceLock;

use allocation_counter::measure;
use sansocket::deflate::{
    Compress, Compressor, Config, Decompressor, Parameters, Policy, Pool, PoolLimits, Window, WindowBits,
};
use sansocket::{Connection, Either, Event, Kind, Limits, Messages, Negotiated, ProtocolError};
use sansocket_testkit::{BINARY, CONTINUATION, Frame, Keys, Peer, Side};

const MIB: usize = 1 << 20;
/// Bytes that are inflated at once.
const SCRATCH: usize = 16 << 10;
/// What a decompressor holds, its window included, and a little for its pool.
const CODEC: u64 = 48 << 10;

const FRESH: Parameters = {
    let window = Window { bits: WindowBits::MAX, takeover: false };
    Parameters { server: window, client: window }
};

fn connection(side: Side, limits: Limits) -> Connection<Either<Keys>> {
    let role = match side {
        Side::Server => Either::Server,
        Side::Client => Either::Client(sansocket::Client::new(Keys::default())),
    };
    Connection::new(role, Negotiated::new(Some(FRESH)), limits)
}

fn limit(message: usize) -> Limits {
    Limits { message: message as u64, ..Limits::DEFAULT }
}

/// So many bytes of zeros, compressed: of a mebibyte, 1,030 bytes or so are left.
fn zeros(mebibytes: usize) -> Vec<u8> {
    static FIRST_AND_NEXT: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    let [first, next] = FIRST_AND_NEXT.get_or_init(|| {
        let takeover = Window { bits: WindowBits::MAX, takeover: true };
        let parameters = Parameters { server: takeover, client: takeover };
        let config = Config { level: 9, threshold: 0, policy: Policy::TAKEOVER, ..Config::DEFAULT };
        let mut compressor = Compressor::new(parameters, true, &config, &Pool::default());
        let connection = Connection::new(sansocket::Server, Negotiated::new(Some(parameters)), Limits::DEFAULT);
        assert!(compressor.begin_part(Kind::Binary, b"", false, Compress::Always, &connection).unwrap());
        let zeros = vec![0; MIB];
        [(); 2].map(|()| {
            let (mut part, mut packed) = (&zeros[..], Vec::new());
            while let Some(fragment) = compressor.compress(&mut part, false) {
                packed.extend_from_slice(fragment.as_bytes());
            }
            packed
        })
    });
    [&first[..], &next.repeat(mebibytes - 1), &[0]].concat()
}

/// A compressed binary message in these fragments, as bytes for `reader`.
fn message(reader: Side, fragments: &[&[u8]]) -> Vec<u8> {
    let frame = |(at, fragment): (usize, &&[u8])| {
        let (opcode, rsv1) = if at == 0 { (BINARY, 4) } else { (CONTINUATION, 0) };
        let frame = Frame::new(opcode, fragment).reserved(rsv1).fin(at + 1 == fragments.len());
        frame.for_reader(reader, [0; 4]).bytes()
    };
    fragments.iter().enumerate().flat_map(frame).collect()
}

/// What came of some bytes.
#[derive(Debug)]
struct Outcome {
    failure: Option<ProtocolError>,
    /// Bytes inflated.
    given: usize,
    /// The most of the heap that was taken at once.
    peak: u64,
}

/// Receives, inflates and joins, as an adapter does.
fn receive(side: Side, limits: Limits, mut bytes: Vec<u8>) -> Outcome {
    let mut connection = connection(side, limits);
    let (pool, mut scratch, mut out) = (Pool::default(), vec![0; SCRATCH], Vec::with_capacity(300));
    let mut given = 0;
    let taken = measure(|| {
        let mut decompressor = Decompressor::new(FRESH, side == Side::Server, &pool);
        let mut messages = Messages::new();
        messages.set_limit(limits.message);
        let mut input = &mut bytes[..];
        while let Some(event) = connection.receive(&mut input, &mut out) {
            let Event::Compressed(mut piece) = event else { continue };
            while let Some(event) = decompressor.inflate(&mut piece, &mut scratch, &mut connection, &mut out) {
                let Some(piece) = event.piece() else { continue };
                given += piece.as_bytes().len();
                if piece.is_last() { messages.finish(piece).map(drop) } else { messages.append(piece) }.unwrap();
            }
        }
    });
    Outcome { failure: connection.failure(), given, peak: taken.bytes_max }
}

/// CVE-2026-1526 (undici), CVE-2018-1000518 (python websockets), CVE-2021-21419 (eventlet), CVE-2026-27571 (NATS), Netty #15005: a bomb.
#[test]
fn cve_2026_1526_a_gibibyte_in_a_mebibyte_stops_at_the_limit() {
    let bomb = zeros(1024);
    assert!(bomb.len() < MIB + MIB / 20, "{}", bomb.len());
    for side in Side::BOTH {
        // Ours, and one as low as before a login.
        for most in [4 * MIB, MIB + MIB / 4] {
            let outcome = receive(side, limit(most), message(side, &[&bomb]));
            assert_eq!(outcome.failure, Some(ProtocolError::MessageTooBig));
            assert!((most - SCRATCH..=most).contains(&outcome.given), "no more than a step below: {outcome:?}");
            // While a message's memory grows, this counter sees the old and the new.
            assert!(outcome.peak <= 2 * most as u64 + CODEC, "{outcome:?}");
        }
    }
    let outcome = receive(Side::Client, Limits::DEFAULT, message(Side::Client, &[&bomb]));
    assert!(outcome.given <= 64 * MIB && outcome.failure.is_some(), "{outcome:?}");
}

/// gorilla/websocket's limit, CVE-2026-54464 (websocket-driver): what was counted was what came, still compressed.
#[test]
fn cve_2026_54464_the_limit_counts_what_was_inflated() {
    let packed = zeros(1);
    for side in Side::BOTH {
        let bytes = message(side, &[&packed]);
        assert!(bytes.len() < 2000);
        let good = receive(side, limit(MIB), bytes.clone());
        assert_eq!((good.failure, good.given), (None, MIB));
        for below in [2000, MIB / 2, MIB - 1] {
            let outcome = receive(side, limit(below), bytes.clone());
            assert_eq!(outcome.failure, Some(ProtocolError::MessageTooBig), "{below}");
            assert!(outcome.given <= below, "{outcome:?}");
        }
    }
}

/// undici b4c287b38: each fragment had the limit for itself.
#[test]
fn undici_b4c287b38_the_limit_counts_over_all_fragments() {
    let packed = zeros(10);
    let each = packed.len().div_ceil(10);
    let fragments: Vec<_> = packed.chunks(each).collect();
    assert_eq!(fragments.len(), 10);
    for side in Side::BOTH {
        // Each of them is half of the limit.
        let outcome = receive(side, limit(2 * MIB), message(side, &fragments));
        assert_eq!(outcome.failure, Some(ProtocolError::MessageTooBig));
        assert!(outcome.given <= 2 * MIB, "{outcome:?}");
        let outcome = receive(side, limit(10 * MIB), message(side, &fragments));
        assert_eq!((outcome.failure, outcome.given), (None, 10 * MIB));
    }
}

/// Inflates a message into slices of `room` bytes with a guard behind them, and gives what came, in memory that was `dirt` before.
fn inflate_into(room: usize, dirt: u8, mut bytes: Vec<u8>) -> (Vec<u8>, Option<ProtocolError>) {
    let mut connection = connection(Side::Client, Limits::DEFAULT);
    let mut decompressor = Decompressor::new(FRESH, false, &Pool::default());
    let (mut memory, mut out, mut inflated) = (vec![dirt; room + 16], Vec::new(), Vec::new());
    let mut input = &mut bytes[..];
    while let Some(event) = connection.receive(&mut input, &mut out) {
        let Event::Compressed(mut piece) = event else { continue };
        // A call that can do nothing says so; one too many is no harm, and none of them may be needed for ever.
        for _ in 0..10_000 {
            memory.fill(dirt);
            let (scratch, guard) = memory.split_at_mut(room);
            let event = decompressor.inflate(&mut piece, scratch, &mut connection, &mut out);
            if let Some(piece) = event.and_then(Event::piece) {
                inflated.extend_from_slice(piece.as_bytes());
            } else if event.is_none() {
                break;
            }
            assert!(guard.iter().all(|&byte| byte == dirt), "{room}: written past the end");
        }
        if room == 0 {
            // It goes on where there is room again.
            let mut scratch = [0; 64];
            while let Some(event) = decompressor.inflate(&mut piece, &mut scratch, &mut connection, &mut out) {
                inflated
                    .extend_from_slice(event.piece().map_or(Vec::new(), |piece| piece.as_bytes().to_vec()).as_slice());
            }
        }
    }
    (inflated, connection.failure())
}

/// CVE-2026-29035 (CivetWeb): the inflated was written behind the memory for it.
#[test]
fn cve_2026_29035_a_message_is_inflated_into_memory_of_any_size() {
    let text: Vec<u8> = (0..300_u32).flat_map(|at| (at * at % 251).to_string().into_bytes()).collect();
    let packed = miniz_oxide::deflate::compress_to_vec(&text, 6);
    let whole = message(Side::Client, &[&packed]);
    let cut = message(Side::Client, &packed.chunks(7).collect::<Vec<_>>());
    for room in 0..=64 {
        for bytes in [&whole, &cut] {
            assert_eq!(inflate_into(room, 0xC5, bytes.clone()), (text.clone(), None), "{room}");
        }
    }
}

/// RUSTSEC-2020-0123 (libp2p-deflate): what was inflated were bytes that nobody had written.
#[test]
fn rustsec_2020_0123_what_is_inflated_does_not_depend_on_the_memory_below() {
    let garbage: Vec<u8> = (0..200_u32).map(|at| u8::try_from(at * at * 31 % 256).unwrap()).collect();
    let packed = miniz_oxide::deflate::compress_to_vec(&[7; 1000], 6);
    for cut in 0..packed.len() {
        for bytes in [packed[..cut].to_vec(), [&packed[..cut], &garbage].concat()] {
            let wire = message(Side::Client, &[&bytes]);
            assert_eq!(inflate_into(64, 0, wire.clone()), inflate_into(64, 0xFF, wire), "cut at {cut}");
        }
    }
}

/// uWebSockets #1650: four bytes that a decoder wants behind a message were written there, over the next frame.
#[test]
fn uws_1650_a_compressed_frame_leaves_the_next_one_as_it_is() {
    for side in Side::BOTH {
        let packed = b"\xF2\x48\xCD\xC9\xC9\x07\x00";
        let behind = Frame::new(1, "behind").for_reader(side, [1, 2, 3, 4]).bytes();
        let mut bytes = [message(side, &[packed]), behind].concat();
        let mut peer = Peer::either(side);
        peer.connection = connection(side, Limits::DEFAULT);
        let mut decompressor = Decompressor::new(FRESH, side == Side::Server, &Pool::default());
        let (mut texts, mut scratch) = (Vec::new(), [0; 64]);
        let mut input = &mut bytes[..];
        while let Some(event) = peer.connection.receive(&mut input, &mut peer.out) {
            match event {
                Event::Compressed(mut piece) => {
                    let connection = &mut peer.connection;
                    while let Some(event) = decompressor.inflate(&mut piece, &mut scratch, connection, &mut peer.out) {
                        texts.extend_from_slice(event.piece().unwrap().as_bytes());
                    }
                }
                Event::Text(text) => texts.extend_from_slice(text.as_bytes()),
                event => panic!("{event:?}"),
            }
        }
        assert_eq!(texts, b"Hellobehind");
    }
}

/// CVE-2026-33219 (NATS): messages that begin and never end, each of which holds a decompressor.
#[test]
fn cve_2026_33219_compressed_messages_under_way_are_counted() {
    let pool = Pool::new(PoolLimits { lent: 2, ..PoolLimits::DEFAULT });
    let begun = Frame::new(BINARY, b"\xF2\x48").reserved(4).fin(false).bytes();
    let mut peers = Vec::new();
    for at in 0..4 {
        let mut connection = connection(Side::Client, Limits::DEFAULT);
        let mut decompressor = Decompressor::new(FRESH, false, &pool);
        let (mut bytes, mut out, mut scratch) = (begun.clone(), Vec::new(), [0; 64]);
        let mut input = &mut bytes[..];
        while let Some(event) = connection.receive(&mut input, &mut out) {
            let Event::Compressed(mut piece) = event else { continue };
            while decompressor.inflate(&mut piece, &mut scratch, &mut connection, &mut out).is_some() {}
        }
        let expected = (at >= 2).then_some(ProtocolError::TooManyCompressed);
        assert_eq!((connection.failure(), pool.lent().0), (expected, (at + 1).min(2)));
        peers.push(decompressor);
    }
    drop(peers);
    assert_eq!(pool.lent(), (0, 0), "all of them came back");
}

/// tornado #2391, websocketpp #1191, CVE-2026-0716 (libsoup): a limit that is lifted, or at an edge, is still one sum.
#[test]
fn tornado_2391_limits_of_compressed_messages_at_their_edges() {
    let packed = zeros(1);
    for side in Side::BOTH {
        for message_limit in [u64::MAX, u64::MAX - 1, u64::MAX / 9 * 8, MIB as u64] {
            for fragments in [1, u32::MAX] {
                let limits = Limits { message: message_limit, fragments, ..Limits::DEFAULT };
                let outcome = receive(side, limits, message(side, &[&packed]));
                assert_eq!((outcome.failure, outcome.given), (None, MIB));
            }
        }
    }
}
