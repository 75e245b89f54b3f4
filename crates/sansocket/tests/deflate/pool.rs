//! What connections lend each other, and who goes without (RFC 6455, section 10.4).

use allocation_counter::measure;
use sansocket::deflate::{Compress, Compressor, Decompressor, Parameters, Pool, PoolLimits};
use sansocket::{Kind, Limits, ProtocolError};
use sansocket_testkit::{Frame, Side, TEXT};

use super::oracle::packed;
use super::{FRESH, Receiver, Sender, TAKEOVER, all_of, fragments, limit, noise, same, window};

/// The two halves of a message.
fn halves() -> [Frame; 2] {
    let message = packed(b"Hello, Hello");
    let (a, b) = message.split_at(4);
    fragments(TEXT, &[a, b]).try_into().unwrap()
}

fn receivers(count: usize, pool: &Pool, parameters: Parameters) -> Vec<Receiver> {
    (0..count).map(|at| Receiver::with(Side::BOTH[at % 2], parameters, Limits::DEFAULT, pool)).collect()
}

fn senders(count: usize, pool: &Pool, parameters: Parameters) -> Vec<Sender> {
    (0..count).map(|at| Sender::with(Side::BOTH[at % 2], parameters, &all_of(6, 8), pool)).collect()
}

fn pool(lent: usize, kept: usize) -> Pool {
    Pool::new(PoolLimits { lent, kept })
}

#[test]
fn rfc6455_10_4_as_many_messages_are_inflated_at_once_as_the_pool_may_lend() {
    assert_eq!(ProtocolError::TooManyCompressed.close_code().get(), 1013);
    for lent in [0, 1, 3] {
        let pool = pool(lent, 1);
        let mut receivers = receivers(lent + 2, &pool, FRESH);
        let (good, more) = receivers.split_at_mut(lent);
        for (at, receiver) in good.iter_mut().enumerate() {
            receiver.feed_frames(&halves()[..1]);
            assert_eq!(pool.lent(), (at + 1, 0));
        }
        // One more fails, with 1013, and takes nothing from the others.
        more[0].feed_frames(&halves()).expect_failed(ProtocolError::TooManyCompressed);
        assert_eq!(pool.lent(), (lent, 0));
        for receiver in good.iter_mut() {
            receiver.feed_frames(&halves()[1..]).expect_text("Hello, Hello").expect_open();
        }
        assert_eq!(pool.lent(), (0, 0));
        // Whoever comes later finds one again; messages that are not compressed never needed one.
        more[1].feed_frames(&[Frame::new(TEXT, "plain")]).expect_text("plain").expect_open();
        if lent > 0 {
            more[1].feed_frames(&halves()).expect_text("Hello, Hello").expect_open();
        }
    }
}

#[test]
fn rfc6455_10_4_as_many_messages_are_compressed_at_once_as_the_pool_may_lend_and_others_go_as_they_are() {
    for lent in [0, 1, 3] {
        let pool = pool(lent, 1);
        let mut senders = senders(lent + 1, &pool, FRESH);
        for sender in &mut senders[..lent] {
            sender.part(Kind::Text, b"Hello, ", false, Compress::Always);
        }
        assert_eq!(pool.lent(), (0, lent));
        let frames = senders[lent].send("Hello, Hello", Compress::Always).frames();
        assert_eq!((frames[0].reserved_bits(), frames[0].payload()), (0, &b"Hello, Hello"[..]));
        for sender in &mut senders[..lent] {
            let frames = sender.part(Kind::Text, b"Hello", true, Compress::Always).frames();
            Receiver::new(sender.side.other(), FRESH).feed_frames(&frames).expect_text("Hello, Hello");
        }
        assert_eq!(pool.lent(), (0, 0));
        let frames = senders[lent].send("Hello, Hello", Compress::Always).frames();
        assert_eq!(frames[0].reserved_bits() != 0, lent > 0);
    }
}

#[test]
fn decompressors_come_back_at_a_messages_end_on_failure_and_when_dropped() {
    let pool = pool(8, 2);
    let mut receivers = receivers(4, &pool, FRESH);
    receivers.iter_mut().for_each(|receiver| _ = receiver.feed_frames(&halves()[..1]));
    assert_eq!(pool.lent(), (4, 0));
    assert!(!receivers[0].decompressor.is_idle());
    receivers[0].feed_frames(&halves()[1..]);
    assert_eq!((pool.lent(), receivers[0].decompressor.is_idle()), ((3, 0), true));
    // A message that is bad, and one that is too big.
    receivers[1].feed_frames(&[Frame::new(0, b"\xFF\xFF\xFF")]);
    assert!(receivers[1].connection.failure().is_some());
    assert_eq!((pool.lent(), receivers[1].decompressor.is_idle()), ((2, 0), true));
    receivers[2].connection.set_limits(limit(3));
    receivers[2].feed_frames(&halves()[1..]);
    assert_eq!(receivers[2].connection.failure(), Some(ProtocolError::MessageTooBig));
    assert_eq!(pool.lent(), (1, 0));
    // In the middle of a message.
    drop(receivers);
    assert_eq!(pool.lent(), (0, 0));
}

