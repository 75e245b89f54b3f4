//! Work of the engine to be counted: `instructions CASE COUNT` receives or sends so many messages or heads, or some more to make a whole read of them, and
//! says how many; `instructions` alone lists the cases.
//!
//! `cargo xtask instructions` runs it under a simulator. Two runs with different counts leave out everything that is done once.

use std::env;
use std::hint::black_box;

use sansocket::handshake::{HeadLimits, RequestProgress, ServerHandshake};
use sansocket::{Client, Connection, Event, Limits, MaskKeys, Negotiated, Role, Server};
use sansocket_testkit::{BINARY, CONTINUATION, Frame, Side, TEXT};

/// How much is received at a time, in bytes: as an adapter reads it.
const READ: usize = 16 * 1024;

type Case = (&'static str, fn(u64) -> u64);

const CASES: [Case; 15] = [
    ("receive/server/binary/16", |count| receive(Server, Side::Server, binary(16), count)),
    ("receive/server/binary/125", |count| receive(Server, Side::Server, binary(125), count)),
    ("receive/server/binary/1024", |count| receive(Server, Side::Server, binary(1024), count)),
    ("receive/server/ascii/125", |count| receive(Server, Side::Server, text("The quick brown fox. ", 125), count)),
    ("receive/server/mixed/1024", |count| receive(Server, Side::Server, text("Grüße, 世界! 🙂 ", 1024), count)),
    ("receive/server/fragments/1024", |count| receive(Server, Side::Server, fragments(1024, 64), count)),
    ("receive/client/binary/125", |count| receive(client(), Side::Client, binary(125), count)),
    ("receive/client/ascii/125", |count| receive(client(), Side::Client, text("The quick brown fox. ", 125), count)),
    // Work in proportion to a head's bytes, however it comes: sixteen times the bytes take sixteen times the instructions, and no more.
    ("head/server/1024", |count| head(1024, count)),
    ("head/server/16384", |count| head(16 * 1024, count)),
    ("send/server/binary/125", |count| send(Server, 125, count)),
    ("send/server/binary/1024", |count| send(Server, 1024, count)),
    ("send/client/binary/125", |count| send(client(), 125, count)),
    ("send/client/binary/1024", |count| send(client(), 1024, count)),
    ("send/client/binary/16384", |count| send(client(), 16 * 1024, count)),
];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments[..] {
        [] => CASES.iter().for_each(|(name, _)| println!("{name}")),
        [case, count] => {
            let (_, work) = CASES.iter().find(|(name, _)| name == case).expect("a case of the list");
            println!("{}", work(count.parse().expect("a number of messages")));
        }
        _ => panic!("a case and a count"),
    }
}

/// Keys without a generator, whose work is not the engine's.
fn client() -> Client<impl MaskKeys> {
    let mut last = 0_u32;
    Client::new(move || {
        last = last.wrapping_add(0x9E37_79B9);
        last.to_be_bytes()
    })
}

fn binary(len: usize) -> Vec<Frame> {
    vec![Frame::new(BINARY, (0..=255).cycle().take(len).collect::<Vec<u8>>())]
}

fn text(pattern: &str, len: usize) -> Vec<Frame> {
    let mut text: String = pattern.chars().cycle().take(len / 4).collect();
    text.extend((text.len()..len).map(|_| '.'));
    while text.len() > len {
        text.pop();
    }
    vec![Frame::new(TEXT, text)]
}

fn fragments(len: usize, each: usize) -> Vec<Frame> {
    let payload: Vec<u8> = (0..=255).cycle().take(len).collect();
    let parts: Vec<_> = payload.chunks(each).collect();
    let frame = |(at, part): (usize, &&[u8])| {
        let opcode = if at == 0 { BINARY } else { CONTINUATION };
        Frame::new(opcode, part).fin(at + 1 == parts.len())
    };
    parts.iter().enumerate().map(frame).collect()
}

/// Receives a message again and again, as many at a time as a read would bring.
fn receive<R: Role>(role: R, side: Side, frames: Vec<Frame>, count: u64) -> u64 {
    // Under this key, what was unmasked is what it was, and can be received again without being written anew: a copy would be counted byte by byte.
    let message: Vec<u8> = frames.into_iter().flat_map(|frame| frame.for_reader(side, [0; 4]).bytes()).collect();
    let each = (READ / message.len()).max(1);
    let mut buffer = message.repeat(each);
    let mut connection = Connection::new(role, Negotiated::default(), Limits::default());
    let mut out = Vec::new();
    let mut received = 0;
    while received < count {
        let mut input = &mut buffer[..];
        while let Some(event) = connection.receive(&mut input, &mut out) {
            match event {
                Event::Binary(piece) => {
                    received += u64::from(piece.is_last());
                    black_box(piece.as_bytes());
                }
                Event::Text(piece) => {
                    received += u64::from(piece.is_last());
                    black_box(piece.as_bytes());
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(out.is_empty() && received == count.next_multiple_of(each as u64), "all of it is good");
    received
}

/// Receives a request of this length again and again, byte for byte.
fn head(len: usize, count: u64) -> u64 {
    let mut text = String::from(
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nCookie: ",
    );
    text.extend((text.len() + 4..len).map(|_| 'x'));
    text.push_str("\r\n\r\n");
    assert_eq!(text.len(), len);
    let limits = HeadLimits { bytes: len, ..HeadLimits::DEFAULT };
    let mut out = Vec::new();
    for _ in 0..count {
        let mut handshake = ServerHandshake::new().limits(limits);
        for end in 1..len {
            assert!(matches!(handshake.receive(&text.as_bytes()[..end], &mut out), RequestProgress::Incomplete));
        }
        assert!(matches!(handshake.receive(text.as_bytes(), &mut out), RequestProgress::Request(_)));
    }
    count
}

/// Sends a message again and again, into an output that is emptied like a socket's.
fn send<R: Role>(role: R, len: usize, count: u64) -> u64 {
    let payload: Vec<u8> = (0..=255).cycle().take(len).collect();
    let mut connection = Connection::new(role, Negotiated::default(), Limits::default());
    let mut out = Vec::with_capacity(8 * READ);
    for _ in 0..count {
        connection.send_binary(black_box(&payload), &mut out).expect("it is open");
        if out.len() > 4 * READ {
            black_box(&out);
            out.clear();
        }
    }
    count
}
