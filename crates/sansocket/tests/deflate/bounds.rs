//! Limits on what comes compressed, at N and at N + 1 (RFC 6455, section 10.4).

use miniz_oxide::MZFlush;
use sansocket::deflate::{Compress, Pool};
use sansocket::{Limits, ProtocolError};
use sansocket_testkit::{BINARY, Frame, Side, TEXT};

use super::oracle::{Packer, packed};
use super::{FRESH, RSV1, Receiver, Sender, TAKEOVER, all_of, fragments, limit, noise, wire};

const TOO_BIG: ProtocolError = ProtocolError::MessageTooBig;

#[track_caller]
fn receiver(side: Side, most: u64) -> Receiver {
    Receiver::with(side, FRESH, limit(most), &Pool::default())
}

#[test]
fn rfc6455_10_4_a_message_has_as_many_bytes_as_the_limit_once_it_is_inflated() {
    assert_eq!(TOO_BIG.close_code().get(), 1009);
    for side in Side::BOTH {
        for most in [0, 1, 2, 99, 100, 4095, 4096, 4097, 16_384, 100_000] {
            let bytes = vec![b'x'; most];
            for scratch in [7, 4096, 1 << 20] {
                let mut good = receiver(side, most as u64).scratch(scratch);
                good.feed_frames(&fragments(TEXT, &[packed(&bytes)]));
                good.expect_text(&"x".repeat(most)).expect_open();
                let mut bad = receiver(side, most as u64).scratch(scratch);
                let more = [&bytes[..], b"x"].concat();
                bad.feed_frames(&fragments(TEXT, &[packed(&more)])).expect_failed(TOO_BIG);
                assert!(bad.decompressor.is_idle());
            }
        }
    }
}

#[test]
fn rfc6455_10_4_the_limit_counts_over_all_fragments() {
    for side in Side::BOTH {
        for (bytes, error) in [(100, None), (101, Some(TOO_BIG))] {
            let message = packed(&vec![b'x'; bytes]);
            let cut: Vec<_> = message.chunks(1).collect();
            let mut receiver = receiver(side, 100);
            receiver.feed_frames(&fragments(TEXT, &cut));
            assert_eq!(receiver.connection.failure(), error);
            // Each part flushed: every fragment has some of it at once.
            let mut packer = Packer::new(6);
            let parts: Vec<_> = vec![b'y'; bytes].chunks(10).map(|part| packer.pack(part, MZFlush::Sync)).collect();
            let parts: Vec<_> = parts.into_iter().chain([b"\0".to_vec()]).collect();
            let mut receiver = self::receiver(side, 100);
            receiver.feed_frames(&fragments(TEXT, &parts));
            assert_eq!(receiver.connection.failure(), error);
        }
    }
}

#[test]
fn rfc6455_10_4_the_limit_counts_anew_with_each_message() {
    for side in Side::BOTH {
        let mut packer = Packer::new(6);
        let mut receiver = Receiver::with(side, TAKEOVER, limit(100), &Pool::default());
        for _ in 0..5 {
            receiver.feed_frames(&fragments(BINARY, &[packer.message(&[1; 100])])).expect_binary(&[1; 100]);
        }
        receiver.feed_frames(&fragments(BINARY, &[packer.message(&[1; 101])])).expect_failed(TOO_BIG);
    }
}

#[test]
fn rfc6455_10_4_no_more_than_the_limit_comes_out_of_a_message_that_is_too_big() {
    // However much there is in the piece, and however much room.
    for scratch in [1, 10, 100, 1000, 1 << 20] {
        let mut receiver = receiver(Side::Client, 1000);
        let bytes = wire(receiver.side, &fragments(BINARY, &[packed(&vec![0; 1 << 20])]));
        let mut memory = bytes.clone();
        let mut given = 0;
        let (connection, out) = (&mut receiver.connection, &mut receiver.out);
        let Some(sansocket::Event::Compressed(mut piece)) = connection.receive(&mut &mut memory[..], out) else {
            panic!("a compressed piece")
        };
        let mut room = vec![0xC5; scratch];
        while let Some(event) = receiver.decompressor.inflate(&mut piece, &mut room, connection, out) {
            given += event.piece().map_or(0, |piece| piece.as_bytes().len());
        }
        assert!(given <= 1000 && given + scratch > 1000, "{given} in {scratch}");
        assert_eq!(connection.failure(), Some(TOO_BIG));
        // Of a mebibyte, a thousand were inflated, and one: the rest of the scratch is as it was.
        assert!(room.iter().skip(1001).all(|&byte| byte == 0xC5));
    }
}

