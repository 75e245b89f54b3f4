//! Loops and recursion that never end: each call uses up input, makes output, or says what it waits for.

use std::cell::Cell;

use sansocket::handshake::{ClientRequest, RequestProgress, ServerHandshake, Uri};
use sansocket::{CloseCode, Connection, Event, Kind, Limits, Output, SendError, SliceOutput};
use sansocket_testkit::{BINARY, CLOSE, Frame, PING, Peer, Side, TEXT};

use super::{hex, receive, server, times};

/// Counts what is asked of an output.
struct Counting<'c> {
    puts: &'c Cell<usize>,
    bytes: &'c Cell<usize>,
    memory: Vec<u8>,
}

impl Output for Counting<'_> {
    fn room(&self) -> usize {
        usize::MAX
    }

    fn put(&mut self, bytes: &[u8]) -> &mut [u8] {
        self.puts.set(self.puts.get() + 1);
        self.bytes.set(self.bytes.get() + bytes.len());
        self.memory.clear();
        self.memory.extend_from_slice(bytes);
        &mut self.memory
    }
}

/// RUSTSEC-2026-0258 (h2): what is empty was queued, and cost something.
#[test]
fn rustsec_2026_0258_a_million_empty_reads_change_nothing() {
    for state in ["", "81", "81 85 00000000 68", "01 81 00000000 68", "89 82 00000000 68", "83"] {
        let (mut connection, mut out) = (server(Limits::DEFAULT), Vec::new());
        receive(&mut connection, &mut hex(state), &mut out);
        let before = (format!("{connection:?}"), out.clone());
        for _ in 0..1_000_000 / 6 {
            assert!(connection.receive(&mut &mut [][..], &mut out).is_none());
        }
        assert_eq!((format!("{connection:?}"), out), before);
    }
    let (mut handshake, mut out) = (ServerHandshake::new(), Vec::new());
    for _ in 0..100_000 {
        assert!(matches!(handshake.receive(b"GET", &mut out), RequestProgress::Incomplete));
    }
    assert_eq!(out, b"");
}

/// CVE-2020-13935 (Tomcat): a length that was refused and never passed.
#[test]
fn cve_2020_13935_each_call_that_gives_nothing_has_used_up_its_input() {
    let violations =
        ["82 FF FF FF FF FF FF FF FF FF", "80 80", "83", "C1", "89 FE", "81 FE 00 01", "81 82 00000000 C3 28"];
    for violation in violations {
        let (mut connection, mut out) = (server(Limits::DEFAULT), Vec::new());
        let mut bytes = [hex(violation), vec![0xFF; 100]].concat();
        let mut input = &mut bytes[..];
        let mut failures = 0;
        // Twice as many calls as there are bytes are more than enough.
        for _ in 0..200 {
            let left = input.len();
            match connection.receive(&mut input, &mut out) {
                Some(Event::Failed(_)) => failures += 1,
                Some(event) => panic!("{event:?}"),
                None => assert!(input.is_empty(), "{left} bytes are left"),
            }
        }
        assert_eq!(failures, 1, "{violation}");
        assert!(connection.receive(&mut &mut [0xFF; 10][..], &mut out).is_none());
    }
}

/// CVE-2025-5399 (curl): a loop around an output that takes nothing.
#[test]
fn cve_2025_5399_an_output_without_room_is_told_and_nothing_is_lost() {
    for side in Side::BOTH {
        // The longest control frame of a server has 127 bytes.
        for room in [0, 1, 126] {
            let mut peer = Peer::either(side);
            let frames = [Frame::new(PING, "a"), Frame::new(TEXT, "b"), Frame::close(1000, "c")];
            let mut bytes: Vec<u8> =
                frames.iter().flat_map(|frame| frame.clone().for_reader(side, [0; 4]).bytes()).collect();
            let (before, length) = (format!("{:?}", peer.connection), bytes.len());
            let mut memory = vec![0; room];
            let mut out = SliceOutput::new(&mut memory);
            let mut input = &mut bytes[..];
            for _ in 0..3 {
                assert!(peer.connection.receive(&mut input, &mut out).is_none());
                assert_eq!((input.len(), out.bytes()), (length, &[][..]), "nothing was taken or written");
            }
            let long = vec![0; 200];
            assert_eq!(peer.connection.send_binary(&long, &mut out), Err(SendError::NoRoom));
            assert_eq!(peer.connection.send_part(Kind::Binary, &long, false, &mut out), Err(SendError::NoRoom));
            assert_eq!(peer.connection.ping(&[0; 125], &mut out), Err(SendError::NoRoom));
            let reason = "x".repeat(123);
            let closed = peer.connection.close(Some(CloseCode::NORMAL), &reason, &mut out);
            assert_eq!((closed, out.bytes()), (Err(SendError::NoRoom), &[][..]));
            assert_eq!(format!("{:?}", peer.connection), before, "nothing has changed");
            let mut events = 0;
            while peer.connection.receive(&mut input, &mut peer.out).is_some() {
                events += 1;
            }
            assert_eq!((events, input.len()), (3, 0));
        }
    }
    let uri = Uri::parse("ws://a/").unwrap();
    let mut none = SliceOutput::new(&mut []);
    assert!(ClientRequest::new(&uri).start([0; 16], &mut none).is_err());
}

