//! Messages cut anywhere, inflated into anything (RFC 7692, sections 6.2 and 7.2.2).

use proptest::prelude::*;
use proptest::sample::Index;
use sansocket::{NextStep, ProtocolError};
use sansocket_testkit::{BINARY, CONTINUATION, Frame, PING, Received, Side, TEXT};

use super::oracle::{Packer, packed};
use super::{FRESH, Parameters, RSV1, Receiver, TAKEOVER, fragments, limit, wire};

/// Holds each way of receiving `bytes` against receiving them at once, into as much scratch as one could wish for.
#[track_caller]
fn is_the_same_however_cut(
    side: Side,
    parameters: Parameters,
    bytes: &[u8],
    cuts: &[usize],
    scratch: usize,
    most: u64,
) {
    let receiver = || Receiver::with(side, parameters, limit(most), &sansocket::deflate::Pool::default());
    let mut whole = receiver().scratch(1 << 20);
    whole.feed(bytes);
    let mut cut = receiver().scratch(scratch);
    cut.feed_cut(bytes, cuts);
    let (failure, next_step) = (whole.connection.failure(), whole.connection.next_step());
    assert_eq!(cut.connection.failure(), failure, "scratch {scratch}, {cuts:?}");
    assert_eq!(cut.connection.next_step(), next_step);
    assert_eq!(cut.finish(), whole.finish(), "scratch {scratch}, {cuts:?}");
}

/// Text and bytes that repeat themselves, and some that do not.
fn contents() -> impl Strategy<Value = (bool, Vec<u8>)> {
    let text = prop::collection::vec(prop_oneof!["[a-c]{1,9}", Just("ß€𝄞".into()), "\\PC{0,5}"], 0..40);
    let bytes = prop::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 0..300);
    prop_oneof![
        text.prop_map(|text| (true, text.concat().into_bytes())),
        bytes.prop_map(|bytes| (false, bytes)),
        // Text that is none.
        prop::collection::vec(prop_oneof![6 => Just(b"ab\xC3\xA4".to_vec()), 1 => Just(vec![0xE2, 0x82])], 0..20)
            .prop_map(|pieces| (true, pieces.concat())),
    ]
}

/// A message's frames: compressed or not, cut into fragments, with pings between them.
fn messages() -> impl Strategy<Value = Vec<(bool, Vec<u8>, bool, Vec<Index>)>> {
    let cuts = prop::collection::vec(any::<Index>(), 0..4);
    let message = (contents(), prop::bool::weighted(0.8), cuts);
    prop::collection::vec(message.prop_map(|((text, bytes), compressed, cuts)| (text, bytes, compressed, cuts)), 1..5)
}

