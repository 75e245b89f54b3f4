//! Messages that are sent in parts (RFC 7692, sections 6.1 and 7.2.1; RFC 6455, section 5.4).

use sansocket::deflate::{Compress, Config, Pool, PoolLimits};
use sansocket::{Kind, SendError};
use sansocket_testkit::{CONTINUATION, PING, Received, Side};

use super::oracle::TAIL;
use super::{FRESH, RSV1, Receiver, Sender, TAKEOVER, all_of, noise};

#[test]
fn rfc7692_7_2_1_each_part_arrives_at_once() {
    for (side, parameters) in Side::BOTH.into_iter().flat_map(|side| [(side, FRESH), (side, TAKEOVER)]) {
        for level in 0..=9 {
            let mut sender = Sender::new(side, parameters, &all_of(level, 8));
            let mut receiver = Receiver::new(side.other(), parameters);
            let mut sent = String::new();
            for at in 0..30 {
                let part = format!("part {at}, ").repeat(at + 1);
                sent += &part;
                sender.part(Kind::Text, part.as_bytes(), false, Compress::Always);
                receiver.feed_frames(&sender.frames());
                // It has all of it, before the message has ended.
                let begun = receiver.recorder.clone();
                assert_eq!(receiver.connection.failure(), None);
                let mut whole = Receiver { recorder: begun, ..Receiver::new(side.other(), parameters) };
                whole.connection.receive_eof();
                let transcript = whole.recorder.finish(whole.connection.ending().unwrap());
                assert_eq!(transcript.unfinished.unwrap().bytes, sent.as_bytes(), "level {level}, part {at}");
            }
            sender.part(Kind::Text, b"end", true, Compress::Always);
            receiver.feed_frames(&sender.frames()).expect_text(&(sent + "end")).expect_open();
        }
    }
}

#[test]
fn rfc7692_6_1_control_frames_go_between_the_parts() {
    for side in Side::BOTH {
        let mut sender = Sender::new(side, TAKEOVER, &all_of(6, 8));
        for round in 0..3 {
            sender.part(Kind::Binary, b"Hello, ", false, Compress::Always);
            sender.connection.ping(b"?", &mut sender.out).unwrap();
            sender.part(Kind::Binary, b"Hello", true, Compress::Always);
            let frames = sender.frames();
            let shapes: Vec<_> = frames.iter().map(|f| (f.opcode(), f.reserved_bits(), f.is_fin())).collect();
            assert_eq!(shapes, [(2, RSV1, false), (PING, 0, true), (CONTINUATION, 0, true)], "round {round}");
            let mut receiver = Receiver::new(side.other(), TAKEOVER);
            if round == 0 {
                receiver.feed_frames(&frames).expect(Received::Ping(b"?".to_vec())).expect_binary(b"Hello, Hello");
            }
        }
    }
}

#[test]
fn rfc7692_7_2_1_earlier_fragments_may_end_with_an_empty_block_and_the_last_does_not() {
    for side in Side::BOTH {
        let mut sender = Sender::new(side, FRESH, &all_of(6, 8));
        sender.part(Kind::Text, b"one", false, Compress::Always).part(Kind::Text, b"two", true, Compress::Always);
        let frames = sender.frames();
        assert!(frames[0].payload().ends_with(&TAIL));
        assert!(!frames[1].payload().ends_with(&TAIL));
        Receiver::new(side.other(), FRESH).feed_frames(&frames).expect_text("onetwo");
    }
}

#[test]
fn rfc6455_5_6_parts_of_a_text_may_cut_characters() {
    let text = "ä€𝄞, ä€𝄞";
    for (side, parameters) in Side::BOTH.into_iter().flat_map(|side| [(side, FRESH), (side, TAKEOVER)]) {
        for size in 1..6 {
            let mut sender = Sender::new(side, parameters, &all_of(6, 8));
            let parts: Vec<_> = text.as_bytes().chunks(size).collect();
            for (at, part) in parts.iter().enumerate() {
                sender.part(Kind::Text, part, at + 1 == parts.len(), Compress::Always);
            }
            // A cut character of one message does not get into the next.
            sender.part(Kind::Binary, b"\xE2\x82", true, Compress::Always).send("a", Compress::Always);
            let frames = sender.frames();
            let mut receiver = Receiver::new(side.other(), parameters).scratch(3);
            receiver.feed_frames(&frames).expect_text(text).expect_binary(b"\xE2\x82").expect_text("a").expect_open();
        }
    }
}

