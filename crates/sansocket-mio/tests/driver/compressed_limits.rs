//! What a peer can make us hold and do by compression, and what it is told then.

use std::mem;

use sansocket::{MAX_REPLY, Negotiated};
use sansocket_mio::deflate::{Compress, Policy};
use sansocket_mio::{EndedBy, Event, Kind, Limits, ProtocolError, SendError, Sent, Settings};
use sansocket_testkit::{BINARY, CONTINUATION, Frame, PING, Side, TEXT, close_body, split_frames};

use super::compression::{compressing, is_compressed, open, open_pooled, scrambled, talk};
use crate::fake::{Coming, Going, Heard, message};
use crate::peer::{Got, RSV1};

/// That these frames end a connection with this error, and nothing is held for it any more.
#[track_caller]
fn expect_failure(settings: Settings, frames: &[Frame], error: ProtocolError) {
    let (mut rig, mut peer, pool) = open_pooled(settings, &[Policy::DEFAULT]);
    rig.echoes = false;
    frames.iter().for_each(|frame| peer.frame(frame.clone()));
    let bytes = peer.take();
    rig.stream().push(Coming::Bytes(bytes));
    rig.run();
    match rig.heard.pop() {
        Some(Heard::End(ending)) => assert_eq!(ending.by(), EndedBy::Failure(error)),
        heard => panic!("{heard:?}"),
    }
    assert_eq!(rig.heard, []);
    let written = split_frames(Side::Server, &rig.stream().written);
    let body = close_body(error.close_code().get(), error.text());
    assert_eq!(written.iter().map(Frame::payload).collect::<Vec<_>>(), [&body[..]]);
    assert_eq!(pool.lent(), (0, 0));
}

#[test]
fn rfc7692_7_2_2_what_cannot_be_inflated_is_1007_and_what_follows_is_not_looked_at() {
    let settings = compressing(Policy::DEFAULT);
    let behind = Frame::new(TEXT, "behind");
    for garbage in [&b"\xFF\xFF\xFF"[..], b"garbage", &[7; 100]] {
        let frames = [Frame::new(BINARY, garbage).reserved(RSV1), behind.clone()];
        expect_failure(settings, &frames, ProtocolError::InvalidCompression);
    }
    // In a later frame, behind a good beginning and a ping that nobody hears of any more.
    let mut peer = open(settings, &[Policy::DEFAULT]).1;
    let good = peer.compressed(&scrambled(1000));
    let frames = [
        Frame::new(BINARY, &good[..500]).reserved(RSV1).fin(false),
        Frame::new(CONTINUATION, [0xFF; 5000]).fin(false),
        Frame::new(PING, "?"),
    ];
    expect_failure(settings, &frames, ProtocolError::InvalidCompression);
}

#[test]
fn rfc7692_6_a_text_is_utf8_once_it_is_inflated_or_it_is_1007() {
    let settings = compressing(Policy::DEFAULT);
    for text in [&b"\xFF"[..], b"good at first \xC0\x80", b"cut \xF0\x9F", &[&[b'x'; 50_000][..], b"\x80"].concat()] {
        let compressed = open(settings, &[Policy::DEFAULT]).1.compressed(text);
        expect_failure(settings, &[Frame::new(TEXT, compressed).reserved(RSV1)], ProtocolError::InvalidUtf8);
    }
}

#[test]
fn a_message_of_n_bytes_inflated_is_taken_and_one_of_n_plus_1_is_1009() {
    let limits = Limits { message: 100_000, ..Limits::DEFAULT };
    for whole in [usize::MAX, 1 << 20] {
        let settings = Settings { limits, whole, ..compressing(Policy::DEFAULT) };
        let (mut rig, mut peer) = open(settings, &[Policy::DEFAULT]);
        peer.send(&[0; 100_000], Compress::Always);
        talk(&mut rig, &mut peer);
        assert!(peer.got.pop_front() == Some(Got::Compressed(Kind::Binary, vec![0; 100_000])));
        let compressed = peer.compressed(&[0; 100_001]);
        expect_failure(settings, &[Frame::new(BINARY, compressed).reserved(RSV1)], ProtocolError::MessageTooBig);
    }
}

#[test]
fn rfc6455_5_2_rsv1_without_an_agreement_is_1002() {
    let bytes = Frame::new(TEXT, "x").reserved(RSV1).masked([1, 2, 3, 4]).bytes();
    // The client offers and the server does not want it, the server wants it and the client offers nothing, and neither does.
    for (settings, policies) in
        [(Settings::DEFAULT, &[Policy::DEFAULT][..]), (compressing(Policy::DEFAULT), &[]), (Settings::DEFAULT, &[])]
    {
        let (mut rig, mut peer) = open(settings, policies);
        assert_eq!(peer.connection.negotiated(), Negotiated::default());
        // And nothing is compressed.
        peer.send(&[7; 5000], Compress::Auto);
        talk(&mut rig, &mut peer);
        assert_eq!(peer.got, [Got::Message(Kind::Binary, vec![7; 5000])]);
        let mut turn = rig.driver.turn(&mut rig.common);
        let _ = turn.send_with(&[7; 5000], Compress::Always).unwrap();
        let _ = turn.send_part_with(Kind::Binary, &[7; 5000], true, Compress::Always).unwrap();
        drop(turn);
        talk(&mut rig, &mut peer);
        assert_eq!(peer.got.len(), 3);
        assert!(!peer.got.iter().any(is_compressed));
        rig.stream().push(Coming::Bytes(bytes.clone()));
        rig.run();
        let written = split_frames(Side::Server, &rig.stream().written);
        assert_eq!(written[0].payload()[..2], 1002_u16.to_be_bytes());
    }
}

