//! How often is read, and how much at once: what comes out does not depend on it.

use std::io;
use std::sync::{Arc, Mutex};

use allocation_counter::measure;
use proptest::prelude::*;
use sansocket_std::sansocket::{Client, Connection};
use sansocket_std::{
    AcceptOptions, Direction, Error, Kind, Limits, Message, Negotiated, OwnedMessage, Piece, ProtocolError, WebSocket,
};

use crate::script::{Script, server};

/// A message in fragments of these lengths, with a Ping before each but the first if that is wanted.
#[derive(Clone, Debug)]
struct Sent {
    kind: Kind,
    fragments: Vec<usize>,
    pings: bool,
}

impl Sent {
    fn binary(len: usize) -> Self {
        Self { kind: Kind::Binary, fragments: vec![len], pings: false }
    }

    fn message(&self) -> OwnedMessage {
        let len = self.fragments.iter().sum();
        match self.kind {
            Kind::Text => OwnedMessage::Text("aé€😀".repeat(len / 10) + &"x".repeat(len % 10)),
            Kind::Binary => OwnedMessage::Binary((0..len).map(|i| i.wrapping_mul(31).to_le_bytes()[0]).collect()),
        }
    }
}

fn wire(sent: &[Sent]) -> Vec<u8> {
    let mut client = Connection::new(Client::new(|| [1, 2, 3, 4]), Negotiated::default(), Limits::UNLIMITED);
    let mut wire = Vec::new();
    for sent in sent {
        let message = sent.message();
        let mut payload = message.as_message().as_bytes();
        for (at, &len) in sent.fragments.iter().enumerate() {
            if sent.pings && at > 0 {
                client.ping(&[7; 100], &mut wire).unwrap();
            }
            let part = payload.split_off(..len).unwrap();
            client.send_part(sent.kind, part, at + 1 == sent.fragments.len(), &mut wire).unwrap();
        }
    }
    wire
}

