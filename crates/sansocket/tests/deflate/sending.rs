//! What is compressed, and what a call that fails leaves behind (RFC 7692, sections 6.1, 7.2.1 and 8).

use sansocket::deflate::{Compress, Compressor, Config, Parameters, Pool};
use sansocket::{BoundedOutput, Kind, Limits, Message, Output, SendError, SliceOutput};
use sansocket_testkit::{Frame, Peer, Side};

use super::bound::most_bytes;
use super::{FRESH, RSV1, Receiver, Sender, TAKEOVER, all_of, config, connection, noise, same};

fn is_compressed(frames: &[Frame]) -> bool {
    let is_compressed = frames[0].reserved_bits() == RSV1;
    assert!(is_compressed || frames[0].reserved_bits() == 0);
    is_compressed
}

/// Whether a message goes out compressed.
#[track_caller]
fn compresses<'m>(config: &Config, parameters: Parameters, message: impl Into<Message<'m>>, choice: Compress) -> bool {
    let message = message.into();
    let found = Side::BOTH.map(|side| {
        let mut sender = Sender::new(side, parameters, config);
        let frames = sender.send(message, choice).frames();
        let mut receiver = Receiver::new(side.other(), parameters);
        receiver.feed_frames(&frames);
        match message {
            Message::Text(text) => receiver.expect_text(text),
            Message::Binary(bytes) => receiver.expect_binary(bytes),
        };
        let compressed = is_compressed(&frames);
        assert!(compressed || frames.len() == 1, "as it is, in one frame");
        compressed
    });
    assert_eq!(found[0], found[1]);
    found[0]
}

#[test]
fn rfc7692_8_never_and_always_hold_for_every_message() {
    for parameters in [FRESH, TAKEOVER] {
        for message in ["", "a", "so long, so long, so long"] {
            let text = message.repeat(100);
            for threshold in [0, 100, usize::MAX] {
                let config = Config { threshold, ..Config::DEFAULT };
                assert!(!compresses(&config, parameters, &text, Compress::Never));
                assert!(compresses(&config, parameters, &text, Compress::Always));
            }
        }
        // Also where nothing is gained.
        assert!(compresses(&config(6), parameters, &noise(1000, 1), Compress::Always));
        assert!(compresses(&config(0), parameters, &noise(1000, 1), Compress::Always));
    }
}

#[test]
fn auto_compresses_from_the_threshold_on() {
    assert_eq!((Compress::default(), Config::default().threshold), (Compress::Auto, 512));
    for threshold in [1, 20, 256, 5000] {
        // With context takeover an eighth of it counts.
        for (parameters, eighths) in [(FRESH, 1), (TAKEOVER, 8)] {
            let config = Config { threshold: eighths * threshold, ..Config::DEFAULT };
            assert!(!compresses(&config, parameters, &"a".repeat(threshold - 1), Compress::Auto));
            // Of a single byte nothing can be made that is shorter.
            assert_eq!(compresses(&config, parameters, &"a".repeat(threshold), Compress::Auto), threshold > 4);
        }
    }
}

#[test]
fn auto_leaves_what_does_not_get_shorter_as_it_is() {
    for parameters in [FRESH, TAKEOVER] {
        for level in 0..=9 {
            for len in [0, 1, 2, 300, 5000, 15_000] {
                let config = Config { threshold: 0, ..config(level) };
                assert!(!compresses(&config, parameters, &noise(len, 5), Compress::Auto), "{len} at level {level}");
            }
        }
        assert!(
            !compresses(&config(0), parameters, &"a".repeat(1000), Compress::Auto),
            "level 0 makes nothing shorter"
        );
    }
}

