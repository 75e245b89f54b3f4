//! Conversations: what is said, by whom and how, and how it is heard.

use std::iter;

use sansocket_testkit::{CLOSE, PING, PONG, Side, close_body};
use sansocket_tokio::{AcceptOptions, ConnectOptions, Negotiated, OwnedMessage, Timeouts, WebSocket};

use crate::tasks::Cuts;
use crate::wire::{End, Hand, wire};

/// By which call a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Queue,
    Send,
    #[cfg(feature = "deflate")]
    QueueCompressed,
    #[cfg(feature = "deflate")]
    SendCompressed,
    /// A client cannot: it queues.
    Prepared,
    /// In parts of so many bytes, with a ping between them.
    Parts(usize),
    #[cfg(feature = "deflate")]
    PartsCompressed(usize),
}

/// By which call a message is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hear {
    Lent,
    Owned,
    Pieces,
    /// With the means to answer, and the answer is the message. Where there are none, as a lent one.
    Echo,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) by: Side,
    pub(crate) how: How,
    pub(crate) message: OwnedMessage,
    /// The payload of a ping that goes before it.
    pub(crate) ping: Option<Vec<u8>>,
    pub(crate) is_flushed: bool,
    pub(crate) hear: Hear,
}

/// Bytes of which no two messages have the same.
pub(crate) fn bytes(len: usize) -> Vec<u8> {
    let mut state = len as u64;
    let noise = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()[7]
    };
    (0..len).map(noise).collect()
}

/// As [`bytes`], and a text.
pub(crate) fn text(len: usize) -> String {
    let ascii: String = bytes(len).into_iter().map(|byte| char::from(b'a' + byte % 26)).collect();
    if len < 100 { ascii } else { format!("größer: {ascii}") }
}

/// Messages of these lengths by both sides in turn: text and binary, sent and received in all these ways.
pub(crate) fn script(lens: &[usize], hows: &[How], hears: &[Hear]) -> Vec<Line> {
    let mut lines = Vec::new();
    for (at, &how) in hows.iter().enumerate() {
        for (turn, &len) in lens.iter().enumerate() {
            let by = if (at + turn) % 2 == 0 { Side::Client } else { Side::Server };
            let number = lines.len();
            let message = match number % 3 {
                0 => OwnedMessage::Text(text(len)),
                _ => OwnedMessage::Binary(bytes(len)),
            };
            lines.push(Line {
                by,
                how,
                message,
                ping: (number % 2 == 1).then(|| bytes(number % 126)),
                is_flushed: number % 5 == 3,
                hear: hears[number % hears.len()],
            });
        }
    }
    // Each side hears something last, behind all pings: then all has come, and what is left is to close.
    for by in [Side::Client, Side::Server] {
        let message = OwnedMessage::Text("that was all".into());
        lines.push(Line { by, how: How::Send, message, ping: None, is_flushed: true, hear: Hear::Owned });
    }
    lines
}

/// Where a conversation takes place.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// How much fits on the wire: from the client to the server, and back.
    pub(crate) capacities: (usize, usize),
    /// How both ends behave, as in [`Manners::turns`](crate::wire::Manners::turns).
    pub(crate) turns: Vec<usize>,
    pub(crate) read_buffer: usize,
    pub(crate) is_vectored: bool,
    pub(crate) negotiated: Negotiated,
}

impl Place {
    pub(crate) fn new(capacities: (usize, usize), turns: &[usize], read_buffer: usize) -> Self {
        let negotiated = Negotiated::default();
        Self { capacities, turns: turns.to_vec(), read_buffer, is_vectored: false, negotiated }
    }

