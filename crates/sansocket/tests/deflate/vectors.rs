//! RFC 7692, section 7.2.3: the examples.

use sansocket::Kind;
use sansocket::deflate::Compress;
use sansocket_testkit::{BINARY, Frame, Side, TEXT};

use super::{FRESH, Parameters, RSV1, Receiver, Sender, TAKEOVER, all_of, fragments, wire};

/// "Hello" as section 7.2.3.1 compresses it.
const HELLO: &[u8] = &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
/// "Hello" once more, where the first is remembered (7.2.3.2).
const HELLO_AGAIN: &[u8] = &[0xF2, 0x00, 0x11, 0x00, 0x00];

/// Receives these bytes as a server's frames on the client, and masked on the server.
#[track_caller]
fn receives(parameters: Parameters, frames: &[&[u8]], texts: &[&str]) {
    let bytes = frames.concat();
    let mut client = Receiver::new(Side::Client, parameters);
    client.feed(&bytes);
    texts.iter().for_each(|text| _ = client.expect_text(text));
    client.expect_nothing().expect_open();
    let frames = sansocket_testkit::split_frames(Side::Server, &bytes);
    let mut server = Receiver::new(Side::Server, parameters);
    server.feed_frames(&frames);
    texts.iter().for_each(|text| _ = server.expect_text(text));
    server.expect_nothing().expect_open();
}

#[test]
fn rfc7692_7_2_3_1_one_compressed_block() {
    for parameters in [FRESH, TAKEOVER] {
        receives(parameters, &[b"\xC1\x07\xF2\x48\xCD\xC9\xC9\x07\x00"], &["Hello"]);
    }
}

#[test]
fn rfc7692_7_2_3_1_one_compressed_block_is_what_we_send() {
    for parameters in [FRESH, TAKEOVER] {
        // Level 0 does not compress: its block is that of 7.2.3.3.
        for level in 1..=9 {
            let mut server = Sender::new(Side::Server, parameters, &all_of(level, 8));
            let sent = server.send("Hello", Compress::Always).wire();
            assert_eq!(sent, b"\xC1\x07\xF2\x48\xCD\xC9\xC9\x07\x00", "level {level}");
            let frames =
                Sender::new(Side::Client, parameters, &all_of(level, 8)).send("Hello", Compress::Always).frames();
            let key = frames[0].key().expect("a client's mask");
            assert_eq!(frames, [Frame::new(TEXT, HELLO).reserved(RSV1).masked(key)]);
        }
    }
}

#[test]
fn rfc7692_7_2_3_1_a_compressed_message_in_fragments() {
    receives(FRESH, &[b"\x41\x03\xF2\x48\xCD", b"\x80\x04\xC9\xC9\x07\x00"], &["Hello"]);
}

#[test]
fn rfc7692_7_2_3_1_a_compressed_message_in_any_two_fragments() {
    for side in Side::BOTH {
        for at in 0..=HELLO.len() {
            let (a, b) = HELLO.split_at(at);
            Receiver::new(side, FRESH).feed_frames(&fragments(TEXT, &[a, b])).expect_text("Hello").expect_open();
        }
    }
}

#[test]
fn rfc7692_7_2_3_2_a_second_message_refers_to_the_first() {
    receives(TAKEOVER, &[b"\xC1\x07", HELLO, b"\xC1\x05", HELLO_AGAIN], &["Hello", "Hello"]);
}

#[test]
fn rfc7692_7_2_3_2_the_second_message_we_send_refers_to_the_first() {
    for side in Side::BOTH {
        for level in 1..=9 {
            let mut sender = Sender::new(side, TAKEOVER, &all_of(level, 8));
            sender.send("Hello", Compress::Always).send("Hello", Compress::Always);
            let frames = sender.frames();
            assert_eq!(frames[0].payload(), HELLO);
            // Level 1 finds the first letter too.
            let again = if level == 1 { b"\x02\x13\x00\x00" } else { HELLO_AGAIN };
            assert_eq!(frames[1].payload(), again, "level {level}");
            Receiver::new(side.other(), TAKEOVER).feed_frames(&frames).expect_text("Hello").expect_text("Hello");
        }
    }
}

#[test]
fn rfc7692_7_2_3_2_without_takeover_both_are_the_same() {
    for side in Side::BOTH {
        let mut sender = Sender::new(side, FRESH, &all_of(6, 8));
        sender.send("Hello", Compress::Always).send("Hello", Compress::Always);
        let payloads: Vec<_> = sender.frames().iter().map(|frame| frame.payload().to_vec()).collect();
        assert_eq!(payloads, [HELLO, HELLO]);
    }
}

#[test]
fn rfc7692_7_2_3_3_a_block_without_compression() {
    for parameters in [FRESH, TAKEOVER] {
        receives(parameters, &[b"\xC1\x0B\x00\x05\x00\xFA\xFF\x48\x65\x6C\x6C\x6F\x00"], &["Hello"]);
    }
}

