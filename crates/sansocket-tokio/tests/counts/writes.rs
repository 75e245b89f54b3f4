//! Writes, and what is copied for them.

use allocation_counter::measure;
use futures_util::{FutureExt, SinkExt};
use sansocket_tokio::SharedMessage;

use crate::{echo, frames, put, server};

#[test]
fn what_came_in_one_read_is_answered_in_one_write() {
    for (message, count) in [(&[7; 10][..], 100), (&[7; 125], 100), (&[7; 1000], 16), (&[], 1000)] {
        let (mut peer, mut ws, hand) = server();
        put(&mut peer, &frames(&vec![message; count]));
        echo(&mut ws);
        assert_eq!(hand.calls(), (1, 1), "{count} of {} bytes", message.len());
    }
}

#[test]
fn pings_that_came_in_one_read_are_answered_in_one_write() {
    let (mut peer, mut ws, hand) = server();
    put(&mut peer, &b"\x89\x81\0\0\0\0x".repeat(100));
    assert!(ws.read().now_or_never().is_none());
    assert_eq!(hand.calls(), (1, 1));
}

#[test]
fn what_is_queued_leaves_in_one_write_whoever_writes_it() {
    for how in ["flush", "send", "read", "sink", "close"] {
        let (_peer, mut ws, hand) = server();
        for _ in 0..100 {
            if how == "sink" {
                ws.feed(SharedMessage::from("hello")).now_or_never().unwrap().unwrap();
            } else {
                ws.queue("hello").now_or_never().unwrap().unwrap();
            }
        }
        assert_eq!(hand.manners().writes, 0, "{how}");
        match how {
            "flush" => ws.flush().now_or_never().unwrap().unwrap(),
            "send" => ws.send("hello").now_or_never().unwrap().unwrap(),
            "sink" => SinkExt::flush(&mut ws).now_or_never().unwrap().unwrap(),
            "read" => assert!(ws.read().now_or_never().is_none()),
            _ => assert!(ws.close(None, "").now_or_never().is_none()),
        }
        assert_eq!((hand.manners().writes, ws.queued()), (1, 0), "{how}");
    }
}

#[test]
fn a_server_writes_a_long_message_out_of_the_callers_memory() {
    let message = vec![7; 1 << 20];
    for way in ["whole", "writer", "sink", "try_queue"] {
        let (_peer, mut ws, hand) = server();
        let shared = SharedMessage::from(message.clone());
        let mut ends = None;
        let info = measure(|| match way {
            "whole" => ws.send(&message).now_or_never().unwrap().unwrap(),
            "sink" => SinkExt::send(&mut ws, shared).now_or_never().unwrap().unwrap(),
            "try_queue" => ws.try_queue(&message).unwrap(),
            _ => {
                let (reader, mut writer) = ws.split();
                writer.send(&message).now_or_never().unwrap().unwrap();
                ends = Some((reader, writer));
            }
        });
        // A header and its payload, side by side.
        let slices = hand.manners().slices.clone();
        assert!(slices.len() == 2 && slices[0] <= 10 && slices[1] >= 1 << 16, "{way}: {slices:?}");
        assert!(info.bytes_total < 4096, "{way}: {info:?}");
    }
}

#[test]
fn a_mebibyte_in_one_frame_takes_few_reads() {
    let (mut peer, mut ws, hand) = server();
    put(&mut peer, &[&b"\x82\xFF\0\0\0\0\0\x10\0\0\0\0\0\0"[..], &[7; 1 << 20]].concat());
    assert!(ws.read().now_or_never().unwrap().unwrap().is_some());
    let (reads, _) = hand.calls();
    assert!(reads <= 9, "{reads}");
}