#[test]
fn compressors_come_back_at_a_messages_end_and_when_dropped() {
    let pool = pool(8, 2);
    let mut senders = senders(3, &pool, FRESH);
    senders.iter_mut().for_each(|sender| _ = sender.part(Kind::Text, b"begun", false, Compress::Always));
    assert_eq!((pool.lent(), senders[0].compressor.is_idle()), ((0, 3), false));
    senders[0].part(Kind::Text, b"", true, Compress::Always);
    assert_eq!((pool.lent(), senders[0].compressor.is_idle()), ((0, 2), true));
    senders[1].part(Kind::Text, b"more", true, Compress::Always);
    assert_eq!(pool.lent(), (0, 1));
    drop(senders);
    assert_eq!(pool.lent(), (0, 0));
    let mut sender = Sender::with(Side::Server, FRESH, &all_of(6, 8), &pool);
    sender.send("Hello", Compress::Always).send("Hello", Compress::Auto).send("Hello", Compress::Never);
    assert_eq!((pool.lent(), sender.compressor.is_idle()), ((0, 0), true));
}

#[test]
fn rfc7692_7_1_1_with_takeover_a_side_keeps_its_own_and_needs_no_pool() {
    for side in Side::BOTH {
        let pool = pool(0, 0);
        let mut sender = Sender::with(side, TAKEOVER, &all_of(6, 8), &pool);
        let mut receiver = Receiver::with(side.other(), TAKEOVER, Limits::DEFAULT, &pool);
        assert!(sender.compressor.is_idle() && receiver.decompressor.is_idle());
        for _ in 0..3 {
            sender.send("Hello", Compress::Always);
            receiver.feed_frames(&sender.frames()).expect_text("Hello").expect_open();
            assert!(!sender.compressor.is_idle() && !receiver.decompressor.is_idle());
        }
        assert_eq!(pool.lent(), (0, 0));
        // Each direction by itself.
        for (server, client) in [(true, false), (false, true)] {
            let parameters = Parameters { server: window(15, server), client: window(15, client) };
            let mut sender = Sender::with(side, parameters, &all_of(6, 8), &self::pool(1, 1));
            let mut receiver = Receiver::with(side.other(), parameters, Limits::DEFAULT, &self::pool(1, 1));
            sender.send("Hello", Compress::Always);
            receiver.feed_frames(&sender.frames()).expect_text("Hello");
            let keeps = if side == Side::Server { server } else { client };
            assert_eq!((sender.compressor.is_idle(), receiver.decompressor.is_idle()), (!keeps, !keeps));
        }
    }
}

#[test]
fn what_the_pool_keeps_is_not_made_again() {
    for kept in [0, 1, 2] {
        let pool = pool(8, kept);
        let mut receivers = receivers(3, &pool, FRESH);
        let mut senders = senders(3, &pool, FRESH);
        for _ in 0..2 {
            receivers.iter_mut().for_each(|receiver| _ = receiver.feed_frames(&halves()[..1]));
            receivers.iter_mut().for_each(|receiver| _ = receiver.feed_frames(&halves()[1..]));
            senders.iter_mut().for_each(|sender| _ = sender.part(Kind::Text, b"a", false, Compress::Always));
            senders.iter_mut().for_each(|sender| _ = sender.part(Kind::Text, b"b", true, Compress::Always));
        }
        // Three are needed at once, and so many of them are there.
        let mut held = Vec::new();
        let mut new = Vec::new();
        for _ in 0..3 {
            let parameters = FRESH;
            let mut compressor = Compressor::new(parameters, true, &all_of(6, 8), &pool);
            let mut connection = super::connection(Side::Server, Some(parameters), Limits::DEFAULT);
            let mut out = Vec::with_capacity(1000);
            let taken = measure(|| {
                compressor.send_part(Kind::Text, b"a", false, Compress::Always, &mut connection, &mut out).unwrap();
            });
            new.push(taken.count_total > 0);
            held.push(compressor);
        }
        assert_eq!(new.iter().filter(|&&new| !new).count(), kept, "kept {kept}");
        let mut held = Vec::new();
        let mut new = Vec::new();
        for _ in 0..3 {
            let mut decompressor = Decompressor::new(FRESH, false, &pool);
            let mut connection = super::connection(Side::Client, Some(FRESH), Limits::DEFAULT);
            let mut bytes = super::wire(Side::Client, &halves()[..1]);
            let (mut out, mut scratch) = (Vec::with_capacity(1000), [0; 100]);
            let Some(sansocket::Event::Compressed(mut piece)) = connection.receive(&mut &mut bytes[..], &mut out)
            else {
                panic!("a compressed piece")
            };
            let taken = measure(|| {
                decompressor.inflate(&mut piece, &mut scratch, &mut connection, &mut out);
            });
            new.push(taken.count_total > 0);
            held.push(decompressor);
        }
        assert_eq!(new.iter().filter(|&&new| !new).count(), kept, "kept {kept}");
    }
}

