//! What holds for every stream of bytes: programs of frames, mostly valid, then spoilt.

use proptest::prelude::*;
use proptest::sample::Index;
use sansocket::{
    Client, CloseCode, Connection, Either, EndedBy, Kind, Limits, MAX_REPLY, Negotiated, NextStep, Output, SendError,
    SliceOutput,
};
use sansocket_testkit::{
    BINARY, CLOSE, CONTINUATION, End, Fed, Frame, Gave, Keys, LengthForm, Message, PING, PONG, Pair, Received,
    Recorder, Side, TEXT, close_body, feed, feed_each_byte, feed_whole, naive,
};

/// Failing cases are printed, not kept in files: what they show becomes a test by name.
fn config() -> ProptestConfig {
    ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() }
}

/// A stream as a side's peer might send it, and limits that some of such streams overrun.
#[derive(Clone, Debug)]
struct Stream {
    reader: Side,
    limits: Limits,
    bytes: Vec<u8>,
}

impl Stream {
    fn connection(&self) -> Connection<Either<Keys>> {
        let role = match self.reader {
            Side::Server => Either::Server,
            Side::Client => Either::Client(Client::new(Keys::default())),
        };
        Connection::new(role, Negotiated::default(), self.limits)
    }
}

fn sides() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Server), Just(Side::Client)]
}

fn limits() -> impl Strategy<Value = Limits> {
    let message = prop_oneof![3 => Just(u64::MAX), 1 => 0..400u64];
    let fragments = prop_oneof![3 => Just(u32::MAX), 1 => 1..5u32];
    (message, fragments, any::<bool>()).prop_map(|(message, fragments, undefined_close_codes)| Limits {
        message,
        fragments,
        undefined_close_codes,
    })
}

fn keys() -> impl Strategy<Value = [u8; 4]> {
    prop_oneof![any::<[u8; 4]>(), Just([0; 4])]
}

/// Text with many characters of two to four bytes.
fn texts() -> impl Strategy<Value = String> {
    let chars = prop_oneof![
        Just('a'),
        Just('\0'),
        Just('ß'),
        Just('\u{7FF}'),
        Just('€'),
        Just('\u{D7FF}'),
        Just('\u{FFFF}'),
        Just('𝄞'),
        Just('\u{10FFFF}')
    ];
    prop_oneof![
        6 => prop::collection::vec(chars, 0..12).prop_map(String::from_iter),
        1 => (120..132usize).prop_map(|len| "x".repeat(len)),
        1 => (0..40usize).prop_map(|len| "€".repeat(len)),
    ]
}

fn payloads() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..20),
        1 => (120..132usize).prop_map(|len| vec![0xFE; len]),
        1 => Just(vec![7; 300]),
    ]
}

/// Fragments of a message: `bytes` cut at `cuts`, with a control frame in front of some.
fn fragments(opcode: u8, bytes: &[u8], cuts: &[(Index, bool)], control: &[u8], key: [u8; 4]) -> Vec<Frame> {
    let mut cuts: Vec<_> = cuts.iter().map(|(cut, c)| (cut.index(bytes.len() + 1), *c)).collect();
    cuts.sort_unstable();
    cuts.push((bytes.len(), false));
    let mut frames = Vec::new();
    let mut start = 0;
    for (i, &(end, has_control)) in cuts.iter().enumerate() {
        if i > 0 && has_control {
            frames.push(Frame::new(if i % 2 == 0 { PING } else { PONG }, control).masked(key));
        }
        let opcode = if i == 0 { opcode } else { CONTINUATION };
        let fin = i == cuts.len() - 1;
        frames.push(Frame::new(opcode, &bytes[start..end]).fin(fin).masked(key));
        start = end;
    }
    frames
}

/// Lengths at the borders of their forms, and around what a length can be.
const LENGTHS: [u64; 9] = [125, 126, 127, 65535, 65536, 1 << 32, (1 << 63) - 1, 1 << 63, u64::MAX];

fn opcodes() -> impl Strategy<Value = u8> {
    prop::sample::select(vec![CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG])
}

