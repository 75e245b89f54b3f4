//! The loop of those who read fast, over streams of valid frames: whole messages first, cut frames moved to the buffer's front, the rest
//! of long binary messages read straight into them.

use proptest::prelude::*;
use proptest::sample::Index;
use sansocket::{Client, Connection, Either, Event, Limits, MAX_HEADER, Messages, Negotiated, OwnedMessage};
use sansocket_testkit::{BINARY, CONTINUATION, Frame, Keys, Message, PING, PONG, Peer, Received, Side, TEXT};

/// What a side's peer sends, frame by frame, and what of it has to be received.
#[derive(Clone, Debug)]
struct Sent {
    reader: Side,
    frames: Vec<Vec<u8>>,
    received: Vec<Received>,
}

impl Sent {
    fn push(&mut self, frame: Frame) {
        // No two keys are the same.
        let key = u32::try_from(self.frames.len() + 1).unwrap().wrapping_mul(0x9E37_79B1).to_be_bytes();
        self.frames.push(frame.for_reader(self.reader, key).bytes());
    }

    /// A message, cut into frames, with a control frame in front of some.
    fn message(&mut self, message: Message, cuts: &[(Index, Option<Received>)]) {
        let len = message.bytes.len();
        let mut cuts: Vec<_> = cuts.iter().map(|(cut, control)| (cut.index(len + 1), control.as_ref())).collect();
        cuts.sort_unstable_by_key(|&(cut, _)| cut);
        cuts.push((len, None));
        let (mut start, last) = (0, cuts.len() - 1);
        for (i, (end, control)) in cuts.into_iter().enumerate() {
            let opcode = match message.kind {
                _ if i > 0 => CONTINUATION,
                sansocket::Kind::Text => TEXT,
                sansocket::Kind::Binary => BINARY,
            };
            self.push(Frame::new(opcode, &message.bytes[start..end]).fin(i == last));
            start = end;
            if let Some(control) = control {
                self.push(match control {
                    Received::Ping(payload) => Frame::new(PING, payload),
                    Received::Pong(payload) => Frame::new(PONG, payload),
                    Received::Message(_) => unreachable!("a message is not a control frame"),
                });
                self.received.push(control.clone());
            }
        }
        self.received.push(Received::Message(message));
    }
}

/// Messages whose lengths lie around all the places where something changes.
fn messages() -> impl Strategy<Value = Message> {
    let lengths = prop_oneof![
        8 => 0..40_usize,
        3 => 120..132_usize,
        2 => 250..262_usize,
        2 => 2040..2056_usize,
        1 => 65_530..65_542_usize,
    ];
    (lengths, 0..3_u8).prop_map(|(len, what)| match what {
        0 => Message::text(&"x".repeat(len)),
        1 => Message::text(&"aß€𝄞".chars().cycle().take(len / 2).collect::<String>()),
        _ => Message::binary(&(0..=250).cycle().take(len).collect::<Vec<u8>>()),
    })
}

fn sent() -> impl Strategy<Value = Sent> {
    let control = (prop::collection::vec(any::<u8>(), 0..=125), any::<bool>())
        .prop_map(|(payload, is_ping)| if is_ping { Received::Ping(payload) } else { Received::Pong(payload) });
    let cuts = prop_oneof![
        Just(Vec::new()),
        prop::collection::vec((any::<Index>(), prop::option::weighted(0.3, control)), 1..5)
    ];
    (any::<bool>(), prop::collection::vec((messages(), cuts), 1..8)).prop_map(|(is_server, messages)| {
        let reader = if is_server { Side::Server } else { Side::Client };
        let mut sent = Sent { reader, frames: Vec::new(), received: Vec::new() };
        for (message, cuts) in messages {
            sent.message(message, &cuts);
        }
        sent
    })
}

/// What is missing of the frame that `there` bytes of input begin with, `at` bytes into the stream.
fn missing(frames: &[Vec<u8>], at: usize, there: usize) -> u64 {
    let mut begins = 0;
    for frame in frames {
        if begins == at && there > 0 && there < frame.len() {
            let length = match frame[1] & 0x7F {
                126 => 4,
                127 => 10,
                _ => 2,
            };
            let header = length + if frame[1] & 0x80 == 0 { 0 } else { 4 };
            return if there < header { 1 } else { (frame.len() - there) as u64 };
        }
        begins += frame.len();
    }
    // The frame is there, or none begins here.
    0
}

