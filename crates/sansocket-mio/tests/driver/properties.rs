//! Whatever is cut short, refused or interrupted: the messages that come and the bytes that leave are those of RFC 6455, as the oracle reads
//! it.

use proptest::collection::vec;
use proptest::prelude::*;
use sansocket::handshake::{Accept, RequestProgress, ServerHandshake};
use sansocket_mio::{ClientRequest, Common, Driver, EndedBy, Kind, Limits, ProtocolError, Settings, Uri};
use sansocket_testkit::{
    BINARY, CLOSE, CONTINUATION, End, Frame, PING, PONG, Received, Side, TEXT, close_body, naive, split_frames,
};

use crate::fake::{Coming, Fake, Going, Heard, REQUEST, Rig, noise};

/// What a peer sends.
#[derive(Clone, Debug)]
enum Act {
    /// A message of about so many bytes, cut into frames at these places, and whether there is a ping behind each of them.
    Message(Kind, usize, Vec<usize>, bool),
    Control(u8, usize),
}

impl Act {
    fn frames(&self) -> Vec<Frame> {
        let (kind, len, cuts, pings) = match self {
            Self::Control(opcode, len) => return vec![Frame::new(*opcode, noise(*len))],
            Self::Message(kind, len, cuts, pings) => (kind, *len, cuts, *pings),
        };
        let (first, payload) = match kind {
            Kind::Text => (TEXT, "aß水🍌".repeat(len.div_ceil(10)).into_bytes()),
            Kind::Binary => (BINARY, noise(len)),
        };
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut % (payload.len() + 1)).collect();
        ends.sort_unstable();
        ends.push(payload.len());
        let mut frames = Vec::new();
        let mut start = 0;
        for (at, &end) in ends.iter().enumerate() {
            let opcode = if at == 0 { first } else { CONTINUATION };
            let is_last = at + 1 == ends.len();
            frames.push(Frame::new(opcode, &payload[start..end]).fin(is_last));
            if pings && !is_last {
                frames.push(Frame::new(PING, noise(at)));
            }
            start = end;
        }
        frames
    }
}

/// How a peer's stream goes on when it has sent all its messages.
#[derive(Clone, Copy, Debug)]
enum Finale {
    Nothing,
    Close,
    Violation,
    HalfAFrame,
}

fn act() -> impl Strategy<Value = Act> {
    let kind = prop_oneof![Just(Kind::Text), Just(Kind::Binary)];
    let len = prop_oneof![8 => 0..300_usize, 4 => 4000..20_000_usize, 1 => 60_000..150_000_usize];
    let message = (kind, len, vec(any::<usize>(), 0..4), any::<bool>());
    prop_oneof![
        4 => message.prop_map(|(kind, len, cuts, pings)| Act::Message(kind, len, cuts, pings)),
        1 => (prop_oneof![Just(PING), Just(PONG)], 0..=125_usize).prop_map(|(opcode, len)| Act::Control(opcode, len)),
    ]
}

fn finale() -> impl Strategy<Value = Finale> {
    prop_oneof![Just(Finale::Nothing), Just(Finale::Close), Just(Finale::Violation), Just(Finale::HalfAFrame)]
}

/// What lies between two events: the bytes that one brings, or something else.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Bytes(usize),
    Interrupted,
    Nothing,
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..40_usize).prop_map(Step::Bytes),
        3 => (40..5000_usize).prop_map(Step::Bytes),
        3 => (5000..100_000_usize).prop_map(Step::Bytes),
        1 => Just(Step::Interrupted),
        1 => Just(Step::Nothing),
    ]
}

pub(crate) fn going() -> impl Strategy<Value = Going> {
    prop_oneof![
        2 => (0..20_usize).prop_map(Going::Takes),
        2 => (20..5000_usize).prop_map(Going::Takes),
        2 => (5000..100_000_usize).prop_map(Going::Takes),
        1 => Just(Going::Interrupted),
        2 => Just(Going::Takes(usize::MAX)),
    ]
}

