//! Compressed messages that come in parts.

use sansocket_mio::deflate::{Compress, Policy};
use sansocket_mio::{CloseCode, EndedBy, Event, Kind, Limits, Message, ProtocolError, SendError, Settings};
use sansocket_testkit::{BINARY, Frame};

use super::compression::{compressing, open, open_pooled, talk};
use crate::fake::{Coming, Going, Heard, Rig};
use crate::peer::RSV1;

/// What a driver gives of what `bytes` bring: each part's length, and whether it is the first and the last.
fn parts(rig: &mut Rig, bytes: Vec<u8>, mut with: impl FnMut(&[u8])) -> Vec<(usize, bool, bool)> {
    let mut seen = Vec::new();
    rig.stream().push(Coming::Bytes(bytes));
    loop {
        let mut turn = rig.driver.turn(&mut rig.common);
        turn.on_readable(false);
        let mut input = turn.read(&mut rig.buffer);
        while let Some(event) = turn.next(&mut input) {
            match event {
                Event::Part(part) => {
                    seen.push((part.as_bytes().len(), part.is_first(), part.is_last()));
                    with(part.as_bytes());
                }
                Event::Message(message) => {
                    seen.push((message.as_message().as_bytes().len(), true, true));
                    with(message.as_message().as_bytes());
                }
                event => panic!("{event:?}"),
            }
        }
        drop(turn);
        if !rig.driver.wants_turn() {
            return seen;
        }
    }
}

#[test]
fn what_a_message_is_once_inflated_decides_whether_it_comes_in_parts() {
    for (whole, len, in_parts) in [
        (999, 1000, true),
        (1000, 1000, false),
        (16 << 10, 16 << 10, false),
        (16 << 10, (16 << 10) + 1, true),
        (100_000, 100_000, false),
        (100_000, 100_001, true),
        (0, 300, true),
        (0, 0, false),
    ] {
        for text in [false, true] {
            let settings = Settings { whole, ..compressing(Policy::DEFAULT) };
            let (mut rig, mut peer) = open(settings, &[Policy::DEFAULT]);
            let payload = vec![b'x'; len];
            let sent = if text { Message::Text(str::from_utf8(&payload).unwrap()) } else { (&payload).into() };
            // Twice: behind the parts of one message, the next one is decided anew.
            for _ in 0..2 {
                peer.send(sent, Compress::Always);
                let mut joined = Vec::new();
                let mut whole_ones = 0;
                rig.stream().push(Coming::Bytes(peer.take()));
                let mut turn = rig.driver.turn(&mut rig.common);
                turn.on_readable(false);
                let mut input = turn.read(&mut rig.buffer);
                while let Some(event) = turn.next(&mut input) {
                    match event {
                        Event::Part(part) => {
                            assert_eq!((part.is_first(), part.kind()), (joined.is_empty(), sent.kind()));
                            joined.extend_from_slice(part.as_bytes());
                            assert_eq!(part.is_last(), joined.len() == len);
                        }
                        Event::Message(message) => {
                            joined.extend_from_slice(message.as_message().as_bytes());
                            whole_ones += 1;
                        }
                        event => panic!("{event:?}"),
                    }
                }
                drop(turn);
                assert_eq!((whole_ones == 0, joined == payload), (in_parts, true), "{len} bytes, {whole} whole");
            }
        }
    }
}

#[test]
fn a_read_that_becomes_a_thousand_times_as_much_comes_in_parts_and_takes_no_more_memory_for_it() {
    const LEN: usize = 16 << 20;
    let whole = 10_000;
    let limits = Limits { message: LEN as u64, ..Limits::DEFAULT };
    let settings = Settings { whole, limits, ..compressing(Policy::DEFAULT) };
    let (mut rig, mut peer, pool) = open_pooled(settings, &[Policy::DEFAULT]);
    // Twice in one packet, which is read in one or two reads.
    let compressed = peer.compressed(&vec![0; LEN]);
    peer.frame(Frame::new(BINARY, &compressed).reserved(RSV1));
    peer.frame(Frame::new(BINARY, &compressed).reserved(RSV1));
    let bytes = peer.take();
    assert!(bytes.len() < LEN / 400, "{}", bytes.len());
    let mut seen = Vec::with_capacity(2 * LEN / 1000);
    let info = allocation_counter::measure(|| seen.extend(parts(&mut rig, bytes, |part| assert!(part.len() < 30_000))));
    // The parts' own story takes most of it.
    assert!(info.bytes_max < 2 << 20, "{info:?}");
    for message in [&seen[..seen.len() / 2], &seen[seen.len() / 2..]] {
        assert_eq!(message.iter().map(|(len, ..)| len).sum::<usize>(), LEN);
        let ends = |(at, (_, first, last)): (usize, &(usize, bool, bool))| {
            (*first, *last) == (at == 0, at + 1 == message.len())
        };
        assert!(message.iter().enumerate().all(ends));
    }
    // It goes on as before.
    peer.send("hello", Compress::Always);
    assert_eq!(parts(&mut rig, peer.take(), |part| assert_eq!(part, b"hello")), [(5, true, true)]);
    assert_eq!(pool.lent(), (0, 0));
}