/// One step of a peer's program, as masked frames.
fn steps() -> impl Strategy<Value = Vec<Frame>> {
    let cuts = prop_oneof![
        2 => Just(Vec::new()),
        1 => prop::collection::vec((any::<Index>(), any::<bool>()), 1..5)
    ];
    let control = || prop::collection::vec(any::<u8>(), 0..8);
    let code = prop_oneof![
        4 => Just(1000u16),
        1 => 995..1020u16,
        1 => prop::sample::select(vec![2999, 3000, 4999, 5000, 65535])
    ];
    prop_oneof![
        6 => (texts(), cuts.clone(), control(), keys())
            .prop_map(|(text, cuts, control, key)| fragments(TEXT, text.as_bytes(), &cuts, &control, key)),
        5 => (payloads(), cuts, control(), keys())
            .prop_map(|(bytes, cuts, control, key)| fragments(BINARY, &bytes, &cuts, &control, key)),
        2 => (payloads(), keys(), any::<bool>()).prop_map(|(mut bytes, key, ping)| {
            bytes.truncate(125);
            vec![Frame::new(if ping { PING } else { PONG }, bytes).masked(key)]
        }),
        1 => (code, "[a-zß€]{0,20}", keys())
            .prop_map(|(code, reason, key)| vec![Frame::new(CLOSE, close_body(code, &reason)).masked(key)]),
        1 => (prop::collection::vec(any::<u8>(), 0..6), keys())
            .prop_map(|(body, key)| vec![Frame::new(CLOSE, body).masked(key)]),
        // A length in another form than its shortest, or one that the payload does not have.
        1 => (opcodes(), payloads(), any::<bool>(), keys()).prop_map(|(opcode, bytes, long, key)| {
            let form = if long { LengthForm::Bits64 } else { LengthForm::Bits16 };
            vec![Frame::new(opcode, bytes).length_form(form).masked(key)]
        }),
        1 => (opcodes(), prop::sample::select(LENGTHS.to_vec()), keys())
            .prop_map(|(opcode, length, key)| vec![Frame::new(opcode, "").declared(length).masked(key)]),
        // A frame of any shape.
        1 => (any::<bool>(), prop_oneof![4 => Just(0u8), 1 => 0..8u8], 0..16u8, payloads(), keys())
            .prop_map(|(fin, reserved, opcode, bytes, key)| {
                vec![Frame::new(opcode, bytes).fin(fin).reserved(reserved).masked(key)]
            }),
    ]
}

/// What happens to a stream on its way from a valid one.
#[derive(Clone, Debug)]
enum Spoil {
    Not,
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Truncate(Index),
}

fn spoils() -> impl Strategy<Value = Spoil> {
    prop_oneof![
        4 => Just(Spoil::Not),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Spoil::Set(at, byte)),
        1 => (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Spoil::Flip(at, bit)),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Spoil::Insert(at, byte)),
        1 => any::<Index>().prop_map(Spoil::Remove),
        1 => any::<Index>().prop_map(Spoil::Truncate),
    ]
}

fn spoil(bytes: &mut Vec<u8>, spoil: Spoil) {
    if bytes.is_empty() {
        return;
    }
    let len = bytes.len();
    match spoil {
        Spoil::Not => {}
        Spoil::Set(at, byte) => bytes[at.index(len)] = byte,
        Spoil::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
        Spoil::Insert(at, byte) => bytes.insert(at.index(len), byte),
        Spoil::Remove(at) => _ = bytes.remove(at.index(len)),
        Spoil::Truncate(at) => bytes.truncate(at.index(len)),
    }
}

fn streams() -> impl Strategy<Value = Stream> {
    let faults = prop::collection::vec(spoils(), 0..3);
    (sides(), limits(), prop::collection::vec(steps(), 0..6), faults).prop_map(|(reader, limits, steps, faults)| {
        let frames = steps.into_iter().flatten();
        let mut bytes: Vec<u8> = frames
            .flat_map(|frame| {
                let key = frame.key().unwrap_or_default();
                frame.for_reader(reader, key).bytes()
            })
            .collect();
        faults.into_iter().for_each(|fault| spoil(&mut bytes, fault));
        Stream { reader, limits, bytes }
    })
}