#[test]
fn with_takeover_messages_still_go_on_behind_one_that_went_as_it_is() {
    for side in Side::BOTH {
        for level in 1..=9 {
            let mut sender = Sender::new(side, TAKEOVER, &config(level));
            let mut receiver = Receiver::new(side.other(), TAKEOVER);
            let text = "What was said once need not be said twice. ".repeat(10);
            for round in 0..4 {
                let bytes = noise(700, 9 + round);
                sender.send(&text, Compress::Auto).send(&bytes, Compress::Auto).send(&text, Compress::Auto);
                // The noise, which went as it is, comes again at the end of what can be compressed.
                let mixed = [text.as_bytes(), &bytes].concat();
                sender.send(&mixed, Compress::Auto);
                let frames = sender.frames();
                let compressed: Vec<_> = frames.iter().map(|frame| frame.reserved_bits() == RSV1).collect();
                assert_eq!(compressed, [true, false, true, true], "level {level}");
                receiver.feed_frames(&frames).expect_text(&text).expect_binary(&bytes).expect_text(&text);
                receiver.expect_binary(&mixed).expect_open();
            }
        }
    }
}

#[test]
fn rfc7692_7_1_2_with_a_window_of_8_bits_nothing_is_compressed() {
    for takeover in [false, true] {
        let parameters = same(8, takeover);
        for choice in [Compress::Auto, Compress::Always, Compress::Never] {
            assert!(!compresses(&Config { threshold: 0, ..Config::DEFAULT }, parameters, &"a".repeat(1000), choice));
        }
        for side in Side::BOTH {
            let mut sender = Sender::new(side, parameters, &config(6));
            sender.part(Kind::Text, b"a", false, Compress::Always).part(Kind::Text, b"b", true, Compress::Always);
            assert!(sender.compressor.is_idle());
            assert!(sender.frames().iter().all(|frame| frame.reserved_bits() == 0));
        }
    }
}

#[test]
fn levels_and_memory_levels_beyond_the_last_count_as_the_last() {
    let text = "beyond the last ".repeat(300);
    let sent = |level, memory_level| {
        Sender::new(Side::Server, FRESH, &all_of(level, memory_level)).send(&text, Compress::Always).wire()
    };
    assert_eq!(sent(9, 9), sent(255, 255));
    assert_eq!(sent(6, 1), sent(6, 0));
}

#[test]
fn without_an_agreement_nothing_can_be_sent_compressed() {
    for side in Side::BOTH {
        let mut sender = Sender::new(side, FRESH, &all_of(6, 8));
        sender.connection = connection(side, None, Limits::DEFAULT);
        let Sender { connection, compressor, out, .. } = &mut sender;
        assert_eq!(compressor.send("a", Compress::Always, connection, out), Err(SendError::NotNegotiated));
        for last in [false, true] {
            let sent = compressor.send_part(Kind::Text, b"a", last, Compress::Always, connection, out);
            assert_eq!(sent, Err(SendError::NotNegotiated));
        }
        assert!(compressor.is_idle() && out.is_empty());
        // As it is, it can.
        compressor.send("a", Compress::Never, connection, out).unwrap();
        assert_eq!(sender.frames()[0].payload(), b"a");
    }
}

/// Attempts that must fail and change nothing, at a point where no message is under way.
fn fail_in_every_way(sender: &mut Sender) {
    for (choice, len) in [(Compress::Always, 5), (Compress::Auto, 3000)] {
        let text = "x".repeat(len);
        for room in [0, 1, len, most_bytes(len) - 1] {
            let mut memory = vec![0; room];
            let mut out = SliceOutput::new(&mut memory);
            // With so much room, it would go as it is.
            if choice == Compress::Always || room <= len {
                let sent = sender.compressor.send(&text, choice, &mut sender.connection, &mut out);
                assert_eq!((sent, out.bytes()), (Err(SendError::NoRoom), &b""[..]));
            }
            for last in [false, true] {
                let sent = sender.part_into(Kind::Text, text.as_bytes(), last, choice, Some(&mut out));
                assert_eq!((sent, out.bytes()), (Err(SendError::NoRoom), &b""[..]));
            }
        }
    }
    for (part, last) in [(&b"a\xFF"[..], false), (b"a\xFF", true), (b"\xE2\x82", true)] {
        for choice in [Compress::Always, Compress::Never] {
            assert_eq!(sender.part_into(Kind::Text, part, last, choice, None), Err(SendError::InvalidUtf8));
        }
    }
}