/// Repeats a call that runs into a time limit.
fn patiently<T>(mut call: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    loop {
        match call() {
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
    }
}

/// All messages, and how the connection ended.
fn read_all(mut read: impl FnMut() -> Result<Option<OwnedMessage>, Error>) -> (Vec<OwnedMessage>, String) {
    let mut messages = Vec::new();
    loop {
        match patiently(&mut read) {
            Ok(Some(message)) => messages.push(message),
            end => return (messages, format!("{end:?}")),
        }
    }
}

/// As [`read_all`], joined here from the pieces that are lent.
fn read_pieces(mut ws: WebSocket<Script>) -> (Vec<OwnedMessage>, String) {
    read_all(|| {
        let mut payload = Vec::new();
        loop {
            let (kind, last) = match ws.read_piece()? {
                Some(piece) => {
                    payload.extend_from_slice(piece.as_bytes());
                    (piece.kind(), piece.is_last())
                }
                None => return Ok(None),
            };
            if last {
                return Ok(Some(match kind {
                    Kind::Text => OwnedMessage::Text(String::from_utf8(payload).unwrap()),
                    Kind::Binary => OwnedMessage::Binary(payload),
                }));
            }
        }
    })
}

/// Reads `wire` to its end in every way there is, and holds each against a read of piece after piece, byte by byte.
fn compare(wire: &[u8], sizes: &[usize], buffer: usize, limits: Limits, error: Option<io::ErrorKind>) {
    let script = |sizes: &[usize]| {
        let script = Script::new(wire, sizes);
        script.state().error = error;
        script
    };
    let options = AcceptOptions::new().limits(limits);
    let stream = script(&[1]);
    let expected = read_pieces(server(options.read_buffer(1), &stream));
    let replies = stream.state().written.clone();
    let options = options.read_buffer(buffer);
    for way in ["lent", "owned", "split"] {
        let stream = script(sizes);
        let mut ws = server(options, &stream);
        let result = match way {
            "lent" => read_all(|| Ok(ws.read()?.map(|message| message.to_owned()))),
            "owned" => read_all(|| ws.read_owned()),
            _ => {
                let seen = Arc::new(Mutex::new(Vec::new()));
                let trace = Arc::clone(&seen);
                let (mut reader, _writer) = ws
                    .split_traced(move |direction, bytes| {
                        if direction == Direction::Received {
                            trace.lock().unwrap().extend_from_slice(bytes);
                        }
                    })
                    .unwrap();
                let result = read_all(|| Ok(reader.read()?.map(|message| message.to_owned())));
                let seen = seen.lock().unwrap();
                assert!(wire.starts_with(&seen), "{way}: the trace is not what came");
                result
            }
        };
        assert!(result == expected, "{way}: {} instead of {}", result.1, expected.1);
        assert_eq!(stream.state().written, replies, "{way}");
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let fragment = prop_oneof![0_usize..200, 0_usize..3000];
    (any::<bool>(), prop::collection::vec(fragment, 1..5), any::<bool>()).prop_map(|(is_text, fragments, pings)| Sent {
        kind: if is_text { Kind::Text } else { Kind::Binary },
        fragments,
        pings,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_comes_out_does_not_depend_on_how_it_was_read(
        sent in prop::collection::vec(sent(), 1..6),
        sizes in prop::collection::vec(prop_oneof![0_usize..3, 1_usize..5000, Just(usize::MAX)], 0..5),
        buffer in prop_oneof![1_usize..40, 40_usize..1200, 1200_usize..4000],
        bad in prop::sample::select(vec![&b""[..], b"\x83", b"\x81\x82\0\0\0\0a\xFF", b"\x81\x84\0\0\0\0\xFF", b"\x82\xFE\x80\0"]),
        cut in prop_oneof![Just(0_usize), 0_usize..6000],
        error in prop::option::of(Just(io::ErrorKind::ConnectionReset)),
    ) {
        let mut wire = wire(&sent);
        wire.truncate(wire.len().saturating_sub(cut).max(1));
        if cut == 0 {
            wire.extend_from_slice(bad);
        }
        // Something comes at some time, whatever the turn's error is.
        let sizes = [&sizes[..], &[700, 3]].concat();
        compare(&wire, &sizes, buffer, Limits { message: 12_000, ..Limits::DEFAULT }, error);
    }
}

#[test]
fn an_end_at_any_byte_is_told_as_what_it_is() {
    let short = [3, 40, 40, 40].map(Sent::binary);
    let wire = wire(&[&short[..], &[Sent { kind: Kind::Binary, fragments: vec![300, 200], pings: true }]].concat());
    for end in 0..=wire.len() {
        for sizes in [&[usize::MAX][..], &[50], &[70, 0, 0, 30]] {
            for error in [None, Some(io::ErrorKind::ConnectionReset)] {
                compare(&wire[..end], sizes, 64, Limits::DEFAULT, error);
            }
        }
    }
}

#[test]
fn a_mebibyte_takes_few_reads_and_little_of_it_is_copied() {
    const LEN: usize = 1 << 20;
    let wire = wire(&[Sent::binary(LEN), Sent::binary(5)]);
    let stream = Script::generous(&wire);
    let mut ws = server(AcceptOptions::new(), &stream);
    assert!(ws.read().unwrap() == Some(Sent::binary(LEN).message().as_message()));
    assert!(ws.read().unwrap() == Some(Sent::binary(5).message().as_message()));
    let reads = stream.reads();
    assert!(reads.len() <= 9, "{reads:?}");
    // What goes through the buffer is copied: the beginning and the end.
    let buffer = reads[0].0;
    let copied: usize = reads.iter().map(|&(room, count)| if room <= buffer { count } else { 0 }).sum();
    assert!(copied <= 2 * buffer, "{reads:?}");
    assert!(reads.iter().all(|&(room, _)| room <= 256 << 10), "{reads:?}");
}

#[test]
fn a_message_of_16_kib_is_read_at_once_and_not_joined() {
    const COUNT: usize = 50;
    const LEN: usize = 16 << 10;
    // The second time behind something that makes each read end inside of a message.
    for before in [0, 100] {
        let wire = wire(&[&vec![Sent::binary(before); 1][..], &vec![Sent::binary(LEN); COUNT]].concat());
        let stream = Script::generous(&wire);
        let mut ws = server(AcceptOptions::new(), &stream);
        assert_eq!(ws.read().unwrap().unwrap().as_bytes().len(), before);
        let expected = Sent::binary(LEN).message();
        let info = measure(|| {
            for _ in 0..COUNT {
                assert!(ws.read().unwrap() == Some(expected.as_message()));
            }
        });
        // What the stream notes.
        assert!(info.bytes_total < LEN as u64, "{info:?}");
        let reads = stream.reads().len();
        assert!(reads <= COUNT + 2, "{reads}");
    }
}

#[test]
fn the_limit_of_a_message_is_the_same_for_what_is_read_straight() {
    const LIMIT: usize = 200_000;
    let options = AcceptOptions::new().limits(Limits { message: LIMIT as u64, ..Limits::DEFAULT });
    for fragments in [vec![LIMIT], vec![100_000, 100_000], vec![1, LIMIT - 1]] {
        let mut sent = Sent { kind: Kind::Binary, fragments, pings: false };
        let ws = &mut server(options, &Script::generous(&wire(&[sent.clone()])));
        assert!(ws.read().unwrap() == Some(sent.message().as_message()));

        *sent.fragments.last_mut().unwrap() += 1;
        let stream = Script::generous(&wire(&[sent]));
        let error = server(options, &stream).read().unwrap_err();
        assert!(matches!(error, Error::Violation(ProtocolError::MessageTooBig)), "{error}");
        assert_eq!(stream.state().written[2..4], 1009_u16.to_be_bytes());
    }
}

#[test]
fn memory_is_taken_for_what_has_come_and_not_for_what_was_announced() {
    let wire = wire(&[Sent::binary(50 << 20)]);
    for (there, most) in [(100, 200 << 10), (100_000, 500 << 10)] {
        let stream = Script::generous(&wire[..there]);
        let mut ws = server(AcceptOptions::new(), &stream);
        let info = measure(|| assert!(ws.read().is_err()));
        assert!(info.bytes_max < most, "{there}: {info:?}");
    }
}

#[test]
fn a_violation_in_a_frame_that_is_not_whole_is_answered_before_more_is_read() {
    // A text of 9 bytes that begins badly, of which three have come.
    let bad = b"\x81\x89\0\0\0\0ab\xFF";
    let wire = [&wire(&[Sent::binary(50)])[..], bad].concat();
    let stream = Script::generous(&wire);
    let mut ws = server(AcceptOptions::new(), &stream);
    assert_eq!(ws.read().unwrap().unwrap().as_bytes().len(), 50);
    assert!(matches!(ws.read(), Err(Error::Violation(ProtocolError::InvalidUtf8))));
    assert_eq!(stream.state().reads_before_writing, Some(1));
}

#[test]
fn pieces_are_lent_from_the_buffer_however_long_the_message_is() {
    let sent = Sent::binary(200_000);
    let stream = Script::generous(&wire(std::slice::from_ref(&sent)));
    let mut ws = server(AcceptOptions::new().read_buffer(1000), &stream);
    let mut payload = Vec::new();
    while let Some(Piece::Binary(piece)) = ws.read_piece().unwrap() {
        payload.extend_from_slice(piece.as_bytes());
        if piece.is_last() {
            break;
        }
    }
    assert!(sent.message().as_message() == Message::Binary(&payload));
    assert!(stream.reads().iter().all(|&(room, _)| room <= 1000));
}

#[test]
fn what_a_read_has_left_of_a_message_does_not_get_into_one_whose_beginning_was_taken_in_pieces() {
    for kind in [Kind::Text, Kind::Binary] {
        let second = Sent { kind, fragments: vec![3000, 3000], pings: false };
        // The first read runs into a limit behind a part of the first message.
        let mut sizes = vec![700, 0, 0];
        sizes.resize(100, usize::MAX);
        let stream = Script::new(&wire(&[Sent::binary(2000), second.clone()]), &sizes);
        let mut ws = server(AcceptOptions::new().read_buffer(500), &stream);
        assert!(matches!(ws.read(), Err(Error::Io(_))));
        while !ws.read_piece().unwrap().unwrap().is_last() {}
        let mut begun = 0;
        while begun < 1000 {
            begun += ws.read_piece().unwrap().unwrap().as_bytes().len();
        }
        let rest = ws.read().unwrap().unwrap();
        assert_eq!(rest.kind(), kind);
        assert!(rest.as_bytes() == &second.message().as_message().as_bytes()[begun..], "{kind:?}");
    }
}