/// What must not depend on how the stream was cut: all but the pieces in which messages came.
fn invariant(mut fed: Fed) -> Fed {
    fed.steps.clear();
    fed
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn rfc6455_5_any_split_gives_the_same_as_the_whole(
        stream in streams(),
        cuts in prop::collection::vec(any::<Index>(), 1..6),
    ) {
        let whole = invariant(feed_whole(stream.connection(), &stream.bytes));
        let cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.bytes.len() + 1)).collect();
        prop_assert_eq!(&invariant(feed(stream.connection(), &stream.bytes, &cuts)), &whole);
        prop_assert_eq!(&invariant(feed_each_byte(stream.connection(), &stream.bytes)), &whole);
    }

    #[test]
    fn rfc6455_5_the_engine_says_what_the_naive_codec_says(stream in streams()) {
        let expected = naive::decode(stream.reader, &stream.bytes, &stream.limits);
        let fed = feed_whole(stream.connection(), &stream.bytes);
        prop_assert_eq!(fed.failure, expected.failure());
        let step = match (&expected.end, stream.reader) {
            (End::Open(_), _) => NextStep::Open,
            (End::Closed { .. }, Side::Server) => NextStep::CloseAfterFlush,
            (End::Closed { .. }, Side::Client) => NextStep::AwaitEof,
            (End::Failed(_), _) => NextStep::DrainAfterFlush,
        };
        prop_assert_eq!(fed.next_step, step);
        prop_assert_eq!(replies(&fed.output, stream.reader), expected_replies(&expected));
        prop_assert_eq!(fed.transcript, expected);
    }

    #[test]
    fn rfc6455_5_the_engine_knows_with_each_byte_what_the_naive_codec_knows(stream in streams()) {
        let bytes = &stream.bytes[..stream.bytes.len().min(160)];
        for end in 0..=bytes.len() {
            let expected = naive::decode(stream.reader, &bytes[..end], &stream.limits);
            let fed = feed_each_byte(stream.connection(), &bytes[..end]);
            let is_end = !matches!(expected.end, End::Open(_));
            prop_assert_eq!(fed.transcript, expected, "with the first {} bytes", end);
            if is_end {
                break;
            }
        }
    }

    #[test]
    fn an_output_that_is_emptied_whenever_it_is_full_changes_nothing(stream in streams(), spare in 0..200usize) {
        let expected = feed_whole(stream.connection(), &stream.bytes);
        let mut connection = stream.connection();
        let mut bytes = stream.bytes.clone();
        let mut input = &mut bytes[..];
        let mut memory = vec![0; MAX_REPLY + spare];
        let mut out = SliceOutput::new(&mut memory);
        let mut wire: Vec<u8> = Vec::new();
        let mut recorder = Recorder::new();
        loop {
            match connection.receive(&mut input, &mut out) {
                Some(event) => recorder.record(&connection, event),
                None if input.is_empty() => break,
                None => {
                    prop_assert!(out.room() < MAX_REPLY);
                    wire.extend(out.bytes());
                    out.clear();
                }
            }
        }
        wire.extend(out.bytes());
        prop_assert_eq!(wire, expected.output);
        connection.receive_eof();
        prop_assert_eq!(recorder.finish(connection.ending().unwrap()), expected.transcript);
    }

    #[test]
    fn completes_message_is_true_exactly_if_a_last_piece_comes_without_more_input(
        stream in streams(),
        cuts in prop::collection::vec(any::<Index>(), 0..4),
    ) {
        let cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.bytes.len() + 1)).collect();
        let steps = feed(stream.connection(), &stream.bytes, &cuts).steps;
        for (at, step) in steps.iter().enumerate() {
            // What stands in front of the last piece are pieces of the same frame: a character that was cut, say.
            let next = steps[at..].iter().map(|step| step.gave).find(|gave| *gave != Gave::Piece);
            if step.completes {
                prop_assert!(matches!(next, Some(Gave::LastPiece | Gave::Failure)), "{:?}", &steps[at..]);
            } else {
                prop_assert!(step.gave != Gave::LastPiece, "{:?}", &steps[at..]);
            }
        }
    }

    #[test]
    fn continues_message_is_true_exactly_if_a_piece_comes_next(
        stream in streams(),
        cuts in prop::collection::vec(any::<Index>(), 0..4),
    ) {
        let cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.bytes.len() + 1)).collect();
        for step in feed(stream.connection(), &stream.bytes, &cuts).steps {
            match step.gave {
                Gave::Piece | Gave::LastPiece => prop_assert!(step.continues, "{:?}", step),
                Gave::Nothing | Gave::Control => prop_assert!(!step.continues && !step.completes, "{:?}", step),
                // A frame may be bad by its header or by its payload: either may be said.
                Gave::Failure => {}
            }
        }
    }

    #[test]
    fn rfc6455_5_5_1_bytes_behind_the_end_change_nothing(
        stream in streams(),
        behind in prop::collection::vec(any::<u8>(), 0..40),
        more in streams(),
    ) {
        let mut bytes = stream.bytes.clone();
        // The stream is brought to an end, one way or another.
        bytes.extend(Frame::close(1000, "").for_reader(stream.reader, [9; 4]).bytes());
        bytes.extend([0xFF; 300]);
        let expected = invariant(feed_whole(stream.connection(), &bytes));
        if matches!(expected.transcript.end, End::Open(_)) {
            // Inside the payload of a frame of more than all that.
            return Ok(());
        }
        let end = bytes.len();
        bytes.extend(behind);
        bytes.extend(more.bytes);
        prop_assert_eq!(&invariant(feed_whole(stream.connection(), &bytes)), &expected);
        prop_assert_eq!(&invariant(feed(stream.connection(), &bytes, &[end])), &expected);
    }
}

