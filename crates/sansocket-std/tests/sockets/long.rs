//! Long messages: each byte is read once and moved once, and what the protocol owes goes between their frames.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::thread;

use allocation_counter::measure;
use sansocket_std::{AcceptOptions, Message};

use crate::common::{masked, open_to_all, raw_client, sockets};
use crate::script::{Script, server};

/// A binary message of so many bytes in one frame, as a client sends it, masked with zeros.
fn message(len: usize) -> Vec<u8> {
    let mut wire = vec![0x82, 0x80 | 127];
    wire.extend((len as u64).to_be_bytes());
    wire.extend([0; 4]);
    wire.resize(wire.len() + len, 7);
    wire
}

#[test]
fn a_message_of_any_length_takes_reads_copies_and_memory_in_proportion() {
    for len in [1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26] {
        let stream = Script::generous(&message(len));
        let mut ws = server(AcceptOptions::new(), &stream);
        let info = measure(|| {
            let read = ws.read().unwrap();
            assert!(matches!(read, Some(Message::Binary(bytes)) if bytes.len() == len));
        });
        let reads = stream.reads();
        assert!(reads.len() <= 8 + len / (256 << 10), "{len}: {} reads", reads.len());
        // What goes through the buffer is copied out of it. All else is read to where it stays.
        let buffer = reads[0].0;
        let copied: usize = reads.iter().map(|&(room, count)| if room <= buffer { count } else { 0 }).sum();
        assert!(copied <= 2 * buffer, "{len}: {copied} bytes copied");
        // Memory grows by doubling: what is given up on the way is less than what is there in the end.
        let most = 3 * len as u64 + (1 << 18);
        assert!(info.bytes_total <= most, "{len}: {} bytes allocated", info.bytes_total);
    }
}

#[test]
fn a_ping_that_comes_while_a_long_message_is_sent_is_answered_before_its_last_frame() {
    // More than sockets hold, so that the sender stands in the middle of it.
    const LEN: usize = 32 << 20;

    let (client, server) = sockets();
    let server = thread::spawn(move || open_to_all().accept(server).unwrap());
    let mut client = raw_client(client);
    let (mut reader, writer) = server.join().unwrap().split().unwrap();
    let sending = thread::spawn(move || writer.send(&vec![7; LEN]));
    let (heard, has_heard) = mpsc::channel();
    let reading = thread::spawn(move || {
        assert_eq!(reader.read().unwrap(), Some(Message::Text("go on")));
        heard.send(()).unwrap();
        reader.read().map(drop)
    });

    // The message is under way.
    let (first, payload) = read_frame(&mut client);
    assert_eq!(first, 0x02);
    let (mut len, mut pongs) = (payload.len(), 0);
    client.write_all(&[masked(0x89, b"there?"), masked(0x81, b"go on")].concat()).unwrap();
    // The server has read the ping, and the client has read nothing more.
    has_heard.recv().unwrap();
    while len < LEN {
        match read_frame(&mut client) {
            (0x8A, payload) => {
                assert_eq!(payload, b"there?");
                pongs += 1;
            }
            (first, payload) => {
                assert_eq!(first & 0x0F, 0, "a continuation");
                len += payload.len();
            }
        }
    }
    assert_eq!(pongs, 1, "before the last frame");
    sending.join().unwrap().unwrap();
    client.write_all(&masked(0x88, b"")).unwrap();
    reading.join().unwrap().unwrap();
}

/// The first byte of a server's frame, and its payload.
fn read_frame(stream: &mut impl Read) -> (u8, Vec<u8>) {
    let mut read = |len| {
        let mut bytes = vec![0; len];
        stream.read_exact(&mut bytes).unwrap();
        bytes
    };
    let head = read(2);
    let longer = match head[1] {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let len = read(longer).iter().fold(0, |len, &byte| len << 8 | usize::from(byte));
    (head[0], read(if longer == 0 { head[1].into() } else { len }))
}