#[test]
fn rfc6455_10_4_on_the_wire_a_compressed_message_may_have_an_eighth_a_kibibyte_and_8_bytes_a_frame_more() {
    for side in Side::BOTH {
        for (most, on_the_wire) in
            [(0, 1024), (7, 1031), (8, 1033), (1000, 2149), (1 << 20, (1 << 20) + (1 << 17) + 1024)]
        {
            for (length, failure) in [(on_the_wire, None), (on_the_wire + 1, Some(TOO_BIG))] {
                // From the header alone.
                let frame = Frame::new(BINARY, "").reserved(RSV1).declared(length + 8);
                let mut receiver = receiver(side, most);
                receiver.feed(&wire(side, &[frame]));
                assert_eq!(receiver.connection.failure(), failure, "{length} for {most}");
                // Over all fragments.
                let [first, second] = &fragments(BINARY, &[&b"\0\0\0\xFF\xFF"[..], b""])[..] else { panic!() };
                let mut receiver = self::receiver(side, most);
                receiver.feed(&wire(side, &[first.clone(), second.clone().declared(length + 16 - 5)]));
                assert_eq!(receiver.connection.failure(), failure, "{length} for {most}");
            }
            // What is not compressed is as long as it is.
            let mut receiver = receiver(side, most);
            receiver.feed(&wire(side, &[Frame::new(BINARY, "").declared(most + 1)]));
            receiver.expect_failed(TOO_BIG);
        }
    }
}

#[test]
fn rfc6455_10_4_without_a_limit_nothing_overflows() {
    for side in Side::BOTH {
        let mut receiver = Receiver::with(side, FRESH, Limits::UNLIMITED, &Pool::default());
        receiver.feed_frames(&fragments(BINARY, &[packed(&[1; 5000])])).expect_binary(&[1; 5000]);
        let frame = Frame::new(BINARY, "").reserved(RSV1).declared((1 << 63) - 1);
        receiver.feed(&wire(side, &[frame])).expect_open();
        let mut receiver = self::receiver(side, u64::MAX - 1);
        receiver.feed_frames(&fragments(BINARY, &[packed(&[1; 5000])])).expect_binary(&[1; 5000]);
    }
}

#[test]
fn rfc6455_10_4_a_limit_that_is_lowered_inside_of_a_message_holds_at_once() {
    for side in Side::BOTH {
        let mut packer = Packer::new(6);
        let parts = [packer.pack(&[7; 500], MZFlush::Sync), packer.pack(&[8; 1], MZFlush::Sync), b"\0".to_vec()];
        let frames = fragments(BINARY, &parts);
        let mut receiver = receiver(side, 1000);
        receiver.feed_frames(&frames[..1]).expect_open();
        receiver.connection.set_limits(limit(100));
        receiver.feed_frames(&frames[1..]).expect_failed(TOO_BIG);
    }
}

#[test]
fn rfc6455_10_4_what_we_send_of_what_cannot_be_compressed_is_received_at_the_limit() {
    for (side, level) in Side::BOTH.into_iter().flat_map(|side| (0..=9).map(move |level| (side, level))) {
        for len in [0, 1, 100, 16_000, 16_384, 60_000] {
            // Bytes above 143, which a fixed code makes longest.
            let bytes: Vec<u8> = noise(len, 7).iter().map(|byte| byte | 0xC0).collect();
            for bytes in [noise(len, 3), bytes] {
                let mut sender = Sender::new(side, FRESH, &all_of(level, 1 + level % 9));
                let sent = sender.send(&bytes, Compress::Always).wire();
                receiver(side.other(), len as u64).feed(&sent).expect_binary(&bytes).expect_open();
            }
        }
    }
}