#[test]
fn rfc6455_5_6_a_text_in_parts_is_utf8_or_is_not_sent() {
    for side in Side::BOTH {
        let mut sender = Sender::new(side, FRESH, &all_of(6, 8));
        let invalid = Err(SendError::InvalidUtf8);
        assert_eq!(sender.part_into(Kind::Text, b"\xFF", false, Compress::Always, None), invalid);
        sender.part(Kind::Text, b"a\xE2\x82", false, Compress::Always);
        for (part, last) in
            [(&b"b"[..], false), (b"", true), (b"\x82\xAC", true), (b"\xAC\xE2", true), (b"\xAC\xFF", false)]
        {
            assert_eq!(sender.part_into(Kind::Text, part, last, Compress::Always, None), invalid, "{part:?}");
        }
        sender.part(Kind::Text, b"\xAC!", true, Compress::Always);
        Receiver::new(side.other(), FRESH).feed_frames(&sender.frames()).expect_text("a€!").expect_open();
    }
}

#[test]
fn a_first_part_of_nothing_begins_a_message_too() {
    for (side, parameters) in Side::BOTH.into_iter().flat_map(|side| [(side, FRESH), (side, TAKEOVER)]) {
        let mut sender = Sender::new(side, parameters, &all_of(6, 8));
        sender.part(Kind::Text, b"", false, Compress::Always).part(Kind::Text, b"", false, Compress::Always);
        assert!(sender.connection.is_sending());
        // RFC 6455, 5.4: no other may begin inside of it.
        let Sender { connection, compressor, out, .. } = &mut sender;
        for choice in [Compress::Always, Compress::Never] {
            assert_eq!(compressor.send("another", choice, connection, out), Err(SendError::MessageUnderWay));
            let sent = compressor.send_part(Kind::Binary, b"another", true, choice, connection, out);
            assert_eq!(sent, Err(SendError::MessageUnderWay));
        }
        sender.part(Kind::Text, b"Hello", false, Compress::Never).part(Kind::Text, b"", true, Compress::Never);
        // Nothing at all, in several parts.
        sender.part(Kind::Text, b"", false, Compress::Always).part(Kind::Text, b"", true, Compress::Always);
        sender.part(Kind::Binary, b"", true, Compress::Always);
        let frames = sender.frames();
        let mut receiver = Receiver::new(side.other(), parameters);
        receiver.feed_frames(&frames).expect_text("Hello").expect_text("").expect_binary(b"").expect_open();
    }
}

#[test]
fn auto_compresses_a_message_in_parts_unless_its_first_part_is_its_last_and_short() {
    let config = Config { threshold: 100, ..Config::DEFAULT };
    for side in Side::BOTH {
        for (first, last, compressed) in [(1, false, true), (99, true, false), (100, true, true), (5000, true, true)] {
            let mut sender = Sender::new(side, FRESH, &config);
            sender.part(Kind::Binary, &vec![7; first], last, Compress::Auto);
            if !last {
                sender.part(Kind::Binary, b"", true, Compress::Auto);
            }
            let frames = sender.frames();
            assert_eq!(frames[0].reserved_bits() == RSV1, compressed, "{first}");
            Receiver::new(side.other(), FRESH).feed_frames(&frames).expect_binary(&vec![7; first]);
        }
        // What does not get shorter goes as it is, if it comes in one part.
        let mut sender = Sender::new(side, FRESH, &config);
        sender.part(Kind::Binary, &noise(1000, 1), true, Compress::Auto);
        assert_eq!(sender.frames()[0].reserved_bits(), 0);
    }
}

#[test]
fn the_choice_for_the_first_part_holds_for_all_of_the_message() {
    for side in Side::BOTH {
        for (first, others) in [(Compress::Always, Compress::Never), (Compress::Never, Compress::Always)] {
            let mut sender = Sender::new(side, TAKEOVER, &all_of(6, 8));
            sender.part(Kind::Text, b"a", false, first).part(Kind::Text, b"b", false, others);
            sender.part(Kind::Text, b"c", true, others);
            let frames = sender.frames();
            assert_eq!(frames[0].reserved_bits() == RSV1, first == Compress::Always);
            assert_eq!(frames[1].payload() == b"b", first == Compress::Never);
            Receiver::new(side.other(), TAKEOVER).feed_frames(&frames).expect_text("abc").expect_open();
        }
    }
}

#[test]
fn where_no_compressor_is_to_be_had_all_parts_go_as_they_are() {
    let pool = Pool::new(PoolLimits { lent: 1, kept: 1 });
    let mut first = Sender::with(Side::Server, FRESH, &all_of(6, 8), &pool);
    let mut second = Sender::with(Side::Server, FRESH, &all_of(6, 8), &pool);
    first.part(Kind::Text, b"a", false, Compress::Always);
    second.part(Kind::Text, b"b", false, Compress::Always);
    // Meanwhile there is one again; the second message goes on as it has begun.
    first.part(Kind::Text, b"a", true, Compress::Always);
    second.part(Kind::Text, b"b", true, Compress::Always).send("c", Compress::Always);
    let frames = second.frames();
    let bits: Vec<_> = frames.iter().map(|frame| frame.reserved_bits()).collect();
    assert_eq!(bits, [0, 0, RSV1]);
    Receiver::new(Side::Client, FRESH).feed_frames(&frames).expect_text("bb").expect_text("c");
}