#[test]
fn a_turn_inflates_a_mebibyte_and_what_is_left_has_turns_of_its_own() {
    const TURN: usize = 1 << 20;
    for whole in [1000, usize::MAX] {
        let settings = Settings { whole, ..compressing(Policy::DEFAULT) };
        let (mut rig, mut peer) = open(settings, &[Policy::DEFAULT]);
        // A message of several turns, many that are short, and one behind them that was not compressed.
        peer.send(&vec![0; 3 * TURN + 5], Compress::Always);
        (0..300).for_each(|_| peer.send(&vec![1; 10_000], Compress::Always));
        peer.send("end", Compress::Never);
        let mut len = 0;
        rig.stream().push(Coming::Bytes(peer.take()));
        let (mut turns, mut messages, mut has_ended) = (0, 0, false);
        loop {
            let mut turn = rig.driver.turn(&mut rig.common);
            if turns == 0 {
                turn.on_readable(false);
            }
            let mut given = 0;
            let mut input = turn.read(&mut rig.buffer);
            while let Some(event) = turn.next(&mut input) {
                let (count, last) = match &event {
                    Event::Part(part) => (part.as_bytes().len(), part.is_last()),
                    Event::Message(message) => {
                        has_ended |= message.as_message() == Message::Text("end");
                        (message.as_message().as_bytes().len(), true)
                    }
                    event => panic!("{event:?}"),
                };
                given += count;
                messages += usize::from(last);
            }
            drop(turn);
            len += given;
            turns += 1;
            // A message that is given whole was inflated in the turns before.
            assert!(whole == usize::MAX || given <= TURN + (32 << 10), "{given}");
            if !rig.driver.wants_turn() {
                break;
            }
        }
        assert_eq!((len, messages, has_ended), (3 * TURN + 5 + 3_000_000 + 3, 302, true));
        // Six for what is inflated, and some that go on with what was read or find the socket empty.
        assert!((6..=12).contains(&turns), "{turns}");
    }
}

#[test]
fn an_application_that_closes_or_is_told_off_inside_of_a_message_hears_of_its_end() {
    // As much as is inflated in one turn.
    const LEN: usize = 1_000_000;
    let settings = Settings { whole: 1000, queue: 100_000, ..compressing(Policy::DEFAULT) };
    // The closing handshake goes on while parts still come; a queue that is full ends the connection.
    for overrun in [false, true] {
        let (mut rig, mut peer, pool) = open_pooled(settings, &[Policy::DEFAULT]);
        rig.stream().going.push_back(Going::Takes(0));
        peer.send(&vec![0; LEN], Compress::Always);
        rig.stream().push(Coming::Bytes(peer.take()));
        let mut turn = rig.driver.turn(&mut rig.common);
        turn.on_readable(false);
        let mut input = turn.read(&mut rig.buffer);
        let (mut parts, mut end) = (0, None);
        while let Some(event) = turn.next(&mut input) {
            match event {
                Event::Part(part) => {
                    parts += part.as_bytes().len();
                    if overrun {
                        let sent = turn.send_part_with(Kind::Binary, &[7; 20_000], false, Compress::Never);
                        assert!(matches!(sent, Ok(_) | Err(SendError::NoRoom)), "{sent:?}");
                    } else {
                        let _ = turn.close(CloseCode::NORMAL, "enough");
                    }
                }
                Event::End(ending) => end = Some(ending.by()),
                event => panic!("{event:?}"),
            }
        }
        drop(turn);
        assert_eq!(pool.lent(), (0, 0), "what inflates was given back");
        if overrun {
            assert!(parts < LEN);
            assert_eq!(end, Some(EndedBy::Failure(ProtocolError::QueueOverrun)));
            continue;
        }
        assert_eq!((parts, end), (LEN, None));
        rig.turn((false, false, true));
        talk(&mut rig, &mut peer);
        assert!(matches!(&rig.heard[..], [Heard::End(ending)] if ending.is_clean()), "{:?}", rig.heard);
        assert!(rig.driver.is_finished());
    }
}