/// Reads what was sent into a buffer of `size` bytes, in reads of at most these sizes in turn.
fn read(sent: &Sent, size: usize, reads: &[usize]) -> Result<Vec<Received>, TestCaseError> {
    let role = match sent.reader {
        Side::Server => Either::Server,
        Side::Client => Either::Client(Client::new(Keys::default())),
    };
    let mut connection = Connection::new(role, Negotiated::default(), Limits::default());
    let wire = sent.frames.concat();
    let (mut messages, mut out, mut received) = (Messages::new(), Vec::new(), Vec::new());
    let whole = |message: OwnedMessage| {
        let message = message.as_message();
        Received::Message(Message { kind: message.kind(), bytes: message.as_bytes().to_vec() })
    };
    let (mut buffer, mut kept, mut at) = (vec![0; size], 0, 0);
    for &most in reads.iter().cycle() {
        let left = &wire[at..];
        if left.is_empty() {
            break;
        }
        // The rest of a long message goes to where it belongs.
        if kept == 0
            && connection.payload_left() >= size as u64
            && let Some(room) = messages.room(connection.payload_left()).unwrap()
        {
            let count = room.len().min(most).min(left.len());
            room[..count].copy_from_slice(&left[..count]);
            at += count;
            if messages.received(count, &mut connection) {
                received.push(whole(messages.take().unwrap()));
            }
            continue;
        }
        let count = (size - kept).min(most).min(left.len());
        buffer[kept..kept + count].copy_from_slice(&left[..count]);
        at += count;
        let end = kept + count;
        let mut input = &mut buffer[..end];
        loop {
            let lacks = connection.missing(input);
            prop_assert_eq!(lacks, missing(&sent.frames, at - input.len(), input.len()));
            if lacks > 0 && lacks <= (size - input.len()) as u64 {
                break;
            }
            let event = connection.receive_whole(&mut input, &mut out);
            let Some(event) = event.or_else(|| connection.receive(&mut input, &mut out)) else { break };
            match event {
                Event::Ping => received.push(Received::Ping(connection.control().to_vec())),
                Event::Pong => received.push(Received::Pong(connection.control().to_vec())),
                event => {
                    let Some(piece) = event.piece() else { return Err(TestCaseError::fail(format!("{event:?}"))) };
                    if piece.is_last() {
                        received.push(whole(messages.finish(piece).unwrap().to_owned()));
                    } else {
                        messages.append(piece).unwrap();
                    }
                }
            }
        }
        kept = input.len();
        buffer.copy_within(end - kept..end, 0);
    }
    prop_assert_eq!(kept, 0, "nothing is left");
    Ok(received)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_loop_of_those_who_read_fast_receives_what_was_sent(
        sent in sent(),
        size in prop_oneof![MAX_HEADER..64, 64..5000_usize, Just(16 << 10), Just(70_000)],
        reads in prop::collection::vec(prop_oneof![1..20_usize, 20..3000_usize, Just(usize::MAX)], 1..6),
    ) {
        // In reads of any sizes, as much as there is room for, and byte for byte.
        for reads in [&reads[..], &[usize::MAX], &[1]] {
            prop_assert_eq!(&read(&sent, size, reads)?, &sent.received);
        }
    }
}

#[test]
fn the_rest_of_a_cut_header_is_not_taken_for_a_fragment() {
    for side in Side::BOTH {
        // What follows two bytes of such headers looks like a continuation frame of five bytes, masked or not, or of none.
        for len in [0x0085, 0x8005, 0x1_0000] {
            let frames = [Frame::new(BINARY, "a").fin(false), Frame::new(CONTINUATION, vec![7; len])];
            let [first, last] = frames.map(|frame| frame.for_reader(side, [0x80; 4]).bytes());
            for cut in 1..MAX_HEADER {
                let mut peer = Peer::either(side);
                peer.feed(&first).feed(&last[..cut]).feed(&last[cut..]);
                peer.expect_binary(&[b"a", &vec![7; len][..]].concat()).expect_nothing();
            }
        }
    }
}