    /// A client and a server, and a look at the ends that they have.
    pub(crate) fn open(&self) -> ([WebSocket<End>; 2], [Hand; 2]) {
        let (client, server) = wire(self.capacities.0, self.capacities.1);
        let hands = [client.hand(), server.hand()];
        for hand in &hands {
            hand.manners().turns.clone_from(&self.turns);
            hand.manners().is_vectored = self.is_vectored;
        }
        let connect = ConnectOptions::new().timeouts(Timeouts::NONE).read_buffer(self.read_buffer);
        let accept = AcceptOptions::new().timeouts(Timeouts::NONE).read_buffer(self.read_buffer);
        #[cfg(feature = "deflate")]
        let (connect, accept) = (connect.compression(Default::default()), accept.compression(Default::default()));
        let sides = [connect.upgraded(client, self.negotiated, &[]), accept.upgraded(server, self.negotiated, &[])];
        (sides, hands)
    }
}

/// Holds a conversation as often as one of the two waits in it, and drops the future at that wait; then again, and drops one in two and one
/// in three of all. What `hold` gets are the cuts of the client and of the server.
pub(crate) fn give_up_at_each_wait(hold: impl Fn([Cuts; 2])) {
    let count = [Cuts::none(), Cuts::none()];
    hold(count.clone());
    let waits = count.map(|cuts| cuts.waits());
    assert!(waits.iter().all(|&waits| waits > 5), "{waits:?}: hardly anything waits");
    for at in 0..waits[0] {
        hold([Cuts::new(move |wait| wait == at), Cuts::none()]);
    }
    for at in 0..waits[1] {
        hold([Cuts::none(), Cuts::new(move |wait| wait == at)]);
    }
    for each in 2..4 {
        for first in 0..each {
            hold([(); 2].map(|()| Cuts::new(move |wait| wait % each == first)));
        }
    }
}

/// Whether the wire has carried the pings of this script, a pong for each, and a Close behind everything. (The messages are held against the
/// script by those who hear them.)
pub(crate) fn check_wire(script: &[Line], hands: &[Hand; 2]) {
    for (side, hand) in [Side::Client, Side::Server].into_iter().zip(hands) {
        let frames = control_frames(&hand.written());
        let of =
            |wanted| frames.iter().filter(move |(opcode, _)| *opcode == wanted).map(|(_, payload)| payload.clone());
        let said = |by| script.iter().filter(move |line| line.by == by).flat_map(Line::pings);
        assert!(of(PING).eq(said(side)), "{side:?}: pings");
        assert!(of(PONG).eq(said(side.other())), "{side:?}: pongs");
        assert_eq!(of(CLOSE).count(), 1, "{side:?}");
        let (last, close) = frames.last().unwrap();
        assert!(*last == CLOSE && close.starts_with(&close_body(1000, "")), "{side:?}");
    }
}

/// Opcodes and payloads of the control frames in a stream of whole frames.
fn control_frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let extended = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let (len, rest) = rest.split_at(extended);
        let len = match extended {
            0 => usize::from(second & 0x7F),
            _ => len.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
        };
        let (key, rest) = rest.split_at(if second & 0x80 == 0 { 0 } else { 4 });
        let (payload, rest) = rest.split_at(len);
        if first & 0x08 != 0 {
            let unmasked = payload.iter().zip(key.iter().chain(iter::repeat_n(&0, 4 - key.len())).cycle());
            frames.push((first & 0x0F, unmasked.map(|(byte, key)| byte ^ key).collect()));
        }
        bytes = rest;
    }
    assert!(bytes.is_empty(), "half a frame");
    frames
}

impl Line {
    /// The payloads of the pings that go with it.
    fn pings(&self) -> impl Iterator<Item = Vec<u8>> {
        let between = (1..self.parts().len()).map(|at| at.to_be_bytes().to_vec());
        self.ping.iter().cloned().chain(between)
    }

    /// What is sent part by part: all but the first part have a ping before them.
    pub(crate) fn parts(&self) -> Vec<&[u8]> {
        let bytes = self.message.as_message().as_bytes();
        match self.how {
            How::Parts(_) if bytes.is_empty() => vec![bytes],
            How::Parts(len) => bytes.chunks(len).collect(),
            #[cfg(feature = "deflate")]
            How::PartsCompressed(_) if bytes.is_empty() => vec![bytes],
            #[cfg(feature = "deflate")]
            How::PartsCompressed(len) => bytes.chunks(len).collect(),
            _ => Vec::new(),
        }
    }
}
