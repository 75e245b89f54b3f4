//! What is measured, and who takes part.

use std::hint::black_box;

use sansocket::{Client, RandomKeys, Role, Server, Text};

use crate::report::{Class, Contestant, Report};
use crate::wire::{LongWire, Payload, Side, Wire, frame_len, violations};
use crate::{Receive, Send, fastwebsockets, limits, nexus, ours, tokio_websockets, tungstenite, websocket_sans_io};

const SIZES: [usize; 5] = [16, 125, 1 << 10, 16 << 10, 1 << 20];

/// Sizes of messages that nobody keeps as a whole.
const STREAMED: [usize; 5] = [1 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20];

/// A fragmented message has fragments of at most 4 KiB, and at least 4 of them.
const FRAGMENT: usize = 4 << 10;
const FRAGMENTS: usize = 4;

pub(crate) fn run(report: &mut Report) {
    receive(report, "receive/server/binary", Side::Server, Payload::binary, |_| 1, Reads::Full);
    receive(report, "receive/server/ascii", Side::Server, Payload::ascii, |_| 1, Reads::Full);
    receive(report, "receive/server/mixed", Side::Server, Payload::mixed, |_| 1, Reads::Full);
    receive(report, "receive/client/ascii", Side::Client, Payload::ascii, |_| 1, Reads::Full);
    let fragments = |size: usize| FRAGMENTS.max(size / FRAGMENT);
    receive(report, "fragments/server/binary", Side::Server, Payload::binary, fragments, Reads::Full);
    receive(report, "one-per-read/server/binary", Side::Server, Payload::binary, |_| 1, Reads::OneMessage);
    send(report, "send/server/binary", Side::Server, || Server);
    send(report, "send/client/binary", Side::Client, || Client::new(RandomKeys));
    stream(report, "stream/server/binary");
    byte_by_byte(report, "byte by byte/server/binary, per byte");
}

/// How much one read brings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// As much as there is room for.
    Full,
    /// No more than one message.
    OneMessage,
}

fn receive(
    report: &mut Report,
    case: &str,
    side: Side,
    payload: fn(usize) -> Payload,
    fragments: impl Fn(usize) -> usize,
    reads: Reads,
) {
    if !report.wants(case) {
        return;
    }
    for payload in SIZES.map(payload) {
        let wire = Wire::carrying(payload, fragments(payload.len()), side);
        let wire = if reads == Reads::OneMessage { wire.one_message_per_read(payload, side) } else { wire };
        let row = Row { payload, side, wire };
        let mut contestants = Vec::new();
        // A text that is found to be ASCII while it is unmasked costs a further pass only if it is looked at as a `str`.
        contestants.push(row.ours("sansocket", |_| {}));
        if matches!(payload, Payload::Text(text) if text.is_ascii()) {
            contestants.push(row.ours("sansocket, as &str", |text| {
                black_box(text.as_str());
            }));
        }
        for (name, config) in tungstenite::configs() {
            contestants.push(row.peer(name, |wire| tungstenite::Receiver::new(side, wire, config)));
        }
        contestants.push(row.peer("fastwebsockets", |wire| fastwebsockets::Receiver::new(side, wire)));
        contestants.push(row.peer("tokio-websockets", |wire| tokio_websockets::Receiver::new(side, wire)));
        contestants.push(row.peer("nexus-web", |wire| nexus::Receiver::new(side, wire)));
        contestants.push(row.peer("websocket-sans-io", websocket_sans_io::Receiver::new));
        contestants.push(row.contestant("bare parser", Class::Limit, Vec::new(), limits::Bare::new));
        let sender = if side == Side::Server { Side::Client } else { Side::Server };
        let frame_len = frame_len(payload, sender);
        let pass = |name, wire: &Wire, work: fn(&mut [u8])| Contestant {
            name,
            class: Class::Limit,
            lacks: Vec::new(),
            run: Box::new(limits::pass(wire.clone(), frame_len, work)),
        };
        if payload.is_text() {
            let unmasked = Wire::carrying(payload, 1, Side::Client);
            contestants.push(pass("memcpy and simdutf8", &unmasked, limits::validate));
        }
        contestants.push(pass("memcpy and XOR", &row.wire, limits::xor));
        contestants.push(pass("memcpy", &row.wire, limits::copy));
        report.measure(case, payload.len(), contestants);
    }
}

/// What all receivers of a row are given.
struct Row {
    payload: Payload,
    side: Side,
    wire: Wire,
}