#[test]
fn rfc7692_7_2_3_3_a_block_without_compression_is_what_level_0_sends() {
    for parameters in [FRESH, TAKEOVER] {
        let mut server = Sender::new(Side::Server, parameters, &all_of(0, 8));
        let sent = server.send("Hello", Compress::Always).wire();
        assert_eq!(sent, b"\xC1\x0B\x00\x05\x00\xFA\xFF\x48\x65\x6C\x6C\x6F\x00");
    }
}

#[test]
fn rfc7692_7_2_3_4_a_block_with_bfinal() {
    for parameters in [FRESH, TAKEOVER] {
        receives(parameters, &[b"\xC1\x08\xF3\x48\xCD\xC9\xC9\x07\x00\x00"], &["Hello"]);
    }
}

#[test]
fn rfc7692_7_2_3_4_messages_go_on_behind_a_block_with_bfinal() {
    let bfinal = b"\xC1\x08\xF3\x48\xCD\xC9\xC9\x07\x00\x00";
    receives(TAKEOVER, &[bfinal, bfinal, b"\xC1\x07", HELLO, b"\xC1\x05", HELLO_AGAIN], &["Hello"; 4]);
}

#[test]
fn rfc7692_7_2_3_5_two_blocks_in_one_message() {
    for parameters in [FRESH, TAKEOVER] {
        receives(parameters, &[b"\xC1\x0D\xF2\x48\x05\x00\x00\x00\xFF\xFF\xCA\xC9\xC9\x07\x00"], &["Hello"]);
    }
}

#[test]
fn rfc7692_7_2_3_5_two_blocks_are_what_we_send_for_two_parts() {
    for (side, level) in Side::BOTH.into_iter().flat_map(|side| (1..=9).map(move |level| (side, level))) {
        let mut sender = Sender::new(side, FRESH, &all_of(level, 8));
        sender.part(Kind::Text, b"He", false, Compress::Always).part(Kind::Text, b"llo", true, Compress::Always);
        let frames = sender.frames();
        let payloads: Vec<_> = frames.iter().map(Frame::payload).collect();
        let first: &[u8] = b"\xF2\x48\x05\x00\x00\x00\xFF\xFF";
        assert_eq!(payloads, [first, b"\xCA\xC9\xC9\x07\x00"], "level {level}");
    }
}

#[test]
fn rfc7692_7_2_3_6_the_empty_message_is_a_single_byte() {
    for parameters in [FRESH, TAKEOVER] {
        receives(parameters, &[b"\xC1\x01\x00"], &[""]);
        receives(
            parameters,
            &[b"\xC1\x01\x00", b"\xC1\x07", HELLO, b"\xC1\x01\x00", b"\xC1\x07", HELLO],
            &["", "Hello", "", "Hello"],
        );
        let mut client = Receiver::new(Side::Client, parameters);
        client.feed(&wire(Side::Client, &[Frame::new(BINARY, b"\0").reserved(RSV1)])).expect_binary(b"");
    }
}

#[test]
fn rfc7692_7_2_3_6_the_empty_message_we_send_is_a_single_byte() {
    for parameters in [FRESH, TAKEOVER] {
        for level in 0..=9 {
            let mut server = Sender::new(Side::Server, parameters, &all_of(level, 8));
            // Also where the codec has nothing left to flush.
            for _ in 0..3 {
                assert_eq!(server.send("", Compress::Always).wire(), b"\xC1\x01\x00", "level {level}");
                server.send("Hello", Compress::Always);
                server.wire();
            }
        }
    }
}

#[test]
fn rfc7692_7_2_3_6_the_last_part_may_be_empty() {
    for (side, parameters) in Side::BOTH.into_iter().flat_map(|side| [(side, FRESH), (side, TAKEOVER)]) {
        let mut sender = Sender::new(side, parameters, &all_of(6, 8));
        let mut receiver = Receiver::new(side.other(), parameters);
        for _ in 0..3 {
            sender.part(Kind::Text, b"Hello", false, Compress::Always).part(Kind::Text, b"", true, Compress::Always);
            let frames = sender.frames();
            assert_eq!(frames[1].payload(), b"\0", "an empty block in front of the one that is left out");
            assert!(frames[1].is_fin() && !frames[0].is_fin());
            receiver.feed_frames(&frames).expect_text("Hello").expect_open();
        }
    }
    // A peer's, with its first fragment flushed as section 7.2.1 allows to.
    let flushed: &[u8] = &[HELLO, b"\x00\x00\xFF\xFF"].concat();
    for side in Side::BOTH {
        let mut receiver = Receiver::new(side, TAKEOVER);
        receiver.feed_frames(&fragments(TEXT, &[flushed, b"\0"])).expect_text("Hello");
        receiver.feed_frames(&fragments(TEXT, &[HELLO_AGAIN])).expect_text("Hello").expect_open();
    }
}