#[test]
fn compressors_of_different_settings_do_not_mix() {
    let pool = pool(8, 8);
    // It repeats itself near and far, and changes its letters.
    let letters = |seed: u64, count: u8| noise(3000, seed).iter().map(|byte| char::from(b'a' + byte % count)).collect();
    let text: String =
        [letters(1, 4), letters(2, 26), letters(1, 4), letters(2, 26)].iter().map(String::as_str).collect();
    let mut all = Vec::new();
    for (window_bits, level, memory_level) in [(15, 9, 8), (9, 9, 8), (15, 1, 8), (15, 9, 1), (12, 6, 4)] {
        let sent = |pool: &Pool| {
            let mut sender = Sender::with(Side::Server, same(window_bits, false), &all_of(level, memory_level), pool);
            sender.send(&text, Compress::Always).wire()
        };
        all.push((window_bits, level, memory_level, sent(&Pool::default())));
        // In the same pool, whatever others have left there.
        for (window_bits, level, memory_level, expected) in &all {
            let mut sender =
                Sender::with(Side::Server, same(*window_bits, false), &all_of(*level, *memory_level), &pool);
            assert_eq!(sender.send(&text, Compress::Always).wire(), *expected);
        }
    }
    let distinct: std::collections::HashSet<_> = all.iter().map(|(.., sent)| sent).collect();
    assert_eq!(distinct.len(), all.len(), "settings that make a difference");
}

#[test]
fn what_a_message_leaves_in_a_compressor_is_not_seen_by_the_next_connection() {
    let pool = pool(1, 1);
    let mut left_in_the_middle = Sender::with(Side::Server, FRESH, &all_of(6, 8), &pool);
    left_in_the_middle.part(Kind::Text, b"the secret of another", false, Compress::Always);
    drop(left_in_the_middle);
    let mut sender = Sender::with(Side::Server, FRESH, &all_of(6, 8), &pool);
    let mut other = Sender::new(Side::Server, FRESH, &all_of(6, 8));
    let text = "the secret of another, guessed";
    assert_eq!(sender.send(text, Compress::Always).wire(), other.send(text, Compress::Always).wire());
    // Nor in a decompressor: a reference to it fails.
    let mut first = Receiver::with(Side::Client, FRESH, Limits::DEFAULT, &pool);
    first.feed_frames(&halves()).expect_text("Hello, Hello");
    let mut second = Receiver::with(Side::Client, FRESH, Limits::DEFAULT, &pool);
    second.feed_frames(&fragments(TEXT, &[b"\xF2\x00\x11\x00\x00"])).expect_failed(ProtocolError::InvalidCompression);
    // Nor what is left of one that has failed, or was dropped in the middle of a message.
    let mut third = Receiver::with(Side::Client, FRESH, Limits::DEFAULT, &pool);
    third.feed_frames(&halves()[..1]);
    drop(third);
    let mut fourth = Receiver::with(Side::Client, FRESH, Limits::DEFAULT, &pool);
    fourth.feed_frames(&halves()).expect_text("Hello, Hello").expect_open();
}

#[test]
fn a_pool_is_shared_by_its_clones_and_by_threads() {
    let pool = pool(64, 4);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let pool = pool.clone();
            std::thread::spawn(move || {
                for _ in 0..20 {
                    let mut sender = Sender::with(Side::Server, FRESH, &all_of(3, 8), &pool);
                    let mut receiver = Receiver::with(Side::Client, FRESH, Limits::DEFAULT, &pool);
                    receiver.feed_frames(&sender.send("Hello, Hello", Compress::Always).frames());
                    receiver.expect_text("Hello, Hello").expect_open();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(pool.lent(), (0, 0));
    assert!(format!("{pool:?}").contains("64"));
}

#[test]
fn what_was_made_and_not_taken_of_a_message_is_not_seen_by_the_next_connection() {
    let pool = pool(1, 1);
    let left = Sender::with(Side::Server, FRESH, &all_of(6, 8), &pool);
    let Sender { connection, mut compressor, .. } = left;
    let bytes = noise(40_000, 1);
    let mut rest = &bytes[..];
    assert_eq!(compressor.begin(rest.len(), Compress::Always, &connection), Ok(true));
    assert!(!compressor.compress(&mut rest, true).unwrap().is_last());
    drop(compressor);
    let mut sender = Sender::with(Side::Server, FRESH, &all_of(6, 8), &pool);
    let mut other = Sender::new(Side::Server, FRESH, &all_of(6, 8));
    assert_eq!(sender.send("Hello", Compress::Always).wire(), other.send("Hello", Compress::Always).wire());
}
