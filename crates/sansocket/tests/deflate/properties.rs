//! Random messages: our compressor and our decompressor against another DEFLATE, and against each other.

use miniz_oxide::MZFlush;
use proptest::prelude::*;
use proptest::sample::Index;
use sansocket::Kind;
use sansocket::deflate::{Compress, Parameters};
use sansocket_testkit::{BINARY, CONTINUATION, Message, Received, Side, TEXT};

use super::bound::contents;
use super::oracle::{Packer, TAIL, Unpacker};
use super::{FRESH, RSV1, Receiver, Sender, TAKEOVER, all_of, fragments, same, window};

fn sides() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Server), Just(Side::Client)]
}

fn choices() -> impl Strategy<Value = Compress> {
    prop_oneof![4 => Just(Compress::Always), 2 => Just(Compress::Auto), 1 => Just(Compress::Never)]
}

fn flushes() -> impl Strategy<Value = MZFlush> {
    prop_oneof![Just(MZFlush::None), Just(MZFlush::Sync), Just(MZFlush::Full), Just(MZFlush::Finish)]
}

/// One step of a side's program.
#[derive(Clone, Debug)]
enum Step {
    /// A message: its bytes, whether it is a text, in how many parts, with pings between them.
    Send {
        bytes: Vec<u8>,
        text: bool,
        choice: Compress,
        cuts: Option<Vec<Index>>,
        pings: bool,
    },
    Ping(Vec<u8>),
}

fn steps() -> impl Strategy<Value = Step> {
    let text = prop::collection::vec(prop_oneof!["[a-d ]{1,30}", "\\PC{0,8}", Just("€𝄞ß".into())], 0..30);
    let bytes = prop_oneof![3 => text.prop_map(|text| (text.concat().into_bytes(), true)), 2 => contents(3000).prop_map(|b| (b, false))];
    let cuts = prop::option::of(prop::collection::vec(any::<Index>(), 0..5));
    prop_oneof![
        6 => (bytes, choices(), cuts, any::<bool>())
            .prop_map(|((bytes, text), choice, cuts, pings)| Step::Send { bytes, text, choice, cuts, pings }),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Step::Ping),
    ]
}