#[test]
fn auto_sends_a_message_as_it_is_where_that_has_room_and_the_worst_case_has_none() {
    for (side, parameters) in Side::BOTH.into_iter().flat_map(|side| [(side, FRESH), (side, TAKEOVER)]) {
        let mut sender = Sender::new(side, parameters, &Config { threshold: 0, ..Config::DEFAULT });
        let text = "y".repeat(4000);
        let header = if side == Side::Server { 4 } else { 8 };
        for (room, sent) in [(header + 3999, Err(SendError::NoRoom)), (header + 4000, Ok(()))] {
            let mut memory = vec![0; room];
            let mut out = SliceOutput::new(&mut memory);
            let Sender { connection, compressor, .. } = &mut sender;
            assert_eq!(compressor.send(&text, Compress::Auto, connection, &mut out), sent);
            assert_eq!(out.bytes().len(), if sent.is_ok() { room } else { 0 });
        }
        // What has gone as it is left no trace in the compressor.
        sender.send("again", Compress::Always);
        let frames = sender.frames();
        Receiver::new(side.other(), parameters).feed_frames(&frames).expect_text("again").expect_open();
    }
}

#[test]
fn whoever_stops_at_the_last_fragment_gets_a_compressor_that_remembers_nothing() {
    let pool = Pool::default();
    let connection = connection(Side::Server, Some(FRESH), Limits::DEFAULT);
    let mut compressor = Compressor::new(FRESH, true, &all_of(6, 8), &pool);
    let mut one = || {
        assert!(compressor.begin(5, Compress::Always, &connection).unwrap());
        compressor.compress(&mut &b"Hello"[..], true).unwrap().as_bytes().to_vec()
    };
    assert_eq!(one(), one());
    assert_eq!(pool.lent(), (0, 1));
}

#[test]
fn rfc7692_6_1_a_call_that_fails_changes_nothing_between_messages() {
    for (side, parameters) in Side::BOTH.into_iter().flat_map(|side| [(side, FRESH), (side, TAKEOVER)]) {
        let [mut failing, mut other] = [(); 2].map(|()| Sender::new(side, parameters, &all_of(6, 8)));
        for (at, choice) in
            [Compress::Always, Compress::Never, Compress::Auto, Compress::Always].into_iter().enumerate()
        {
            fail_in_every_way(&mut failing);
            let text = format!("message {at}, message {at}");
            assert!(parameters == TAKEOVER || failing.compressor.is_idle(), "a call that failed holds a compressor");
            assert_eq!(failing.send(&text, choice).wire(), other.send(&text, choice).wire());
            fail_in_every_way(&mut failing);
            // What was refused does not decide over what follows.
            let [failed, sent] = [&mut failing, &mut other].map(|sender| {
                sender.part(Kind::Text, b"a", false, choice).part(Kind::Text, b"b", true, Compress::Auto).wire()
            });
            assert_eq!(failed, sent);
        }
    }
}

#[test]
fn rfc7692_6_1_a_call_that_fails_changes_nothing_inside_of_a_message() {
    for (side, parameters) in Side::BOTH.into_iter().flat_map(|side| [(side, FRESH), (side, TAKEOVER)]) {
        let [mut failing, mut other] = [(); 2].map(|()| Sender::new(side, parameters, &all_of(6, 8)));
        let parts: [&[u8]; 5] = [b"first, \xE2", b"\x82", b"\xAC, \xF0", b"", b"\x9F\x8E\x89, last"];
        for (at, part) in parts.iter().enumerate() {
            let last = at + 1 == parts.len();
            for sender in [&mut failing, &mut other] {
                sender.part(Kind::Text, part, last, Compress::Always);
            }
            assert_eq!(failing.wire(), other.wire());
            if last {
                break;
            }
            let Sender { connection, compressor, out, .. } = &mut failing;
            for choice in [Compress::Auto, Compress::Always, Compress::Never] {
                let under_way = Err(SendError::MessageUnderWay);
                assert_eq!(compressor.send("another", choice, connection, out), under_way);
                assert_eq!(compressor.send(b"another", choice, connection, out), under_way);
                assert_eq!(compressor.send_part(Kind::Binary, b"b", false, choice, connection, out), under_way);
                assert_eq!(compressor.send_part(Kind::Binary, b"", true, choice, connection, out), under_way);
                for (part, last) in [(&b"\xFF"[..], false), (b"\xFF", true)] {
                    let sent = compressor.send_part(Kind::Text, part, last, choice, connection, out);
                    assert_eq!(sent, Err(SendError::InvalidUtf8));
                }
                for room in [0, most_bytes(parts[at + 1].len()) - 1] {
                    let mut queue = Vec::new();
                    let mut out = BoundedOutput::new(&mut queue, room);
                    let sent = compressor.send_part(Kind::Text, parts[at + 1], at == 3, choice, connection, &mut out);
                    assert_eq!((sent, out.room(), queue.len()), (Err(SendError::NoRoom), room, 0));
                }
            }
            assert_eq!(out, b"");
        }
        // The message has ended, and the next one may begin.
        for sender in [&mut failing, &mut other] {
            sender.send("next", Compress::Always);
        }
        assert_eq!(failing.wire(), other.wire());
        assert_eq!(failing.compressor.is_idle(), parameters == FRESH);
    }
}