#[test]
fn what_is_compressed_counts_as_it_leaves_to_the_marks_and_the_queue() {
    let settings = Settings { high_mark: 50_000, low_mark: 10_000, queue: 200_000, ..compressing(Policy::DEFAULT) };
    let (mut rig, mut peer, pool) = open_pooled(settings, &[Policy::DEFAULT]);
    rig.stream().going.push_back(Going::Takes(0));
    let mut turn = rig.driver.turn(&mut rig.common);
    // A mebibyte that gets short does no harm.
    assert_eq!(turn.send(&vec![0; 1 << 20]), Ok(Sent::Accepted));
    assert_eq!(turn.send_with(&scrambled(40_000), Compress::Never), Ok(Sent::Accepted));
    assert_eq!(turn.send_with(&scrambled(40_001), Compress::Always), Ok(Sent::AboveMark));
    drop(turn);
    assert!(!rig.driver.may_read());
    assert!((80_000..90_000).contains(&rig.driver.queued()), "{}", rig.driver.queued());
    assert!(rig.turn((false, false, true)), "it has drained");
    talk(&mut rig, &mut peer);
    assert_eq!(peer.got.len(), 3);
    assert!(
        peer.got.make_contiguous()[1..]
            == [40_000, 40_001].map(|len| Got::message((&scrambled(len)).into(), len == 40_001))
    );

    // At most the queue, one message, and what the protocol demands.
    rig.stream().going.push_back(Going::Takes(0));
    let mut turn = rig.driver.turn(&mut rig.common);
    let sent = loop {
        let sent = turn.send_with(&scrambled(70_000), Compress::Always);
        if sent != Ok(Sent::AboveMark) {
            break sent;
        }
    };
    assert_eq!(sent, Err(SendError::NoRoom));
    assert!(
        matches!(turn.next(&mut &mut [][..]), Some(Event::End(ending)) if ending.by() == EndedBy::Failure(ProtocolError::QueueOverrun))
    );
    drop(turn);
    assert!((200_000..=200_000 + 72_000 + MAX_REPLY).contains(&rig.driver.queued()), "{}", rig.driver.queued());
    rig.turn((false, false, true));
    peer.receive(&mem::take(&mut rig.stream().written));
    assert!(peer.got.drain(3..).all(|got| got == Got::Compressed(Kind::Binary, scrambled(70_000))));
    assert!(peer.ending().is_some());
    assert_eq!(pool.lent(), (0, 0));
}

#[test]
fn what_one_read_becomes_is_not_given_while_more_is_queued_than_the_mark_allows() {
    // Messages that are echoed as they are: a thousand times what was read. They come whole, or in parts, and behind them comes another read.
    const LEN: usize = 1 << 20;
    for whole in [usize::MAX, 10_000] {
        for ends in [false, true] {
            let (high_mark, queue) = (100_000, 3 << 20);
            let settings = Settings { whole, high_mark, low_mark: 10_000, queue, ..compressing(Policy::DEFAULT) };
            let (mut rig, mut peer) = open(settings, &[Policy::DEFAULT]);
            rig.choice = Compress::Never;
            for at in 0..10 {
                peer.send(&vec![at; LEN], Compress::Always);
                peer.ping(&[at]);
            }
            let bytes = peer.take();
            assert!(bytes.len() < 20_000, "one read");
            rig.stream().push(Coming::Bytes(bytes));
            peer.send("behind", Compress::Never);
            rig.stream().push(Coming::Bytes(peer.take()));
            rig.stream().ends = ends;
            // The socket takes something now and then, so that the peer is never told off.
            rig.stream().going.extend((0..1000).map(|_| Going::Takes(50_000)));
            rig.run();
            rig.expect_done();
            let mut messages: Vec<_> = rig.heard.iter().filter(|heard| matches!(heard, Heard::Message(..))).collect();
            assert!(messages.pop() == Some(&message("behind".into())));
            assert!(messages.iter().zip(0..).all(|(heard, at)| **heard == message((&vec![at; LEN]).into())));
            assert_eq!(messages.len(), 10);
            peer.receive(&mem::take(&mut rig.stream().written));
            assert_eq!(peer.got.len(), 21);
            let most = if whole > LEN { LEN } else { 30_000 };
            assert!(rig.most_queued <= high_mark + most + 100, "{} bytes", rig.most_queued);
            assert_eq!(rig.driver.is_finished(), ends);
        }
    }
}