impl Row {
    fn ours(&self, name: &'static str, look: fn(&Text<'_>)) -> Contestant<'static> {
        match self.side {
            Side::Server => self.strict(name, |wire| ours::Receiver::new(Server, wire, look)),
            Side::Client => self.strict(name, |wire| ours::Receiver::new(Client::new(RandomKeys), wire, look)),
        }
    }

    fn strict<R: Receive + 'static>(&self, name: &'static str, new: impl Fn(Wire) -> R) -> Contestant<'static> {
        let lacks = self.lacks(&new);
        assert!(lacks.is_empty(), "{name} lets pass {lacks:?}");
        self.contestant(name, Class::Ours, lacks, new)
    }

    fn peer<R: Receive + 'static>(&self, name: &'static str, new: impl Fn(Wire) -> R) -> Contestant<'static> {
        self.contestant(name, Class::Peer, self.lacks(&new), new)
    }

    fn contestant<R: Receive + 'static>(
        &self,
        name: &'static str,
        class: Class,
        lacks: Vec<&'static str>,
        new: impl Fn(Wire) -> R,
    ) -> Contestant<'static> {
        check(self.payload, checked_count(self.payload), &mut new(self.wire.clone()));
        let mut receiver = new(self.wire.clone());
        let run = move |count| {
            let received = receiver.receive(count, |message| {
                black_box(message);
            });
            received.expect("the wire carries messages");
        };
        Contestant { name, class, lacks, run: Box::new(run) }
    }

    /// What it receives although it should not.
    fn lacks<R: Receive>(&self, new: &impl Fn(Wire) -> R) -> Vec<&'static str> {
        let violations = violations(self.payload, self.side).into_iter();
        let passes = |before, wire| new(wire).receive(before as u64 + 1, |_| {}).is_ok();
        let mut lacks: Vec<_> =
            violations.filter_map(|(what, before, wire)| passes(before, wire).then_some(what)).collect();
        lacks.dedup();
        lacks
    }
}

fn send<R: Role + 'static>(report: &mut Report, case: &str, side: Side, role: fn() -> R) {
    if !report.wants(case) {
        return;
    }
    for payload in SIZES.map(Payload::binary) {
        let mut contestants = vec![
            sender("sansocket", Class::Ours, payload, side, ours::Sender::new(role())),
            sender("sansocket, copying", Class::Ours, payload, side, ours::Sender::copying(role())),
        ];
        for (name, config) in tungstenite::configs() {
            contestants.push(sender(name, Class::Peer, payload, side, tungstenite::Sender::new(side, config)));
        }
        contestants.extend([
            sender("fastwebsockets", Class::Peer, payload, side, fastwebsockets::Sender::new(side)),
            sender("tokio-websockets", Class::Peer, payload, side, tokio_websockets::Sender::new(side)),
            sender("nexus-web", Class::Peer, payload, side, nexus::Sender::new(side)),
            sender("websocket-sans-io", Class::Peer, payload, side, websocket_sans_io::Sender::new(side)),
            sender("bare writer", Class::Limit, payload, side, limits::BareSender::new(side)),
            Contestant {
                name: "memcpy",
                class: Class::Limit,
                lacks: Vec::new(),
                run: Box::new(limits::copy_out(payload)),
            },
        ]);
        report.measure(case, payload.len(), contestants);
    }
}

fn sender(
    name: &'static str,
    class: Class,
    payload: Payload,
    side: Side,
    mut sender: impl Send + 'static,
) -> Contestant<'static> {
    // What anybody has sent is for us to receive, and it is nothing else.
    let count = checked_count(payload);
    sender.send(payload, count);
    let wire = Wire::repeating(sender.written());
    assert_eq!(wire.len(), count as usize * frame_len(payload, side), "{name}");
    match side {
        Side::Server => check(payload, count, &mut ours::Receiver::new(Client::new(RandomKeys), wire, |_| {})),
        Side::Client => check(payload, count, &mut ours::Receiver::new(Server, wire, |_| {})),
    }
    // These encode frames and know nothing of a connection. Where keys come from is their users' business in the one.
    let lacks = match name {
        "nexus-web" => vec!["messages behind a Close or inside of others"],
        "websocket-sans-io" if side == Side::Client => {
            vec!["messages behind a Close or inside of others", "keys that can be foreseen"]
        }
        "websocket-sans-io" => vec!["messages behind a Close or inside of others"],
        _ => Vec::new(),
    };
    Contestant { name, class, lacks, run: Box::new(move |count| sender.send(payload, count)) }
}

fn stream(report: &mut Report, case: &str) {
    if !report.wants(case) {
        return;
    }
    for size in STREAMED {
        let mut bare = limits::Bare::new(LongWire::new(size));
        let ours = Contestant {
            name: "sansocket",
            class: Class::Ours,
            lacks: Vec::new(),
            run: Box::new(ours::stream(Server, LongWire::new(size))),
        };
        let bare = Contestant {
            name: "bare parser",
            class: Class::Limit,
            lacks: Vec::new(),
            run: Box::new(move |count| bare.stream(count)),
        };
        report.measure(case, size, vec![ours, bare]);
    }
}

fn byte_by_byte(report: &mut Report, case: &str) {
    if !report.wants(case) {
        return;
    }
    for size in [1 << 10, 1 << 20] {
        let wire = Wire::carrying(Payload::binary(size), 1, Side::Server);
        let run = Box::new(ours::byte_by_byte(Server, wire));
        report.measure(case, size, vec![Contestant { name: "sansocket", class: Class::Ours, lacks: Vec::new(), run }]);
    }
}

/// As many messages as fill every buffer a few times.
fn checked_count(payload: Payload) -> u64 {
    (2 << 20) / payload.len() as u64 + 1
}

fn check(payload: Payload, count: u64, receiver: &mut impl Receive) {
    let mut messages = 0;
    let received = receiver.receive(count, |message| {
        messages += 1;
        assert!(message == payload.as_bytes(), "a message has another content");
    });
    received.expect("what is sent is right");
    assert_eq!(messages, count);
}