#[test]
fn rfc6455_5_5_1_behind_a_close_nothing_is_sent_compressed() {
    for side in Side::BOTH {
        let mut sender = Sender::new(side, FRESH, &all_of(6, 8));
        sender.part(Kind::Text, b"begun", false, Compress::Always).wire();
        let Sender { connection, compressor, out, .. } = &mut sender;
        connection.close(None, "", out).unwrap();
        let close = out.clone();
        for choice in [Compress::Always, Compress::Never] {
            assert_eq!(compressor.send("a", choice, connection, out), Err(SendError::Closing));
            for last in [false, true] {
                let sent = compressor.send_part(Kind::Text, b"a", last, choice, connection, out);
                assert_eq!(sent, Err(SendError::Closing));
            }
        }
        assert_eq!(*out, close);
        let pool = Pool::default();
        let mut fresh = Compressor::new(FRESH, side == Side::Server, &all_of(6, 8), &pool);
        assert_eq!(fresh.send("a", Compress::Always, connection, out), Err(SendError::Closing));
        let sent = fresh.send_part(Kind::Text, b"a", true, Compress::Always, connection, out);
        assert_eq!((sent, pool.lent(), fresh.is_idle()), (Err(SendError::Closing), (0, 0), true));
    }
}

#[test]
fn rfc6455_5_4_inside_of_a_message_that_is_not_compressed_none_is_begun() {
    let mut peer = Peer::server();
    peer.send(|connection, out| connection.send_part(Kind::Text, b"plain", false, out));
    for side in Side::BOTH {
        let mut sender = Sender::new(side, TAKEOVER, &all_of(6, 8));
        sender.part(Kind::Text, b"plain", false, Compress::Never);
        let Sender { connection, compressor, out, .. } = &mut sender;
        assert_eq!(compressor.send("a", Compress::Always, connection, out), Err(SendError::MessageUnderWay));
        assert_eq!(connection.send_compressed(Kind::Text, b"\0", true, out), Err(SendError::MessageUnderWay));
        // The choice for its first part holds for all of it.
        sender.part(Kind::Text, &[b'x'; 1000], false, Compress::Always).part(Kind::Text, b"", true, Compress::Always);
        assert!(sender.compressor.is_idle());
        let frames = sender.frames();
        assert!(frames.iter().all(|frame| frame.reserved_bits() == 0) && frames[1].payload().len() == 1000);
    }
}

#[test]
fn auto_leaves_what_is_as_long_compressed_as_it_is() {
    let mut found = 0;
    for len in 1..60 {
        // Something that repeats itself a little.
        let bytes = [&noise(len, 1)[..], &noise(len, 1)[..len.min(7)]].concat();
        let compressed = Sender::new(Side::Server, FRESH, &all_of(6, 8)).send(&bytes, Compress::Always).frames();
        let gains = compressed[0].payload().len() < bytes.len();
        found += usize::from(compressed[0].payload().len() == bytes.len());
        assert_eq!(compresses(&all_of(6, 8), FRESH, &bytes, Compress::Auto), gains, "{len}");
    }
    assert!(found > 0, "none is as long as it was");
}