/// rama #895: each frame moved all that lay behind it.
#[test]
fn rama_895_many_small_frames_in_one_read_move_no_bytes() {
    const FRAMES: usize = 200_000;
    // A key of zeros leaves the bytes as they are: where they are moved, they come out wrong.
    let mut bytes: Vec<u8> = (0..FRAMES).flat_map(|at| [0x82, 0x82, 0, 0, 0, 0, at as u8, (at >> 8) as u8]).collect();
    let start = bytes.as_ptr() as usize;
    let (puts, written) = (Cell::new(0), Cell::new(0));
    let mut out = Counting { puts: &puts, bytes: &written, memory: Vec::new() };
    let mut connection = server(Limits::DEFAULT);
    let mut input = &mut bytes[..];
    let mut at = 0;
    while let Some(event) = connection.receive(&mut input, &mut out) {
        let Event::Binary(binary) = event else { panic!("{event:?}") };
        assert_eq!(binary.as_bytes(), [at as u8, (at >> 8) as u8]);
        assert_eq!(binary.as_bytes().as_ptr() as usize, start + 8 * at + 6, "lent from where it was read");
        connection.send_binary(binary.as_bytes(), &mut out).unwrap();
        at += 1;
    }
    assert_eq!(at, FRAMES);
    assert_eq!(written.get(), 4 * FRAMES);
    assert!(puts.get() <= 2 * FRAMES, "{}", puts.get());
}

/// CVE-2020-36406 (uWebSockets): the stack overflowed on what a fuzzer had found.
#[test]
fn cve_2020_36406_no_input_makes_the_stack_grow() {
    let deep = || {
        let floods = [
            ("fragments", [hex("01 80 00000000"), times(100_000, "00 80 00000000")].concat()),
            ("messages", times(100_000, "81 81 00000000 61")),
            ("pongs", times(100_000, "8A 80 00000000")),
            ("fragments and pings", [hex("02 80 00000000"), times(50_000, "89 80 00000000 00 80 00000000")].concat()),
        ];
        for (name, mut bytes) in floods {
            let mut connection = server(Limits { fragments: 99_000, ..Limits::DEFAULT });
            assert!(receive(&mut connection, &mut bytes, &mut Vec::new()) >= 99_000, "{name}");
        }
        let lists = ["a, ", "a; b, ", ",", "a; b=\"\\c\", "];
        for list in lists {
            let head = super::request(&format!("Sec-WebSocket-Extensions: {}z\r\n", list.repeat(50_000)));
            assert_eq!(super::serve(head, super::NO_LIMITS).0, Ok(()), "{list}");
        }
    };
    std::thread::Builder::new().stack_size(128 << 10).spawn(deep).unwrap().join().unwrap();
}

/// CVE-2025-11677 (libwebsockets): what is handled was gone when its event was.
#[test]
fn cve_2025_11677_a_connection_can_be_dropped_or_replaced_at_any_event() {
    let frames = [
        Frame::new(TEXT, "a"),
        Frame::new(PING, "b"),
        Frame::new(BINARY, "c").fin(false),
        Frame::new(0, "d"),
        Frame::new(CLOSE, ""),
    ];
    let good: Vec<u8> =
        frames.iter().flat_map(|frame| frame.clone().for_reader(Side::Server, [0; 4]).bytes()).collect();
    for bytes in [good.clone(), [&good[..7], &hex("83")].concat()] {
        for replaced_at in 0..6 {
            let (mut bytes, mut out) = (bytes.clone(), Vec::new());
            let mut connection = Some(server(Limits::DEFAULT));
            let mut input = &mut bytes[..];
            let mut at = 0;
            while let Some(event) =
                connection.as_mut().and_then(|it: &mut Connection<_>| it.receive(&mut input, &mut out))
            {
                // The event outlives its connection: it borrows the bytes.
                if at == replaced_at {
                    connection = None;
                }
                let shown = format!("{event:?}");
                if at == replaced_at {
                    assert!(!shown.is_empty());
                    connection = Some(server(Limits::DEFAULT));
                }
                at += 1;
            }
            assert!(at > 0);
        }
    }
}
