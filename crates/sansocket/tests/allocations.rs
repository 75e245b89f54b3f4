//! The engine takes no memory: neither for messages that come nor for lengths that are declared.

use allocation_counter::measure;
use sansocket::{Connection, Either, Event, Kind, Limits, ProtocolError, Role};
use sansocket_testkit::{BINARY, CONTINUATION, Frame, Keys, PING, Peer, Side, TEXT};

/// Most messages are small: a debug build takes its time over the others.
const SMALL: [usize; 6] = [0, 1, 16, 125, 126, 1000];
const LARGE: [usize; 3] = [16 << 10, 65_535, 70_000];
const MESSAGES: usize = 10_000;

fn connection(side: Side) -> Connection<Either<Keys>> {
    Peer::either_with(side, Limits::DEFAULT).connection
}

/// Takes all of `input`, echoes every piece, and counts the messages.
fn echo<R: Role>(connection: &mut Connection<R>, mut input: &mut [u8], out: &mut Vec<u8>) -> usize {
    let mut messages = 0;
    while let Some(event) = connection.receive(&mut input, out) {
        match event {
            Event::Text(text) if text.is_whole() => connection.send_text(text.as_str(), out).unwrap(),
            Event::Text(text) => connection.send_part(Kind::Text, text.as_bytes(), text.is_last(), out).unwrap(),
            Event::Binary(binary) => {
                connection.send_part(Kind::Binary, binary.as_bytes(), binary.is_last(), out).unwrap();
            }
            _ => continue,
        }
        messages += 1;
    }
    messages
}

fn echoes_without_allocating(opcode: u8, unit: &str) {
    for side in Side::BOTH {
        let frame = |size: &usize| {
            let payload: Vec<u8> = unit.bytes().cycle().take(*size).collect();
            let payload = if size.is_multiple_of(unit.len()) { payload } else { vec![b'x'; *size] };
            Frame::new(opcode, payload).for_reader(side, [0x5A, 1, 0xFF, 0x80]).bytes()
        };
        let small: Vec<_> = SMALL.iter().map(frame).collect();
        let large: Vec<_> = LARGE.iter().map(frame).collect();
        let mut connection = connection(side);
        let mut buffer = vec![0; 80_000];
        let mut out = Vec::with_capacity(80_000);
        let mut echoed = 0;
        let info = measure(|| {
            for i in 0..MESSAGES {
                let frame = if i % 20 == 0 { &large[i / 20 % LARGE.len()] } else { &small[i % SMALL.len()] };
                // A received frame is unmasked where it lies: each needs a copy of its own.
                let input = &mut buffer[..frame.len()];
                input.copy_from_slice(frame);
                out.clear();
                echoed += echo(&mut connection, input, &mut out);
            }
        });
        assert_eq!((echoed, connection.failure()), (MESSAGES, None));
        assert_eq!((info.count_total, info.bytes_total), (0, 0), "{side:?}");
    }
}

#[test]
fn echoing_10_000_messages_of_ascii_allocates_nothing() {
    echoes_without_allocating(TEXT, "a");
}

#[test]
fn echoing_10_000_messages_of_other_text_allocates_nothing() {
    echoes_without_allocating(TEXT, "ß");
}

#[test]
fn echoing_10_000_binary_messages_allocates_nothing() {
    echoes_without_allocating(BINARY, "\u{1}");
}

#[test]
fn what_is_cut_is_held_without_allocating() {
    for side in Side::BOTH {
        let frames = [
            Frame::new(TEXT, "zerschnitten: ß€").fin(false),
            Frame::new(PING, [7; 125]),
            Frame::new(CONTINUATION, "𝄞"),
            Frame::new(BINARY, [1; 300]),
            Frame::close(1000, "bye"),
        ];
        let mut bytes: Vec<u8> =
            frames.iter().flat_map(|frame| frame.clone().for_reader(side, [9, 8, 7, 6]).bytes()).collect();
        let mut connection = connection(side);
        let mut out = Vec::with_capacity(10_000);
        let info = measure(|| {
            for byte in bytes.chunks_mut(1) {
                let mut input = byte;
                while connection.receive(&mut input, &mut out).is_some() {}
            }
        });
        assert!(connection.peer_close().is_some());
        assert_eq!((info.count_total, info.bytes_total), (0, 0));
    }
}

#[test]
fn rfc6455_10_4_a_declared_length_takes_no_memory() {
    for side in Side::BOTH {
        for (length, limits, failure) in [
            (64 << 20, Limits::DEFAULT, None),
            ((64 << 20) + 1, Limits::DEFAULT, Some(ProtocolError::MessageTooBig)),
            ((1 << 63) - 1, Limits::DEFAULT, Some(ProtocolError::MessageTooBig)),
            ((1 << 63) - 1, Limits::UNLIMITED, None),
        ] {
            let frame = Frame::new(BINARY, "some of it").declared(length).for_reader(side, [1; 4]);
            let mut bytes = frame.bytes();
            let mut connection = Peer::either_with(side, limits).connection;
            let mut out = Vec::with_capacity(200);
            let info = measure(|| {
                let mut input = &mut bytes[..];
                while connection.receive(&mut input, &mut out).is_some() {}
            });
            assert_eq!(connection.failure(), failure, "{length}");
            assert_eq!((info.count_total, info.bytes_total), (0, 0), "{length}");
        }
    }
}