pub(crate) fn settings() -> impl Strategy<Value = Settings> {
    let whole = prop_oneof![Just(usize::MAX), Just(0), Just(1000), Just(65_536)];
    let mark = prop_oneof![Just(Settings::DEFAULT.high_mark), Just(1000), Just(0)];
    (whole, mark).prop_map(|(whole, high_mark)| Settings {
        whole,
        high_mark,
        low_mark: high_mark / 4,
        ..Settings::DEFAULT
    })
}

/// Cuts a stream as the steps say, over and over, and a long one behind some hundred of them less finely.
pub(crate) fn cut(mut bytes: &[u8], steps: &[Step]) -> Vec<Coming> {
    let mut coming = Vec::new();
    let mut steps = steps.iter().cycle().take(500).chain([&Step::Bytes(10_007)].into_iter().cycle());
    while !bytes.is_empty() {
        match steps.next() {
            Some(Step::Bytes(len)) => {
                let (head, rest) = bytes.split_at(bytes.len().min(*len));
                coming.push(Coming::Bytes(head.to_vec()));
                bytes = rest;
            }
            Some(Step::Interrupted) => coming.push(Coming::Interrupted),
            Some(Step::Nothing) => coming.push(Coming::Nothing),
            None => unreachable!(),
        }
    }
    coming
}

/// What `reader`'s peer sends.
fn sent_to(reader: Side, acts: &[Act], finale: Finale) -> Vec<u8> {
    let mut frames: Vec<_> = acts.iter().flat_map(Act::frames).collect();
    match finale {
        Finale::Nothing => {}
        Finale::Close => frames.push(Frame::close(4000, "größer")),
        Finale::Violation => frames.push(Frame::new(CONTINUATION, "of nothing")),
        Finale::HalfAFrame => frames.push(Frame::new(TEXT, "half")),
    }
    let frames = frames.into_iter().map(|frame| frame.for_reader(reader, [1, 200, 3, 77]).bytes());
    let mut bytes: Vec<u8> = frames.flatten().collect();
    if let Finale::HalfAFrame = finale {
        bytes.truncate(bytes.len() - 2);
    }
    bytes
}

/// What is to come of a stream.
struct Expected {
    heard: Vec<Heard>,
    by: Option<EndedBy>,
    /// Opcodes and payloads.
    answers: Vec<(u8, Vec<u8>)>,
}

fn expected(reader: Side, bytes: &[u8], ends: bool) -> Expected {
    let transcript = naive::decode(reader, bytes, &Limits::DEFAULT);
    let mut heard = Vec::new();
    let mut answers = Vec::new();
    for received in transcript.received {
        match received {
            Received::Message(message) => {
                let opcode = if message.kind == Kind::Text { TEXT } else { BINARY };
                heard.push(Heard::Message(message.kind, message.bytes.clone()));
                answers.push((opcode, message.bytes));
            }
            Received::Ping(payload) => {
                heard.push(Heard::Ping(payload.clone()));
                answers.push((PONG, payload));
            }
            Received::Pong(payload) => heard.push(Heard::Pong(payload)),
        }
    }
    let fail = |error: ProtocolError| (CLOSE, close_body(error.close_code().get(), error.text()));
    let by = match transcript.end {
        End::Open(place) => ends.then_some(EndedBy::Loss(place)),
        End::Closed { code, .. } => {
            answers.push((CLOSE, code.map_or(Vec::new(), |code| close_body(code, ""))));
            Some(EndedBy::Peer)
        }
        End::Failed(error) => {
            answers.push(fail(error));
            Some(EndedBy::Failure(error))
        }
    };
    Expected { heard, by, answers }
}

/// Messages and control frames, in the order in which they end. What was begun and not ended is left out.
fn joined(frames: Vec<Frame>) -> Vec<(u8, Vec<u8>)> {
    let mut joined = Vec::new();
    let mut message: Option<(u8, Vec<u8>)> = None;
    for frame in frames {
        match frame.opcode() {
            control @ (CLOSE | PING | PONG) => joined.push((control, frame.payload().to_vec())),
            opcode => {
                let (_, payload) = message.get_or_insert((opcode, Vec::new()));
                payload.extend_from_slice(frame.payload());
                if frame.is_fin() {
                    joined.extend(message.take());
                }
            }
        }
    }
    joined
}

