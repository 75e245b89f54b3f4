//! What is written before what is told, and what goes between the frames of a long message.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;
use sansocket_testkit::{Side, split_frames};
use sansocket_tokio::{AcceptOptions, CloseCode, Error, Message, Negotiated, SendError, Timeouts, WebSocket};

use crate::put;
use crate::wire::{End, Hand, wire};

/// A peer's end, a server that can write so much before its peer reads, and a look at its end.
fn server(room: usize) -> (End, WebSocket<End>, Hand) {
    let (peer, stream) = wire(1 << 20, room);
    let hand = stream.hand();
    let options = AcceptOptions::new().timeouts(Timeouts::NONE);
    (peer, options.upgraded(stream, Negotiated::default(), &[]), hand)
}

#[test]
fn the_answer_to_a_close_is_written_before_a_read_tells_of_it() {
    for room in [1 << 10, 0] {
        let (mut peer, mut ws, hand) = server(room);
        put(&mut peer, b"\x88\x82\0\0\0\0\x03\xe9");
        if room == 0 {
            assert!(ws.read().now_or_never().is_none(), "it waits until the answer is taken");
            assert_eq!(hand.written(), b"");
            hand.make_room(1 << 10);
        }
        assert_eq!(ws.read().now_or_never().unwrap().unwrap(), None);
        assert_eq!(hand.written(), b"\x88\x02\x03\xe9");
    }
}

#[test]
fn behind_our_close_sending_fails_with_the_message_in_the_callers_hand_and_reading_goes_on() {
    let (mut peer, mut ws, hand) = server(1 << 10);
    put(&mut peer, b"\x81\x81\0\0\0\x001\x81\x81\0\0\0\x002\x88\x82\0\0\0\0\x03\xe8");
    ws.start_close(CloseCode::NORMAL, "").now_or_never().unwrap().unwrap();
    let written = hand.written();
    let message = String::from("what could not be sent");
    for expected in [Some("1"), Some("2"), None, None] {
        for result in [
            ws.send(&message).now_or_never().unwrap(),
            ws.queue(&message).now_or_never().unwrap(),
            ws.try_queue(&message).map_err(Error::Send),
            ws.ping(b"").now_or_never().unwrap(),
        ] {
            assert!(matches!(result, Err(Error::Send(SendError::Closing))), "{result:?}");
        }
        assert_eq!(ws.read().now_or_never().unwrap().unwrap(), expected.map(Message::Text));
    }
    assert_eq!(hand.written(), written, "nothing behind the Close");
    assert_eq!(message, "what could not be sent");
}

#[test]
fn a_ping_that_comes_while_a_long_message_is_sent_is_answered_before_its_last_frame() {
    for is_vectored in [false, true] {
        let (mut peer, ws, hand) = server(100_000);
        hand.manners().is_vectored = is_vectored;
        let (mut reader, mut writer) = ws.split();
        let message = vec![7; 1 << 20];
        let cx = &mut Context::from_waker(Waker::noop());
        let mut sending = pin!(writer.send(&message));
        assert!(sending.as_mut().poll(cx).is_pending());
        put(&mut peer, b"\x89\x81\0\0\0\0?");
        assert!(reader.read().now_or_never().is_none());
        hand.make_room(2 << 20);
        while sending.as_mut().poll(cx).is_pending() {
            assert!(reader.read().now_or_never().is_none());
        }
        let frames = split_frames(Side::Server, &hand.written());
        let pong = frames.iter().position(|frame| frame.payload() == b"?").expect("a pong");
        assert!(pong + 1 < frames.len(), "{pong} of {}", frames.len());
    }
}

#[test]
fn a_message_of_any_length_takes_reads_and_memory_in_proportion() {
    for len in [1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24] {
        let (mut peer, mut ws, hand) = server(1 << 10);
        peer.hand().make_room(len + 14);
        let header = [&b"\x82\xff"[..], &(len as u64).to_be_bytes(), &[0; 4]].concat();
        put(&mut peer, &[header, vec![7; len]].concat());
        let info = allocation_counter::measure(|| {
            let Poll::Ready(read) = pin!(ws.read()).poll(&mut Context::from_waker(Waker::noop())) else { panic!() };
            assert_eq!(read.unwrap().unwrap().as_bytes().len(), len);
        });
        let (reads, _) = hand.calls();
        assert!(reads <= 8 + len / (256 << 10), "{len}: {reads} reads");
        // Memory grows by doubling: what is given up on the way is less than what is there in the end.
        assert!(info.bytes_total <= 3 * len as u64 + (1 << 18), "{len}: {info:?}");
    }
}