/// What was written, as opcodes and payloads.
fn replies(output: &[u8], writer: Side) -> Vec<(u8, Vec<u8>)> {
    let frames = sansocket_testkit::split_frames(writer, output);
    frames.into_iter().map(|frame| (frame.opcode(), frame.payload().to_vec())).collect()
}

/// 5.5.2: a pong to each ping; 5.5.1: a Close to a Close; 7.1.7: a Close to a violation.
fn expected_replies(transcript: &sansocket_testkit::Transcript) -> Vec<(u8, Vec<u8>)> {
    let pong = |received: &Received| match received {
        Received::Ping(payload) => Some((PONG, payload.clone())),
        _ => None,
    };
    let close = match &transcript.end {
        End::Open(_) => None,
        End::Closed { code, .. } => Some((CLOSE, code.map_or(Vec::new(), |code| close_body(code, "")))),
        End::Failed(error) => Some((CLOSE, close_body(error.close_code().get(), error.text()))),
    };
    transcript.received.iter().filter_map(pong).chain(close).collect()
}

/// What one of two sides does.
#[derive(Clone, Debug)]
enum Action {
    Text(String),
    Binary(Vec<u8>),
    /// A message in parts: its bytes, where it is cut, and pings in between.
    Parts(Kind, Vec<u8>, Vec<(Index, bool)>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    /// Deliver a little.
    Step,
}

fn actions() -> impl Strategy<Value = Action> {
    let cuts = || prop::collection::vec((any::<Index>(), any::<bool>()), 0..4);
    let control = || prop::collection::vec(any::<u8>(), 0..=125);
    let code = prop::sample::select(vec![1000, 1001, 1003, 1007, 1014, 3000, 4999]);
    prop_oneof![
        3 => texts().prop_map(Action::Text),
        3 => payloads().prop_map(Action::Binary),
        2 => (texts(), cuts()).prop_map(|(text, cuts)| Action::Parts(Kind::Text, text.into(), cuts)),
        2 => (payloads(), cuts()).prop_map(|(bytes, cuts)| Action::Parts(Kind::Binary, bytes, cuts)),
        1 => control().prop_map(Action::Ping),
        1 => control().prop_map(Action::Pong),
        1 => (code, "[a-zß]{0,30}").prop_map(|(code, reason)| Action::Close(Some(code), reason)),
        1 => Just(Action::Close(None, String::new())),
        3 => Just(Action::Step),
    ]
}

/// Carries out `action`, and notes in `sent` what the other side has to receive.
fn act<R: sansocket::Role>(
    connection: &mut Connection<R>,
    out: &mut Vec<u8>,
    action: &Action,
    sent: &mut Vec<Received>,
) -> Result<(), SendError> {
    match action {
        Action::Text(text) => {
            connection.send_text(text, out)?;
            sent.push(Received::Message(Message::text(text)));
        }
        Action::Binary(bytes) => {
            connection.send_binary(bytes, out)?;
            sent.push(Received::Message(Message::binary(bytes)));
        }
        Action::Parts(kind, bytes, cuts) => {
            let mut cuts: Vec<_> = cuts.iter().map(|(cut, ping)| (cut.index(bytes.len() + 1), *ping)).collect();
            cuts.sort_unstable();
            let mut start = 0;
            for (end, ping) in cuts {
                connection.send_part(*kind, &bytes[start..end], false, out)?;
                start = end;
                if ping {
                    connection.ping(b"between", out)?;
                    sent.push(Received::Ping(b"between".to_vec()));
                }
            }
            connection.send_part(*kind, &bytes[start..], true, out)?;
            sent.push(Received::Message(Message { kind: *kind, bytes: bytes.clone() }));
        }
        Action::Ping(payload) => {
            connection.ping(payload, out)?;
            sent.push(Received::Ping(payload.clone()));
        }
        Action::Pong(payload) => {
            connection.pong(payload, out)?;
            sent.push(Received::Pong(payload.clone()));
        }
        Action::Close(code, reason) => {
            connection.close(code.and_then(CloseCode::new), reason, out)?;
        }
        Action::Step => {}
    }
    Ok(())
}

/// Holds what a side has received against what the other has sent: in between there are pongs to its own pings.
fn same(received: &[Received], sent: &[Received], own: &[Received]) -> Result<(), TestCaseError> {
    let mut pongs: Vec<_> = own
        .iter()
        .filter_map(|sent| match sent {
            Received::Ping(payload) => Some(payload),
            _ => None,
        })
        .collect();
    let mut sent = sent.iter();
    for received in received {
        if let Received::Pong(payload) = received {
            // An answer, or one that the other side has sent unasked.
            if sent.clone().next() != Some(received) {
                prop_assert!(!pongs.is_empty() && pongs.remove(0) == payload);
                continue;
            }
        }
        prop_assert_eq!(Some(received), sent.next());
    }
    prop_assert_eq!(sent.next(), None, "was lost");
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn rfc6455_5_what_one_side_sends_the_other_receives(
        program in prop::collection::vec((sides(), actions()), 0..12),
        chunk in prop_oneof![1..8usize, 8..200usize, Just(usize::MAX)],
    ) {
        let mut pair = Pair::new().chunk(chunk);
        let (mut by_server, mut by_client) = (Vec::new(), Vec::new());
        let mut closed = false;
        for (side, action) in &program {
            if matches!(action, Action::Step) {
                pair.step();
                continue;
            }
            let (may_send, result) = match side {
                Side::Server => {
                    let peer = &mut pair.server;
                    let may_send = peer.connection.may_send();
                    (may_send, act(&mut peer.connection, &mut peer.out, action, &mut by_server))
                }
                Side::Client => {
                    let peer = &mut pair.client;
                    let may_send = peer.connection.may_send();
                    (may_send, act(&mut peer.connection, &mut peer.out, action, &mut by_client))
                }
            };
            prop_assert_eq!(result, if may_send { Ok(()) } else { Err(SendError::Closing) });
            closed |= matches!(action, Action::Close(..)) && may_send;
        }
        pair.run();
        let step = if closed { NextStep::Closed } else { NextStep::Open };
        pair.server.expect_next_step(step);
        pair.client.expect_next_step(step);
        for (failure, ending) in [
            (pair.server.connection.failure(), pair.server.connection.ending()),
            (pair.client.connection.failure(), pair.client.connection.ending()),
        ] {
            prop_assert_eq!(failure, None);
            prop_assert!(ending.is_none_or(|ending| ending.is_clean()));
        }
        let to_server = pair.server.finish();
        let to_client = pair.client.finish();
        same(&to_server.received, &by_client, &by_server)?;
        same(&to_client.received, &by_server, &by_client)?;
        prop_assert_eq!((to_server.unfinished, to_client.unfinished), (None, None));
    }

    #[test]
    fn rfc6455_7_1_5_a_cut_wire_is_1006_unless_both_closes_have_passed(
        text in texts(), chunk in 1..9usize, life in 0..60usize,
    ) {
        let mut pair = Pair::new().chunk(chunk).cut_to_server_after(life);
        pair.client.send(|connection, out| connection.send_text(&text, out)).close(1000, "");
        let sent = pair.client.out.clone();
        pair.run();
        let server = pair.server.connection.ending().expect("an end");
        if life < sent.len() {
            let End::Open(place) = naive::decode(Side::Server, &sent[..life], &Limits::DEFAULT).end else {
                return Err(TestCaseError::fail("a stream that was cut"));
            };
            prop_assert_eq!((server.by(), server.code()), (EndedBy::Loss(place), 1006));
        } else {
            prop_assert_eq!((server.by(), server.code()), (EndedBy::Peer, 1000));
        }
    }
}
