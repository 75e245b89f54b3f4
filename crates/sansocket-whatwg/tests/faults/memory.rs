//! Objects in a process that has little memory: a message that does not fit costs its object's connection, and no other one.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use sansocket_testkit::{Frame, TEXT, close_body, split_frames};
use sansocket_whatwg::{CloseEvent, Event, Failure, WebSocket};

use crate::peer::{Listener, Peer, failed, next};
use crate::story::{Alone, Told, rest};

/// The address space of the process, in KiB: less than the server sends.
const MEMORY: &str = "230000";

/// The length of a message for which there is memory, and for a copy of which there is none.
const ENOUGH: usize = 1600 << 16;

const URL: &str = "SANSOCKET_TEST_URL";

/// The process: of two objects one is flooded, and both are heard to their end; then a third one is opened.
fn be_flooded(url: &str) {
    let open = || {
        let socket = WebSocket::builder(url).message_limit(u64::MAX).build().unwrap();
        assert_eq!(next(&socket), Event::Open);
        socket
    };
    let (flooded, bystander) = (open(), open());
    let events = crate::peer::rest(&flooded);
    // A message for which there was memory is told.
    let is_there = matches!(&events[..], [Event::Message(message), _] if message.data().as_bytes().len() == ENOUGH);
    assert!(is_there || events == failed(), "{} events", events.len());
    if !is_there {
        let failure = flooded.failure().map(|failure| failure.to_string());
        assert!(matches!(flooded.failure(), Some(Failure::Protocol(_))), "{failure:?}");
        assert!(failure.unwrap().contains("no memory"));
    }
    let echoed = |socket| rest(socket) == [Told::Message(true, b"still there".to_vec()), end()];
    assert!(echoed(&bystander));
    assert!(echoed(&open()));
}

fn end() -> Told {
    Told::Close(CloseEvent::new(true, 3000, ""))
}

/// That a peer's object echoes, and closes in order.
fn expect_echo(mut peer: Peer) {
    peer.frame(Frame::new(TEXT, "still there"));
    assert_eq!(peer.receive_message().1, b"still there");
    peer.frame(Frame::close(3000, ""));
    assert_eq!(peer.receive_close(), close_body(3000, ""));
    peer.shut_down();
}

/// Sends an object in a process of its own `piece` again and again behind `start`, until it has had enough or `most` were sent, and gives what it answers.
fn flooded_with(test: &str, lines: &[&str], start: &[u8], piece: &[u8], most: usize) -> Vec<u8> {
    let listener = Listener::new();
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -v {MEMORY} && exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("memory::{test}"), "--nocapture", "--test-threads", "1"])
        .env(URL, listener.url())
        // Otherwise each thread reserves room that it will not use.
        .env("MALLOC_ARENA_MAX", "1")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut peer = listener.accept();
    peer.answer(lines);
    let mut bystander = listener.accept();
    bystander.answer(&[]);

    let has_answered = Arc::new(AtomicBool::new(false));
    let answered = Arc::clone(&has_answered);
    let mut reader = peer.stream.try_clone().unwrap();
    let answer = thread::spawn(move || {
        let mut answer = vec![0];
        let read = reader.read_exact(&mut answer);
        answered.store(true, Ordering::SeqCst);
        if read.is_err() {
            return Vec::new();
        }
        let _ = reader.read_to_end(&mut answer);
        answer
    });
    peer.send(start);
    for _ in 0..most {
        if has_answered.load(Ordering::SeqCst) || peer.stream.write_all(piece).is_err() {
            break;
        }
    }
    let _ = peer.stream.shutdown(std::net::Shutdown::Write);
    let answer = answer.join().unwrap();
    expect_echo(bystander);
    let mut third = listener.accept();
    third.answer(&[]);
    expect_echo(third);
    assert!(child.wait().unwrap().success());
    answer
}

/// Runs `parent`, or in its child what there is to be done.
fn in_child(parent: impl FnOnce()) {
    match std::env::var(URL) {
        Ok(url) => be_flooded(&url),
        Err(_) => {
            let _alone = Alone::new();
            parent();
        }
    }
}

#[track_caller]
fn expect_told(answer: &[u8]) {
    let frames = split_frames(sansocket_testkit::Side::Client, answer);
    let bodies: Vec<_> = frames.iter().map(|frame| (frame.opcode(), frame.payload().to_vec())).collect();
    assert_eq!(bodies, [(sansocket_testkit::CLOSE, close_body(1011, "there is no memory for the message"))]);
}

/// The header of a server's frame of 3 GB.
fn header(first: u8) -> Vec<u8> {
    [&[first, 127][..], &3_000_000_000_u64.to_be_bytes()].concat()
}

const FOR_EVER: usize = usize::MAX;

#[test]
fn a_binary_message_that_finds_no_memory_ends_its_object_alone() {
    in_child(|| {
        let test = "a_binary_message_that_finds_no_memory_ends_its_object_alone";
        expect_told(&flooded_with(test, &[], &header(0x82), &[0; 1 << 16], FOR_EVER));
    });
}

#[test]
fn a_text_in_fragments_that_finds_no_memory_ends_its_object_alone() {
    in_child(|| {
        let fragment = [&[0, 126, 0x80, 0][..], &[b'a'; 1 << 15]].concat();
        let test = "a_text_in_fragments_that_finds_no_memory_ends_its_object_alone";
        expect_told(&flooded_with(test, &[], &[1, 0], &fragment, FOR_EVER));
    });
}

#[test]
fn a_compressed_message_that_finds_no_memory_ends_its_object_alone() {
    in_child(|| {
        // Blocks in which nothing is compressed.
        let block = [&[0, 0xFF, 0xFF, 0, 0][..], &[0; 0xFFFF]].concat();
        let test = "a_compressed_message_that_finds_no_memory_ends_its_object_alone";
        let lines = ["Sec-WebSocket-Extensions: permessage-deflate"];
        expect_told(&flooded_with(test, &lines, &header(0xC2), &block, FOR_EVER));
    });
}

#[test]
fn a_message_for_which_there_is_memory_once_ends_no_process() {
    in_child(|| {
        let start = [&[0x82, 127][..], &(ENOUGH as u64).to_be_bytes()].concat();
        let test = "a_message_for_which_there_is_memory_once_ends_no_process";
        flooded_with(test, &[], &start, &[0; 1 << 16], ENOUGH >> 16);
    });
}