/// A rig whose client has sent its request, and what a good server answers.
fn client(settings: Settings, buffer: usize) -> (Rig, Vec<u8>) {
    let common = Common::new(settings);
    let uri = Uri::parse("ws://localhost/").unwrap();
    let driver = Driver::client(Fake::default(), &ClientRequest::new(&uri), &common).unwrap();
    let mut rig = Rig::new(driver, common, buffer);
    rig.turn((false, false, true));
    let request = std::mem::take(&mut rig.stream().written);
    let mut answer = b"HTTP/1.1 102 Processing\r\n\r\n".to_vec();
    match ServerHandshake::new().receive(&request, &mut answer) {
        RequestProgress::Request(request) => _ = request.accept(&Accept::new(), &mut answer).unwrap(),
        refused => panic!("{refused:?}"),
    }
    (rig, answer)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_script_of_short_and_interrupted_calls_gives_the_same_messages_and_the_same_bytes(
        acts in vec(act(), 0..8),
        finale in finale(),
        ends in any::<bool>(),
        steps in vec(step(), 1..12).prop_filter("some bytes", |steps| {
            steps.iter().any(|step| matches!(step, Step::Bytes(_)))
        }),
        going in vec(going(), 0..40),
        settings in settings(),
        buffer in prop_oneof![Just(17 * 1024), Just(32 * 1024 + 5), Just(64 * 1024 + 64)],
        is_client in any::<bool>(),
    ) {
        let reader = if is_client { Side::Client } else { Side::Server };
        let bytes = sent_to(reader, &acts, finale);
        let Expected { heard, by, answers } = expected(reader, &bytes, ends);
        let mut rig = if is_client {
            let (mut rig, answer) = client(settings, buffer);
            for coming in cut(&[answer, bytes].concat(), &steps) {
                rig.stream().push(coming);
            }
            rig.stream().ends = ends;
            rig.stream().going.extend(going);
            rig
        } else {
            let coming = cut(&[REQUEST, &bytes].concat(), &steps);
            let stream = Fake::new(coming).with_going(going);
            Rig::server(if ends { stream.ending() } else { stream }, settings, buffer)
        };
        rig.run();
        prop_assert_eq!(rig.stuck(), None);
        prop_assert!(rig.driver.queued() == 0 || ends);

        prop_assert!(matches!(rig.heard.remove(0), Heard::Request(_) | Heard::Response(101)));
        if let Some(by) = by {
            match rig.heard.pop() {
                Some(Heard::End(ending)) => prop_assert_eq!(ending.by(), by),
                heard => prop_assert!(false, "{:?} and not {:?}", heard, by),
            }
        }
        prop_assert!(rig.heard == heard, "{:?} and not {:?}", lens(&rig.heard), lens(&heard));

        // An end of the stream takes with it what the socket has not taken.
        if rig.driver.queued() == 0 {
            let mut written = std::mem::take(&mut rig.stream().written);
            if !is_client {
                let head = written.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
                written.drain(..head);
            }
            let written = joined(split_frames(reader, &written));
            prop_assert!(written == answers, "{:?} and not {:?}", sizes(&written), sizes(&answers));
        }
    }
}

fn lens(heard: &[Heard]) -> Vec<(&'static str, usize)> {
    heard
        .iter()
        .map(|heard| match heard {
            Heard::Message(Kind::Text, bytes) => ("text", bytes.len()),
            Heard::Message(Kind::Binary, bytes) => ("binary", bytes.len()),
            Heard::Ping(bytes) => ("ping", bytes.len()),
            Heard::Pong(bytes) => ("pong", bytes.len()),
            _ => ("other", 0),
        })
        .collect()
}

fn sizes(frames: &[(u8, Vec<u8>)]) -> Vec<(u8, usize)> {
    frames.iter().map(|(opcode, payload)| (*opcode, payload.len())).collect()
}