/// Takes the step, and adds to what the peer must receive.
fn take(step: &Step, sender: &mut Sender, expected: &mut Vec<Received>) {
    match step {
        Step::Ping(payload) => {
            sender.connection.ping(payload, &mut sender.out).unwrap();
            expected.push(Received::Ping(payload.clone()));
        }
        Step::Send { bytes, text, choice, cuts, pings } => {
            let kind = if *text { Kind::Text } else { Kind::Binary };
            match cuts {
                None if *text => _ = sender.send(std::str::from_utf8(bytes).unwrap(), *choice),
                None => _ = sender.send(bytes, *choice),
                Some(cuts) => {
                    let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
                    ends.sort_unstable();
                    let mut start = 0;
                    for end in ends {
                        sender.part(kind, &bytes[start..end], false, *choice);
                        if *pings {
                            sender.connection.ping(b"between", &mut sender.out).unwrap();
                            expected.push(Received::Ping(b"between".to_vec()));
                        }
                        start = end;
                    }
                    sender.part(kind, &bytes[start..], true, *choice);
                }
            }
            expected.push(Received::Message(Message { kind, bytes: bytes.clone() }));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rfc7692_7_our_client_and_our_server_understand_each_other(
        steps in prop::collection::vec((any::<bool>(), steps()), 1..12),
        ((server_bits, server_takeover), (client_bits, client_takeover)) in ((8..=15u8, any::<bool>()), (8..=15u8, any::<bool>())),
        (level, memory_level, scratch) in (0..=9u8, 1..=9u8, prop_oneof![1..20usize, 20..5000usize]),
        reads in prop::collection::vec(1..2000usize, 1..5),
    ) {
        let parameters = Parameters {
            server: window(server_bits, server_takeover),
            client: window(client_bits, client_takeover),
        };
        let pool = sansocket::deflate::Pool::default();
        let mut senders = [Side::Server, Side::Client]
            .map(|side| Sender::with(side, parameters, &all_of(level, memory_level), &pool));
        let mut receivers = [Side::Client, Side::Server]
            .map(|side| Receiver::with(side, parameters, sansocket::Limits::DEFAULT, &pool).scratch(scratch));
        let mut expected = [Vec::new(), Vec::new()];
        for (by_server, step) in &steps {
            let at = usize::from(!by_server);
            take(step, &mut senders[at], &mut expected[at]);
        }
        for ((sender, receiver), expected) in senders.iter_mut().zip(&mut receivers).zip(expected) {
            let wire = sender.wire();
            let mut rest = &wire[..];
            for read in reads.iter().cycle() {
                let (now, later) = rest.split_at(rest.len().min(*read));
                receiver.feed(now);
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(receiver.connection.failure(), None);
            prop_assert_eq!(receiver.recorder.received(), &expected);
            let takeover = parameters.of(sender.side == Side::Server).takeover;
            prop_assert!(takeover || sender.compressor.is_idle() && receiver.decompressor.is_idle());
        }
        prop_assert_eq!(pool.lent(), (0, 0));
    }

    #[test]
    fn rfc7692_7_2_1_another_deflate_inflates_what_we_send(
        messages in prop::collection::vec((contents(20_000), choices(), any::<bool>()), 1..5),
        (level, memory_level, window_bits, takeover) in (0..=9u8, 1..=9u8, 9..=15u8, any::<bool>()),
        side in sides(),
    ) {
        let mut sender = Sender::new(side, same(window_bits, takeover), &all_of(level, memory_level));
        let mut unpacker = Unpacker::new();
        for (bytes, choice, in_parts) in &messages {
            if *in_parts {
                let (a, b) = bytes.split_at(bytes.len() / 3);
                sender.part(Kind::Binary, a, false, *choice).part(Kind::Binary, b, true, *choice);
            } else {
                sender.send(bytes, *choice);
            }
            let frames = sender.frames();
            prop_assert!(frames.iter().all(|frame| frame.is_fin() == std::ptr::eq(frame, frames.last().unwrap())));
            prop_assert!(frames[1..].iter().all(|frame| (frame.opcode(), frame.reserved_bits()) == (CONTINUATION, 0)));
            let payload: Vec<_> = frames.iter().flat_map(|frame| frame.payload().to_vec()).collect();
            if frames[0].reserved_bits() == RSV1 {
                prop_assert_eq!(&unpacker.message(&payload), bytes);
            } else {
                prop_assert_eq!(&payload, bytes);
            }
            if !takeover {
                unpacker = Unpacker::new();
            }
        }
    }

    #[test]
    fn rfc7692_7_2_2_we_inflate_what_another_deflate_makes(
        messages in prop::collection::vec(prop::collection::vec((contents(9000), flushes()), 1..4), 1..4),
        (level, takeover, scratch) in (0..=10u8, any::<bool>(), prop_oneof![1..64usize, 64..20_000usize]),
        (side, cuts) in (sides(), prop::collection::vec(any::<Index>(), 0..6)),
    ) {
        let parameters = if takeover { TAKEOVER } else { FRESH };
        let mut receiver = Receiver::new(side, parameters).scratch(scratch);
        let mut packer = Packer::new(level);
        for parts in &messages {
            // Parts flushed or not, or with a final block: section 7.2.1 leaves it to the sender.
            let mut payload = Vec::new();
            for (part, flush) in parts {
                payload.extend(packer.pack(part, *flush));
            }
            payload.extend(packer.pack(b"end", MZFlush::Sync));
            let payload = payload.strip_suffix(&TAIL).unwrap();
            let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
            ends.sort_unstable();
            let mut pieces = Vec::new();
            let mut start = 0;
            for end in ends.into_iter().chain([payload.len()]) {
                pieces.push(&payload[start..end]);
                start = end;
            }
            let whole: Vec<_> = parts.iter().flat_map(|(part, _)| part.clone()).chain(*b"end").collect();
            receiver.feed_frames(&fragments(BINARY, &pieces)).expect_binary(&whole).expect_open();
            if !takeover {
                packer = Packer::new(level);
            }
        }
        receiver.feed_frames(&fragments(TEXT, &[packer.message(b"text")])).expect_text("text").expect_open();
    }
}