fn frames(takeover: bool, level: u8, messages: &[(bool, Vec<u8>, bool, Vec<Index>)]) -> Vec<Frame> {
    let mut packer = Packer::new(level);
    let mut all = Vec::new();
    for (text, bytes, is_compressed, cuts) in messages {
        let opcode = if *text { TEXT } else { BINARY };
        let payload = if *is_compressed { packer.message(bytes) } else { bytes.clone() };
        if !takeover {
            packer = Packer::new(level);
        }
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).chain([payload.len()]).collect();
        ends.sort_unstable();
        let mut start = 0;
        for (at, &end) in ends.iter().enumerate() {
            let frame = Frame::new(if at == 0 { opcode } else { CONTINUATION }, &payload[start..end]);
            let rsv1 = if at == 0 && *is_compressed { RSV1 } else { 0 };
            all.push(frame.reserved(rsv1).fin(at + 1 == ends.len()));
            if at % 2 == 0 {
                all.push(Frame::new(PING, [u8::try_from(at).unwrap(); 3]));
            }
            start = end;
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rfc7692_6_2_any_split_and_any_scratch_give_the_same(
        messages in messages(),
        (takeover, as_server) in any::<(bool, bool)>(),
        level in 0..=10u8,
        cuts in prop::collection::vec(any::<Index>(), 0..8),
        scratch in prop_oneof![1..=64usize, 65..5000usize],
        most in prop_oneof![3 => Just(1u64 << 20), 1 => 0..300u64],
        spoilt in prop::option::weighted(0.3, (any::<Index>(), any::<u8>())),
    ) {
        let side = if as_server { Side::Server } else { Side::Client };
        let parameters = if takeover { TAKEOVER } else { FRESH };
        let mut bytes = wire(side, &frames(takeover, level, &messages));
        if let Some((at, byte)) = spoilt {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        is_the_same_however_cut(side, parameters, &bytes, &cuts, scratch, most);
    }
}

#[test]
fn rfc7692_6_2_byte_for_byte_into_scratch_of_1_to_64_bytes() {
    let text = "Grüße, grüße, €€€€ und 𝄞𝄞𝄞: Grüße, ".repeat(3);
    let message = packed(text.as_bytes());
    let (a, b) = message.split_at(message.len() / 2);
    let mut frames = fragments(TEXT, &[a, b]);
    frames.insert(1, Frame::new(PING, "?"));
    frames.extend(fragments(BINARY, &[packed(&[7; 5000])]));
    for side in Side::BOTH {
        let bytes = wire(side, &frames);
        let cuts: Vec<_> = (0..bytes.len()).collect();
        for scratch in (1..=64).chain([1000, 4096, 1 << 16]) {
            let mut receiver = Receiver::new(side, FRESH).scratch(scratch);
            receiver.feed_cut(&bytes, &cuts).expect(Received::Ping(b"?".to_vec()));
            receiver.expect_text(&text).expect_binary(&[7; 5000]).expect_open();
        }
    }
}

#[test]
fn rfc7692_6_2_a_message_that_fills_the_scratch_to_its_last_byte_ends() {
    for length in 1..200 {
        let bytes: Vec<u8> = (0..length).collect();
        let frames = fragments(BINARY, &[packed(&bytes)]);
        for scratch in [usize::from(length), usize::from(length) + 1, usize::from(length).div_ceil(2)] {
            Receiver::new(Side::Client, FRESH)
                .scratch(scratch)
                .feed_frames(&frames)
                .expect_binary(&bytes)
                .expect_open();
        }
    }
}

#[test]
fn rfc7692_6_1_the_frame_behind_a_compressed_one_is_intact() {
    // What a decompressor has to be fed behind the data must not be written there: there lies the next frame.
    for side in Side::BOTH {
        for parameters in [FRESH, TAKEOVER] {
            let hello = fragments(TEXT, &[b"\xF2\x48\xCD\xC9\xC9\x07\x00"]);
            let frames = [&hello[..], &[Frame::new(TEXT, "behind")], &hello, &[Frame::new(BINARY, [0; 9])]].concat();
            let mut receiver = Receiver::new(side, parameters);
            receiver.feed_frames(&frames).expect_text("Hello").expect_text("behind").expect_text("Hello");
            receiver.expect_binary(&[0; 9]).expect_open();
        }
    }
}

#[test]
fn rfc7692_6_2_a_piece_can_be_set_aside_and_gone_on_with() {
    let message = packed(&[b'x'; 3000]);
    let mut bytes = wire(Side::Client, &fragments(TEXT, &[&message]));
    let mut connection = super::connection(Side::Client, Some(FRESH), limit(1 << 20));
    let pool = sansocket::deflate::Pool::default();
    let mut decompressor = sansocket::deflate::Decompressor::new(FRESH, false, &pool);
    let mut out = Vec::new();
    let Some(sansocket::Event::Compressed(mut piece)) = connection.receive(&mut &mut bytes[..], &mut out) else {
        panic!("a compressed piece");
    };
    let (mut text, mut scratch) = (String::new(), [0; 100]);
    loop {
        let aside = piece.as_bytes().to_vec();
        let mut rest = piece.rest(&aside);
        let Some(event) = decompressor.inflate(&mut rest, &mut scratch, &mut connection, &mut out) else { break };
        let sansocket::Event::Text(inflated) = event else { panic!("{event:?}") };
        assert_eq!(inflated.is_first(), text.is_empty());
        text += inflated.as_str();
        let used = piece.as_bytes().len() - rest.as_bytes().len();
        piece = rest.rest(&message[message.len() - aside.len() + used..]);
    }
    assert_eq!(text, "x".repeat(3000));
}

#[test]
fn rfc6455_8_1_text_is_validated_once_it_is_inflated_and_fails_fast() {
    // The fault lies in the middle of a long message, of which no more than that is ever fed.
    let text = [&b"so far so good, ".repeat(500)[..], b"\xFF", &b" and so on".repeat(500)].concat();
    let mut packer = Packer::new(6);
    let flushed = packer.pack(&text[..9000], miniz_oxide::MZFlush::Sync);
    for side in Side::BOTH {
        for scratch in [1, 7, 64, 1 << 20] {
            let mut receiver = Receiver::new(side, FRESH).scratch(scratch);
            // A frame that has not ended.
            let frame = Frame::new(TEXT, &flushed).reserved(RSV1).declared(flushed.len() as u64 + 5000);
            receiver.feed(&wire(side, &[frame])).expect_failed(ProtocolError::InvalidUtf8);
            assert!(receiver.decompressor.is_idle());
            assert_eq!(receiver.connection.next_step(), NextStep::DrainAfterFlush);
        }
    }
}

#[test]
fn rfc6455_5_6_a_compressed_text_does_not_end_inside_a_character() {
    for side in Side::BOTH {
        for text in [&b"ab\xE2\x82"[..], b"\xF0\x9D\x84", b"\xC3"] {
            for scratch in [1, 2, 100] {
                let mut receiver = Receiver::new(side, FRESH).scratch(scratch);
                receiver.feed_frames(&fragments(TEXT, &[packed(text)])).expect_failed(ProtocolError::InvalidUtf8);
                // Of a binary message nobody demands it.
                let mut receiver = Receiver::new(side, FRESH).scratch(scratch);
                receiver.feed_frames(&fragments(BINARY, &[packed(text)])).expect_binary(text);
            }
        }
    }
}

#[test]
fn rfc7692_6_2_the_cut_character_of_one_message_does_not_get_into_the_next() {
    // A binary message may end like a cut character, and a text may go on with what would complete it.
    let mut packer = Packer::new(6);
    let frames: Vec<_> = [(BINARY, &b"\xE2\x82"[..]), (TEXT, b"a"), (BINARY, b"\xC3"), (TEXT, "€".as_bytes())]
        .iter()
        .flat_map(|(opcode, bytes)| fragments(*opcode, &[packer.message(bytes)]))
        .collect();
    let mut receiver = Receiver::new(Side::Client, TAKEOVER).scratch(1);
    receiver.feed_frames(&frames).expect_binary(b"\xE2\x82").expect_text("a").expect_binary(b"\xC3").expect_text("€");
}
